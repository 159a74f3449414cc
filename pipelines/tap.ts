import type { Log } from "../connectors/log/log.js";
import type { Store } from "../connectors/store/store.js";
import { currentFrontier } from "../operators/archive/archive-reader.js";
import { readCards } from "../operators/archive/teacher-registry.js";
import type { Config } from "../schemas/config.js";
import { isSluiceError, SluiceError } from "../schemas/errors.js";
import { decodeImageRecord, type StoredRecord } from "../schemas/image-record.js";
import { decodeCandidates } from "../schemas/wire/candidates.js";
import { decodeThresholds } from "../schemas/wire/thresholds.js";
import type { Segment } from "../schemas/segment.js";
import { ArchiveFollower } from "./flow/archive-follower.js";
import { sleepUntil } from "./flow/sleep-until.js";
import { labelsSince } from "./tap/new-labels.js";
import { checkpointedThresholds, thresholdsTold } from "./tap/new-thresholds.js";
import { versionsSince } from "./tap/new-versions.js";
import { candidatesOf, candidatesTold, quarantinedOf, scoresOf, type Labels, type Tapped } from "./tap/tapped.js";

export type { Tapped } from "./tap/tapped.js";

export const TAP_STAGES = ["images", "scores", "candidates", "quarantine", "labels", "thresholds", "versions"] as const;
export type TapStage = (typeof TAP_STAGES)[number];

export interface TapOptions {
  readonly stage: TapStage;
  readonly config: Config;
  readonly store: Store;
  /** Opens the log for looking: as no group's member, and beside its writer; null where there is none yet */
  readonly look: <T>(work: (log: Pick<Log, "ends" | "fetch">) => Promise<T>) => Promise<T | null>;
  /** From the first record that is still there; by default only what comes from now on */
  readonly fromStart: boolean;
  readonly signal: AbortSignal;
}

/** How often it is looked for what is new, ms */
const LOOK_MS = 500;
/** Records of a log that one look asks for */
const RECORDS = 256;

/**
 * Records as they pass a stage, until `signal` aborts. It only reads: it joins no group, commits nothing and takes no lock, so that nobody
 * who works there has less to do or is moved.
 */
export async function* tap(options: TapOptions): AsyncGenerator<Tapped, void, undefined> {
  const { stage, config } = options;
  switch (stage) {
    case "images":
      yield* records(options, config.stream, (record, partition) => [imageOf(record, config.stream, partition)]);
      return;
    case "candidates": {
      if (config.kafka === undefined) {
        yield* segments(options, (segment, labels) => candidatesOf(segment, labels, config));
        return;
      }
      const topic = config.kafka.topics.candidates;
      const labels = await labelsOf(options.store);
      yield* records(options, topic, (record, partition) =>
        candidatesTold(decodeCandidates(record, { topic, partition }), labels),
      );
      return;
    }
    case "thresholds": {
      if (config.kafka === undefined) {
        yield* checkpointedThresholds(options, LOOK_MS);
        return;
      }
      const topic = config.kafka.topics.thresholds;
      const labels = await labelsOf(options.store);
      yield* records(options, topic, (record, partition) => {
        const told = decodeThresholds(record, { topic, partition });
        return told === null ? [] : [thresholdsTold(told, labels)];
      });
      return;
    }
    case "labels":
      yield* labelsSince(options, LOOK_MS);
      return;
    case "scores":
      yield* segments(options, scoresOf);
      return;
    case "quarantine":
      yield* segments(options, quarantinedOf);
      return;
    case "versions":
      yield* versionsSince(options, LOOK_MS);
  }
}

/** Each teacher's classes by its digest */
async function labelsOf(store: Store): Promise<Map<string, Labels>> {
  return new Map([...(await readCards(store))].map(([digest, { labels }]) => [digest, labels]));
}

/** What a topic has, looked at every now and then. */
async function* records(
  { look, fromStart, signal }: TapOptions,
  topic: string,
  read: (record: StoredRecord, partition: number) => Tapped[],
): AsyncGenerator<Tapped, void, undefined> {
  const at = new Map<number, number>();
  while (!signal.aborted) {
    const found: Tapped[] = [];
    const isMore = await look(async (log) => {
      let more = false;
      for (const [partition, { start, end }] of (await log.ends(topic)).entries()) {
        const from = Math.max(start, at.get(partition) ?? (fromStart ? start : end));
        const until = Math.min(end, from + RECORDS);
        const offsets = Array.from({ length: until - from }, (_, index) => from + index);
        for (const record of offsets.length === 0 ? [] : await log.fetch(topic, partition, offsets))
          found.push(...read(record, partition));
        at.set(partition, until);
        more ||= until < end;
      }
      return more;
    });
    yield* found;
    if (isMore !== true) await sleepUntil(LOOK_MS, signal);
  }
}

/** What the archive gets, of every teacher. */
async function* segments(
  { store, config, fromStart, signal }: TapOptions,
  read: (segment: Segment, labels: Labels) => Tapped[],
): AsyncGenerator<Tapped, void, undefined> {
  const { stream } = config;
  const followers = new Map<string, ArchiveFollower>();
  const found: Tapped[] = [];
  let isFirst = true;
  while (!signal.aborted) {
    for (const [teacher, { labels }] of await readCards(store)) {
      const archive = { teacher, stream };
      let follower = followers.get(teacher);
      if (follower === undefined) {
        // A teacher that comes later is new altogether.
        const from = fromStart || !isFirst ? [] : await currentFrontier(store, archive);
        follower = new ArchiveFollower(store, archive, from, (segment) => {
          found.push(...read(segment, labels));
          return Promise.resolve();
        });
        followers.set(teacher, follower);
      }
      await follower.follow();
      yield* found.splice(0);
    }
    isFirst = false;
    await sleepUntil(LOOK_MS, signal);
  }
}

function imageOf(record: StoredRecord, stream: string, partition: number): Tapped {
  const { offset } = record;
  try {
    const { uri, bytes, eventTimeMs } = decodeImageRecord(record, { stream, partition });
    return { stage: "images", partition, offset, uri, eventTimeMs, inlineBytes: bytes?.length ?? null, fault: null };
  } catch (error) {
    if (!isSluiceError(error, "E_RECORD_SCHEMA")) throw error;
    const { message } = error;
    const place = `log://${stream}/${partition}/${offset}`;
    return {
      stage: "images",
      partition,
      offset,
      uri: place,
      eventTimeMs: record.timestampMs,
      inlineBytes: null,
      fault: message,
    };
  }
}

/** Throws E_USAGE for a class that no teacher has. */
export async function assertClass(store: Store, name: string): Promise<void> {
  const cards = [...(await readCards(store)).values()];
  if (cards.some(({ labels }) => labels.includes(name))) return;
  const known = [...new Set(cards.flatMap(({ labels }) => labels))];
  throw new SluiceError(
    "E_USAGE",
    `Expected a class that a teacher has, found "${name}". ${known.length === 0 ? "None has scored yet." : `There are ${known.slice(0, 5).join(", ")}${known.length > 5 ? ` and ${known.length - 5} more` : ""}.`}`,
  );
}
