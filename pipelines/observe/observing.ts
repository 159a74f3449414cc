import type { Store } from "../../connectors/store/store.js";
import type { RetryEvent } from "../../connectors/bounded-retry.js";
import type { Config } from "../../schemas/config.js";
import type { Loop, Observed, Observer } from "../../schemas/observed.js";
import type { OnProgress } from "../../schemas/progress.js";
import { Health } from "./health.js";
import { openMetricsServer, type MetricsServer } from "./metrics-server.js";
import { meteredStore } from "./metered-store.js";
import { OutageVoice } from "./outage-voice.js";
import { MetricsRegistry } from "./registry.js";
import { RunMetrics } from "./run-metrics.js";
import { openTracer, SpanExporter } from "./span-exporter.js";
import { tracingSettings } from "./tracing-settings.js";

export interface ObservingOptions {
  readonly config: Pick<Config, "metrics">;
  /** The running command, such as `ingest` or `run all` */
  readonly command: string;
  /** Those that must be ready for the process to be */
  readonly loops: readonly Loop[];
  /** Told of every event, for the log; null for nobody */
  readonly onEvent: ((event: Observed) => void) | null;
  /** Says by OpenTelemetry's variables whether, and where to, images are traced */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Says once that a collector of traces is away, and of brokers and the store while they are */
  readonly warn: (message: string) => void;
  readonly nowMs: () => number;
}

/** What a process is observed by. Where nobody listens it costs nothing: `observer` is absent, and a store is itself. */
export interface Observing {
  readonly observer: Observer | undefined;
  /** Where Prometheus finds it; null where nobody asked for it */
  readonly url: string | null;
  metered(store: Store): Store;
  readonly onProgress: OnProgress;
  readonly onWarning: (code: string | undefined) => void;
  /** For the log's connection: an outage is said while it lasts */
  readonly onRetry: (event: RetryEvent) => void;
  readonly onSettled: OutageVoice["onSettled"];
  /** The same for the store's, which may be away while the brokers are not */
  readonly ofStore: Pick<OutageVoice, "onRetry" | "onSettled">;
  close(): Promise<void>;
}

/** Throws E_USAGE where the address is not to be had, and E_CONFIG for settings of traces. */
export async function openObserving(options: ObservingOptions): Promise<Observing> {
  const { config, command, loops, onEvent, environment, warn, nowMs } = options;
  const tracing = tracingSettings(environment, command);
  const spans = tracing === null ? null : new SpanExporter(tracing, warn);
  const { port, host } = config.metrics;
  const health = new Health(loops, nowMs);
  const metrics =
    port === undefined ? null : new RunMetrics({ registry: await MetricsRegistry.open(), health, command, nowMs });
  const server: MetricsServer | null =
    metrics === null || port === undefined ? null : await openMetricsServer({ host, port, metrics, health });
  const observer: Observer | undefined =
    metrics === null && onEvent === null && spans === null
      ? undefined
      : {
          tracer: tracing === null ? undefined : openTracer(tracing.ratio),
          take: (event) => {
            if (event.event === "span.ended") spans?.take(event);
            health.take(event);
            metrics?.take(event);
            onEvent?.(event);
          },
          watch: (gauges) => {
            health.watch(gauges);
            metrics?.watch(gauges);
          },
        };
  const say = (line: string): void => {
    metrics?.onWarning(undefined);
    warn(line);
  };
  const brokers = new OutageVoice(say, nowMs);
  return {
    observer,
    url: server?.url ?? null,
    metered: (store) =>
      metrics === null
        ? store
        : meteredStore(store, (request) => {
            metrics.onStoreRequest(request);
          }),
    onProgress: (event) => {
      health.turn();
      metrics?.onProgress(event);
    },
    onWarning: (code) => metrics?.onWarning(code),
    onRetry: (event) => {
      observer?.take({ event: "log.retried", doing: event.doing, failure: event.failure });
      brokers.onRetry(event);
    },
    onSettled: brokers.onSettled,
    ofStore: new OutageVoice(say, nowMs),
    close: async () => {
      await spans?.close();
      await server?.close();
    },
  };
}
