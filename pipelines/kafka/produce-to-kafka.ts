import { openUri } from "../../connectors/source/open-uri.js";
import type { Config } from "../../schemas/config.js";
import type { DeclaredSource } from "../../schemas/declared-source.js";
import type { KafkaConfig } from "../../schemas/kafka-config.js";
import type { OnProgress } from "../../schemas/progress.js";
import type { SourceAccount } from "../../schemas/source-account.js";
import type { Observing } from "../observe/observing.js";
import { produce } from "../produce.js";
import { openImageBuckets } from "../open/open-bucket.js";
import { openKafka } from "../open/open-kafka.js";
import { openingOf, openSource } from "../open/open-source.js";
import { keepProducedSource } from "../open/produced-sources.js";
import { FOLDERS } from "../open/workspace.js";

export interface ProduceToKafkaOptions {
  readonly config: Config;
  readonly kafka: KafkaConfig;
  /** A folder, tar shards, or s3://bucket/prefix/ */
  readonly paths: readonly string[];
  /** What of the source is taken; the next run is told of it by `producedSources` */
  readonly selected: DeclaredSource;
  /** Never send bytes, only where images are */
  readonly refer: boolean;
  readonly perS?: number | undefined;
  readonly onProgress: OnProgress;
  readonly observing: Pick<Observing, "observer" | "onRetry" | "onSettled">;
  readonly stop: AbortSignal;
}

export interface ProducedToKafka {
  readonly appended: number;
  /** What the source had, and what became of it */
  readonly source: SourceAccount;
}

/**
 * Puts a folder, tar shards or what lies in a bucket into the images topic, which must be there. What the source has given is remembered in the
 * data folder and in the log: a run that is stopped or killed is gone on with by the next.
 */
export async function produceToKafka(options: ProduceToKafkaOptions): Promise<ProducedToKafka> {
  const { config, kafka, paths, selected, refer, perS, onProgress, observing, stop } = options;
  const { observer, onRetry, onSettled } = observing;
  const topic = config.stream;
  // Apart from what `ingest` remembers of its sources: both may work in one data folder.
  const source = await openSource(config, paths, { ...openingOf(selected), kept: FOLDERS.produced });
  await keepProducedSource(config, selected);
  const log = await openKafka(kafka, onRetry, { onSettled, rights: { roles: ["producer"], stream: topic, kafka } });
  try {
    const partitions = (await log.ends(topic)).length;
    const isNew = (await log.cursor(`produce/${topic}/${source.name}`)) === null;
    // Of a source that was read before nobody knows how much is new.
    const total = isNew ? (await source.estimate()).items : null;
    const opener = openUri({ buckets: openImageBuckets(config.s3) });
    // What the topic takes bounds it too, less the record's headers.
    const maxBytes = Math.min(kafka.inlineBytes, kafka.maxMessageBytes - 64 * 1024);
    const inline = refer || kafka.inlineBytes === 0 ? null : { opener, maxBytes };
    observer?.take({ event: "loop.ready", loop: "produce" });
    let before = 0;
    const appended = await produce({
      log,
      source,
      topic,
      partitions,
      stop,
      observer,
      ...(perS === undefined ? {} : { perS }),
      ...(inline === null ? {} : { inline }),
      onAppended: (done) => {
        observer?.take({ event: "log.appended", records: done - before });
        before = done;
        onProgress({ phase: "append", done, total, scored: 0, copied: 0, kept: 0, quarantined: 0 });
      },
    });
    return { appended, source: source.account() };
  } finally {
    await log.close();
  }
}
