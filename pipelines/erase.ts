import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { resolve } from "node:path";
import { openEmbeddedLog, type EmbeddedLog } from "../connectors/log/embedded/embedded-log.js";
import { sharpSheets } from "../connectors/sheet/sharp.js";
import type { Store } from "../connectors/store/store.js";
import { declaredStreams } from "../operators/version/declarations.js";
import type { Config } from "../schemas/config.js";
import { SluiceError } from "../schemas/errors.js";
import { erase, type Erased, type EraseOptions } from "./erase/erase.js";
import { eraseFromLog, logsAside, openLogToErase } from "./erase/erase-log.js";
import { deletePrefixes, keptRecords, type KeptRecords } from "./erase/kafka-records.js";
import { countedAsArchived, openKafka } from "./open/open-kafka.js";
import { FOLDERS } from "./open/workspace.js";

export interface EraseImagesOptions extends Omit<EraseOptions, "isAlone" | "streams" | "sheets"> {
  readonly config: Config;
  /** Remove the old versions that a bucket keeps, too */
  readonly purge: boolean;
  /** Delete what topics have up to the last erased record, where everything there is archived */
  readonly cutTopic: boolean;
}

export interface ErasedImagesReport extends Omit<Erased, "all" | "records"> {
  /** Records of the images that the archive has */
  readonly records: number;
  /** Records of the log in the data folder that were taken out; null on Kafka */
  readonly logRecords: number | null;
  /** Damaged logs that were put aside, and are deleted: folders */
  readonly logsAside: readonly string[];
  /** What topics on Kafka have still */
  readonly kept: readonly KeptRecords[];
  /** What went from topics */
  readonly cut: readonly KeptRecords[];
  /** Old versions of objects that were removed; null where the store keeps none, or was not asked to */
  readonly purged: number | null;
}

/** Where images' bytes lie, and what leads to them */
const PURGED = ["packs/", "scores/", "runs/", "versions/"];

/**
 * label log -> rows -> packs -> versions -> log: images are recorded as erased for ever, then leave all that Sluice keeps. Killed anywhere,
 * it goes on when it is run again. Throws E_LOCKED while another process scores into the data folder, E_STORE_VERSIONED.
 */
export async function eraseImages(options: EraseImagesOptions): Promise<ErasedImagesReport> {
  const { config, store, dryRun, purge, nowMs } = options;
  await refuseVersioned(store, purge || dryRun);
  const streams = [...new Set([config.stream, ...(await declaredStreams(store))])];
  const given = { ...options, streams, sheets: sharpSheets };
  if (config.kafka !== undefined) {
    const done = await erase({ ...given, isAlone: false });
    const opened = await openKafka(config.kafka);
    const kafka = await countedAsArchived(opened, { stream: config.stream, kafka: config.kafka }, store, streams);
    try {
      const found = await keptRecords(kafka, store, done.records);
      const cut = options.cutTopic && !dryRun ? await deletePrefixes(kafka, found) : [];
      const kept = found.filter((one) => !cut.includes(one));
      return { ...reportOf(done), logRecords: null, logsAside: [], kept, cut, purged: await purged(options) };
    } finally {
      await kafka.close();
    }
  }
  const folder = resolve(config.data, FOLDERS.log);
  const aside = await logsAside(folder);
  const log = dryRun ? await logBeside(folder) : await openLogToErase(folder, nowMs);
  try {
    const done = await erase({ ...given, isAlone: true });
    const offsets = new Map<string, Set<number>>();
    for (const { stream, partition, offset } of done.records) {
      const place = `${stream}/${partition}`;
      offsets.set(place, (offsets.get(place) ?? new Set()).add(offset));
    }
    const ofLog = { digests: done.all, offsets };
    const logRecords =
      log === null ? 0 : dryRun ? await countIn(log, done) : await eraseFromLog({ ...ofLog, log, folder });
    if (!dryRun) for (const one of aside) await rm(one, { recursive: true, force: true });
    return { ...reportOf(done), logRecords, logsAside: aside, kept: [], cut: [], purged: await purged(options) };
  } finally {
    await log?.close();
  }
}

function reportOf(erased: Erased): Omit<Erased, "all" | "records"> & { records: number } {
  const { records, images, rows, packs, versions, uris, waiting, refused } = erased;
  return { images, rows, packs, versions, uris, waiting, refused, records: records.length };
}

/** Throws E_STORE_VERSIONED where what is deleted stays all the same. */
async function refuseVersioned(store: Store, purge: boolean): Promise<void> {
  const keeps = (await store.keepsOld?.()) ?? "no";
  if (keeps === "no" || purge) return;
  throw new SluiceError(
    "E_STORE_VERSIONED",
    `Expected a store that lets go of what is deleted, found that ${store.place} keeps old versions of every object${keeps === "locked" ? ", under a lock" : ""}. Nothing was erased. ` +
      "With --purge-versions they are removed, too" +
      (keeps === "locked" ? ", where the lock's mode and the account allow it." : "."),
    { keeps },
  );
}

async function purged({ store, purge, dryRun }: EraseImagesOptions): Promise<number | null> {
  if (!purge || dryRun || ((await store.keepsOld?.()) ?? "no") === "no") return null;
  return (await store.purgeOld?.(PURGED)) ?? null;
}

/** For a dry run: the log as it is, beside its writer; null where there is none. */
async function logBeside(folder: string): Promise<EmbeddedLog | null> {
  return existsSync(resolve(folder, "data.mdb")) ? openEmbeddedLog(folder, { exclusive: false }) : null;
}

/** How many records of known images the log has. Images that were not archived yet are found when it is done. */
async function countIn(log: EmbeddedLog, { records }: Erased): Promise<number> {
  let count = 0;
  for (const stream of log.topics()) {
    for (const [partition] of (await log.ends(stream)).entries()) {
      const offsets = records.filter((one) => one.stream === stream && one.partition === partition);
      const found = await log.fetch(
        stream,
        partition,
        offsets.map(({ offset }) => offset),
      );
      count += found.filter(({ headers }) => headers["sluice-uri"] !== "erased:").length;
    }
  }
  return count;
}
