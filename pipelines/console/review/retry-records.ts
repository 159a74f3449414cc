import { resolve } from "node:path";
import { openEmbeddedLog } from "../../../connectors/log/embedded/embedded-log.js";
import type { Log } from "../../../connectors/log/log.js";
import type { Store } from "../../../connectors/store/store.js";
import type { Config } from "../../../schemas/config.js";
import type { RetriedRecords } from "../../../schemas/api/images.js";
import { openKafka } from "../../open/open-kafka.js";
import { publishingParts } from "../../open/open-scoring.js";
import { FOLDERS } from "../../open/workspace.js";
import { listQuarantine, type Quarantined } from "../../quarantine/quarantine.js";
import { retryQuarantined } from "../../quarantine/retry-quarantined.js";

export interface RetryPlace {
  readonly config: Config;
  readonly store: Store;
  readonly teacher: string;
}

/** A record in quarantine, by its place in the stream */
export interface RefusedPlace {
  readonly partition: number;
  readonly offset: number;
}

/**
 * Appends records that are in quarantine to the stream again: those who score take them like any other. Throws E_LOCKED where somebody writes to the
 * log of the data folder: only one process can.
 */
export async function retryRecords(
  { config, store, teacher }: RetryPlace,
  records: readonly RefusedPlace[],
): Promise<RetriedRecords> {
  const wanted = new Set(records.map(nameOf));
  const found: Quarantined[] = [];
  for await (const one of listQuarantine(store, { teacher, stream: config.stream }))
    if (wanted.has(nameOf(one))) found.push(one);
  const missing = wanted.size - found.length;
  if (found.length === 0) return { appended: 0, unavailable: 0, missing, next: "They are in quarantine no more." };
  const log = await openLog(config);
  try {
    const { opener } = publishingParts(config);
    const maxBytes = config.kafka === undefined ? config.decode.maxBytes : config.kafka.inlineBytes;
    const { appended, unavailable } = await retryQuarantined(log, each(found), { opener, maxBytes });
    const next =
      config.kafka === undefined
        ? "The next `sluice ingest` scores what was taken up."
        : `The scorers of topic ${config.stream} score them.`;
    return { appended, unavailable: unavailable.length, missing, next };
  } finally {
    await log.close();
  }
}

const nameOf = ({ partition, offset }: RefusedPlace): string => `${partition}/${offset}`;

async function openLog(config: Config): Promise<Log> {
  if (config.kafka !== undefined) return openKafka(config.kafka);
  return openEmbeddedLog(resolve(config.data, FOLDERS.log), { exclusive: true, command: "sluice serve" });
}

async function* each<T>(all: readonly T[]): AsyncGenerator<T, void, undefined> {
  yield* all;
}
