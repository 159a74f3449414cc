import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { mkdir } from "node:fs/promises";
import type { EmbeddedLog } from "../../connectors/log/embedded/embedded-log.js";
import { openFilesystemStore } from "../../connectors/store/filesystem/filesystem-store.js";
import type { KafkaLog } from "../../connectors/log/kafka/kafka-log.js";
import type { Log } from "../../connectors/log/log.js";
import type { Store } from "../../connectors/store/store.js";
import { assertKnownFormat } from "../../operators/archive/store-format.js";
import type { Config } from "../../schemas/config.js";
import { SluiceError, codeOf } from "../../schemas/errors.js";
import type { Observing } from "../observe/observing.js";
import { openBucket, type WaitForStore } from "./open-bucket.js";
import { openStreamKafka } from "./open-kafka.js";

/** What lies in the data folder. */
export const FOLDERS = {
  log: "log",
  store: "store",
  listings: "listings",
  produced: "produced",
  stages: "stages",
  gateway: "gateway",
} as const;

/** Everything that one process on one machine works on, under one data folder. */
export interface Workspace {
  readonly config: Config;
  /** Absolute */
  readonly folder: string;
  readonly log: Log;
  /** The log where it is a Kafka cluster; null where it lies in the data folder */
  readonly cluster: KafkaLog | null;
  /** The log where it lies in the data folder; null on Kafka, which cuts its own */
  readonly embedded: EmbeddedLog | null;
  /** What this machine remembers of the archive, on its disk */
  readonly tables: Pick<EmbeddedLog, "table">;
  readonly store: Store;
  close(): Promise<void>;
}

/**
 * Opens the data folder for the one process that writes to it; it is made where it is absent. `command` is shown to
 * a process that is refused meanwhile. Throws E_LOCKED, E_STORE_READONLY, E_STORE_FULL, E_LOG_IO, E_LOG_ACCESS.
 */
export async function openWorkspace(
  config: Config,
  command: string,
  observing: Partial<Pick<Observing, "metered" | "onRetry" | "onSettled" | "ofStore">> = {},
  { openPatienceMs }: Pick<WaitForStore, "openPatienceMs"> = {},
): Promise<Workspace> {
  const folder = resolve(config.data);
  await makeFolder(folder);
  const opened: { close(): Promise<void> }[] = [];
  const close = async (): Promise<void> => {
    for (const one of opened.reverse()) await one.close();
  };
  try {
    const { openEmbeddedLog } = await import("../../connectors/log/embedded/embedded-log.js");
    const embedded = await openEmbeddedLog(resolve(folder, FOLDERS.log), { exclusive: true, command });
    opened.push(embedded);
    const waiting = openPatienceMs === undefined ? {} : { openPatienceMs };
    const { onRetry, onSettled, ofStore = {} } = observing;
    const opening = await openStore(config, { ...ofStore, ...waiting });
    opened.push(opening);
    const store = observing.metered?.(opening) ?? opening;
    const { stream, kafka } = config;
    const how = { ...waiting, ...(onSettled === undefined ? {} : { onSettled }) };
    const cluster = kafka === undefined ? null : await openStreamKafka({ stream, kafka }, store, onRetry, how);
    if (cluster !== null) opened.push(cluster);
    const log = { log: cluster ?? embedded, cluster, embedded: cluster === null ? embedded : null };
    return { config, folder, ...log, tables: embedded, store, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The object store alone: for commands that read, or that publish from the archive. Throws E_STORE_NEWER. */
export async function openStore({ data, s3 }: Pick<Config, "data" | "s3">, waiting: WaitForStore = {}): Promise<Store> {
  const store =
    s3 !== undefined ? await openBucket(s3, waiting) : await openFilesystemStore(resolve(data, FOLDERS.store));
  try {
    await assertKnownFormat(store);
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (cause) {
    const code = codeOf(cause) ?? "unknown";
    // Of a parent that is read-only Node says ENOENT where more than one folder was to be made.
    let parent = dirname(folder);
    while (!existsSync(parent) && dirname(parent) !== parent) parent = dirname(parent);
    throw new SluiceError(
      code === "ENOSPC" ? "E_STORE_FULL" : "E_STORE_READONLY",
      `Expected to create the data folder ${folder}, found that ${parent} takes none (${code}). Name another with --data, or make ${parent} writable.`,
      { cause },
    );
  }
}
