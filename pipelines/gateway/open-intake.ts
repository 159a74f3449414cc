import { resolve } from "node:path";
import type { EmbeddedLog } from "../../connectors/log/embedded/embedded-log.js";
import type { EmbeddedTable } from "../../connectors/log/embedded/embedded-table.js";
import type { KafkaLog } from "../../connectors/log/kafka/kafka-log.js";
import { openUri } from "../../connectors/source/open-uri.js";
import { ErasedImages } from "../../operators/archive/erased-images.js";
import type { Config } from "../../schemas/config.js";
import type { KafkaConfig } from "../../schemas/kafka-config.js";
import { furthestArchived } from "../flow/furthest-archived.js";
import { openImageBuckets } from "../open/open-bucket.js";
import { openKafka } from "../open/open-kafka.js";
import { guardOf } from "../open/source-places.js";
import { FOLDERS, type Workspace } from "../open/workspace.js";
import type { Observing } from "../observe/observing.js";
import { Intake, type IntakeLog, type IntakeOptions } from "./intake.js";
import { decodeSentPlace, encodeSentPlace } from "./sent-keys.js";

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
  const { scope, sent } = await sentIn(log, stream, keys);
  const into: IntakeLog = {
    sent,
    append: (partition, records) =>
      log.transaction((transaction) => {
        const appended = records.map(({ record }) => record);
        const first = transaction.append(stream, partition, appended);
        for (const [at, { key, content }] of records.entries())
          if (key !== null) transaction.put(keys, key, encodeSentPlace({ partition, offset: first + at, content }));
        return first;
      }),
  };
  const partitions = (await log.ends(stream)).length;
  const opener = openUri({ buckets: openImageBuckets(config.s3), guard: guardOf(config) });
  const intake = new Intake({
    ...told,
    log: into,
    scope,
    partitions,
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

/**
 * Into the images topic, which must be there. Keys are remembered in the data folder, after the append: a gateway that is killed between the two
 * appends a repeat once more, and the scorers know it by its digest.
 */
export async function openTopicIntake(
  config: Config,
  kafka: KafkaConfig,
  told: Told & Pick<Observing, "onRetry">,
): Promise<OpenedIntake> {
  const { stream } = config;
  const { openEmbeddedLog } = await import("../../connectors/log/embedded/embedded-log.js");
  const folder = resolve(config.data, FOLDERS.gateway);
  const remembered = await openEmbeddedLog(folder, { exclusive: true, command: "sluice gateway" });
  let log: KafkaLog | null = null;
  const close = async (): Promise<void> => {
    await log?.close();
    await remembered.close();
  };
  try {
    const opened = await openKafka(kafka, told.onRetry, { rights: { roles: ["producer"], stream, kafka } });
    log = opened;
    const partitions = (await opened.ends(stream)).length;
    const keys = remembered.table(KEYS);
    const { scope, sent } = await sentIn(opened, stream, keys);
    const into: IntakeLog = {
      sent,
      append: async (partition, records) => {
        const appended = records.map(({ record }) => record);
        const first = await opened.append(stream, partition, appended);
        const keyed = records.flatMap(({ key, content }, at): [Uint8Array, Uint8Array][] =>
          key === null ? [] : [[key, encodeSentPlace({ partition, offset: first + at, content })]],
        );
        if (keyed.length > 0) await keys.putMany(keyed);
        return first;
      },
    };
    const maxImageBytes = Math.min(config.decode.maxBytes, kafka.maxMessageBytes - RECORD_BYTES);
    const maxBatchBytes = Math.min(BATCH_BYTES, kafka.maxMessageBytes - RECORD_BYTES);
    const intake = new Intake({
      ...told,
      log: into,
      scope,
      partitions,
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

/** Which of the keys are of this log: one that was made anew knows nothing of what was sent into the old one. */
async function sentIn(
  log: Pick<KafkaLog | EmbeddedLog, "identity">,
  stream: string,
  keys: EmbeddedTable,
): Promise<Pick<IntakeLog, "sent"> & { readonly scope: string }> {
  const { id } = await log.identity(stream);
  return {
    scope: `${stream}\0${id ?? ""}`,
    sent: (key) => {
      const bytes = keys.get(key);
      return bytes === undefined ? null : decodeSentPlace(bytes);
    },
  };
}
