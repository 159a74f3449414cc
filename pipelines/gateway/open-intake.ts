import { resolve } from "node:path";
import type { EmbeddedLog } from "../../connectors/log/embedded/embedded-log.js";
import type { KafkaLog, KafkaLogOptions } from "../../connectors/log/kafka/kafka-log.js";
import { openUri } from "../../connectors/source/open-uri.js";
import { ErasedImages } from "../../operators/archive/erased-images.js";
import type { Config } from "../../schemas/config.js";
import type { KafkaConfig } from "../../schemas/kafka-config.js";
import { furthestArchived } from "../flow/furthest-archived.js";
import { openImageBuckets } from "../open/open-bucket.js";
import { openKafka, type OpeningKafka } from "../open/open-kafka.js";
import { guardOf } from "../open/source-places.js";
import { FOLDERS, type Workspace } from "../open/workspace.js";
import { Intake, type IntakeLog, type IntakeOptions } from "./intake.js";
import { encodeSentPlace, sentUnder } from "./sent-keys.js";
import { standingLog, TopicIntakeLog } from "./topic-intake-log.js";

/** Of a record beside the image: headers, key, and what its batch adds */
const RECORD_BYTES = 64 * 1024;
const BATCH_BYTES = 1024 * 1024 - RECORD_BYTES;
const KEYS = "gateway keys";

type Told = Pick<IntakeOptions, "observer" | "onAppended" | "nowMs">;

/** An intake, and how many images wait behind it; null where nobody can say. */
export interface OpenedIntake {
  readonly intake: Intake;
  readonly waiting: () => Promise<number | null>;
  close(): Promise<void>;
}

/** Into the log of a data folder. A key is remembered in the transaction that appends its image. The workspace stays the caller's. */
export async function openFolderIntake(
  { config, store }: Pick<Workspace, "config" | "store">,
  log: EmbeddedLog,
  told: Told,
): Promise<OpenedIntake> {
  const { stream, decode } = config;
  await log.ensureTopic(stream, config.partitions);
  const keys = log.table(KEYS);
  // Nobody makes it anew while it is open.
  const { scope, partitions } = await standingLog(log, stream);
  const into: IntakeLog = {
    scope,
    partitions,
    sent: (key) => sentUnder(keys, key),
    append: (partition, records) =>
      log.transaction((transaction) => {
        const appended = records.map(({ record }) => record);
        const first = transaction.append(stream, partition, appended);
        for (const [at, { key, content }] of records.entries())
          if (key !== null) transaction.put(keys, key, encodeSentPlace({ partition, offset: first + at, content }));
        return first;
      }),
  };
  const opener = openUri({ buckets: openImageBuckets(config.s3), guard: guardOf(config) });
  const intake = new Intake({
    ...told,
    log: into,
    maxBatchBytes: 8 * BATCH_BYTES,
    maxImageBytes: decode.maxBytes,
    // Otherwise anybody who may send could name any file of this machine.
    mayRefer: (uri) => config.sources.allow !== undefined && opener.reaches?.(uri) === true,
    erased: new ErasedImages(store, stream, told.nowMs),
  });
  const waiting = async (): Promise<number> => {
    const scoredTo = await furthestArchived(store, stream);
    const ends = await log.ends(stream);
    return ends.reduce((sum, { start, end }, at) => sum + Math.max(0, end - Math.max(start, scoredTo.get(at) ?? 0)), 0);
  };
  return { intake, waiting, close: () => Promise.resolve() };
}

export interface TopicTold extends Told, Pick<OpeningKafka, "openPatienceMs" | "onSettled"> {
  readonly onRetry: KafkaLogOptions["onRetry"];
  /** Told that the topic was made anew, while this runs or since it last did */
  readonly onWarning: (message: string, code?: string) => void;
}

/** Into the images topic, which must be there. Keys are remembered in the data folder. */
export async function openTopicIntake(config: Config, kafka: KafkaConfig, told: TopicTold): Promise<OpenedIntake> {
  const { stream } = config;
  const { onRetry, onWarning, openPatienceMs, onSettled, ...how } = told;
  const { openEmbeddedLog } = await import("../../connectors/log/embedded/embedded-log.js");
  const folder = resolve(config.data, FOLDERS.gateway);
  const remembered = await openEmbeddedLog(folder, { exclusive: true, command: "sluice gateway" });
  let log: KafkaLog | null = null;
  const close = async (): Promise<void> => {
    await log?.close();
    await remembered.close();
  };
  try {
    const rights = { roles: ["producer"], stream, kafka } as const;
    const waiting = openPatienceMs === undefined ? {} : { openPatienceMs };
    const settled = onSettled === undefined ? {} : { onSettled };
    log = await openKafka(kafka, onRetry, { rights, ...waiting, ...settled });
    const keys = remembered.table(KEYS);
    const into = await TopicIntakeLog.open({ log, stream, keys, onWarning, nowMs: told.nowMs });
    const maxImageBytes = Math.min(config.decode.maxBytes, kafka.maxMessageBytes - RECORD_BYTES);
    const maxBatchBytes = Math.min(BATCH_BYTES, kafka.maxMessageBytes - RECORD_BYTES);
    const intake = new Intake({
      ...how,
      log: into,
      maxBatchBytes,
      maxImageBytes,
      mayRefer: () => true,
      erased: null,
    });
    return { intake, waiting: () => Promise.resolve(null), close };
  } catch (error) {
    await close();
    throw error;
  }
}
