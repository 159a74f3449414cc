import type { Command } from "commander";
import type { Observing } from "../pipelines/observe/observing.js";
import type { Config } from "../schemas/config.js";
import type { Loop } from "../schemas/observed.js";
import type { Invocation, SettingFlag, WorkContext } from "./invocation.js";

/** Flags of commands that run long enough to be looked at. */
export interface MetricsFlags {
  readonly metricsPort?: string;
  readonly metricsHost?: string;
}

export function declareMetricsFlags(command: Command): Command {
  return command
    .option("--metrics-port <n>", "answer /metrics (Prometheus), /healthz and /readyz there; 0: any port that is free")
    .option("--metrics-host <address>", "the address for that (default: 127.0.0.1)");
}

export function metricsSettings({ metricsPort, metricsHost }: MetricsFlags): SettingFlag[] {
  return [
    { flag: "--metrics-port", path: ["metrics", "port"], value: metricsPort },
    { flag: "--metrics-host", path: ["metrics", "host"], value: metricsHost },
  ];
}

export interface ObservedWork {
  readonly run: Invocation;
  readonly config: Pick<Config, "metrics">;
  readonly command: string;
  readonly loops: readonly Loop[];
}

/** As `observed`, where the settings are known before the work begins. */
export function observedWork<Done>(
  work: ObservedWork,
  body: (context: WorkContext & { readonly observing: Observing }) => Promise<Done>,
): Promise<Done> {
  return work.run.work((context) => observed(work, context, (observing, inner) => body({ ...inner, observing })));
}

/** Long work that is one thing: as `observedWork`, ready once the settings have been read. Throws E_CONFIG. */
export async function longWork<Done>(
  run: Invocation,
  body: (context: WorkContext & { readonly observing: Observing }) => Promise<Done>,
): Promise<Done> {
  const { name, flags } = run.action;
  const { location } = await run.given(metricsSettings(flags));
  return observedWork({ run, config: location, command: name, loops: ["work"] }, (context) => {
    isReady(context.observing);
    return body(context);
  });
}

/** The same of work that ends at once when it is told to: it has signals and lines of its own. */
export function longLook<Done>(
  run: Invocation,
  config: Pick<Config, "metrics">,
  body: () => Promise<Done>,
): Promise<Done> {
  const work: ObservedWork = { run, config, command: run.action.name, loops: ["work"] };
  const note = (line: string): void => {
    run.note(line);
  };
  const warn = (line: string, code?: string): void => {
    run.warn(line, code);
  };
  const context = { onProgress: () => undefined, stop: new AbortController().signal, note, warn };
  return observed(work, context, (observing) => {
    isReady(observing);
    return body();
  });
}

function isReady({ observer }: Observing): void {
  observer?.take({ event: "loop.ready", loop: "work" });
}

/** Runs long work under the metrics that were asked for: its progress and its warnings are counted as well. */
export async function observed<Done>(
  { run, config, command, loops }: ObservedWork,
  context: WorkContext,
  body: (observing: Observing, context: WorkContext) => Promise<Done>,
): Promise<Done> {
  const { openObserving } = await import("../pipelines/observe/observing.js");
  const { nowMs, environment } = run.terminal;
  const { onEvent } = run;
  const { warn } = context;
  const observing = await openObserving({ config, command, loops, onEvent, environment, warn, nowMs });
  if (observing.url !== null) context.note(`metrics at ${observing.url}/metrics`);
  try {
    return await body(observing, {
      ...context,
      onProgress: (event) => {
        observing.onProgress(event);
        context.onProgress(event);
      },
      warn: (message, code) => {
        observing.onWarning(code);
        context.warn(message, code);
      },
    });
  } finally {
    await observing.close();
  }
}
