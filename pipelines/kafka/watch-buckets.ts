import { Account } from "../../connectors/source/account.js";
import type { Config } from "../../schemas/config.js";
import type { KafkaConfig } from "../../schemas/kafka-config.js";
import type { OnProgress } from "../../schemas/progress.js";
import type { SourceAccount } from "../../schemas/source-account.js";
import type { Observing } from "../observe/observing.js";
import type { BucketPlace } from "../open/bucket-place.js";
import { openKafka } from "../open/open-kafka.js";
import { storePrefixes } from "../open/open-source.js";
import { runWatch } from "./run-watch.js";

export interface WatchBucketsOptions {
  readonly config: Config;
  readonly kafka: KafkaConfig;
  readonly places: readonly BucketPlace[];
  readonly include: readonly string[] | undefined;
  /** How long brokers that are away at the start are waited for, ms */
  readonly openPatienceMs: number;
  readonly onProgress: OnProgress;
  readonly onWarning: (message: string, code?: string) => void;
  readonly observing: Pick<Observing, "observer" | "onRetry" | "onSettled">;
  readonly stop: AbortSignal;
  readonly nowMs: () => number;
}

export interface WatchedBuckets {
  readonly appended: number;
  /** What the notices had, and what became of it */
  readonly source: SourceAccount;
}

/** Puts what is uploaded to buckets into the images topic, until stopped. Throws E_LOG_IO, E_LOG_ACCESS. */
export async function watchBuckets(options: WatchBucketsOptions): Promise<WatchedBuckets> {
  const { config, kafka, openPatienceMs, onProgress, onWarning, observing, stop } = options;
  const { stream } = config;
  const { onRetry, onSettled } = observing;
  const rights = { roles: ["watcher"], stream, kafka } as const;
  const log = await openKafka(kafka, onRetry, { openPatienceMs, onSettled, rights });
  const account = new Account();
  let appended = 0;
  try {
    await runWatch({
      ...options,
      stream,
      log,
      account,
      isStores: (bucket, key) => storePrefixes(config.s3, bucket).some((prefix) => key.startsWith(prefix)),
      observer: observing.observer,
      onAppended: (records) => {
        appended = records;
        onProgress({ phase: "append", done: records, total: null, scored: 0, copied: 0, kept: 0, quarantined: 0 });
      },
      onWarning,
      signal: stop,
    });
  } finally {
    await log.close();
  }
  return { appended, source: account.read() };
}
