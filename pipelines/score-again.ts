import type { Log, LogBatch } from "../connectors/log/log.js";
import type { Store } from "../connectors/store/store.js";
import type { ChainPosition } from "../operators/archive/archive.js";
import { ErasedImages } from "../operators/archive/erased-images.js";
import { Dedupe } from "../operators/image/dedupe.js";
import { fetchImage } from "../operators/image/fetch.js";
import { hexDigest } from "../operators/image/image-in-flight.js";
import { packChunks } from "../operators/pack/pack-objects.js";
import { CODE_VERSION } from "../schemas/code-version.js";
import type { Config } from "../schemas/config.js";
import { SluiceError } from "../schemas/errors.js";
import type { StoredRecord } from "../schemas/image-record.js";
import { keys, segmentPlace, type ChainName } from "../schemas/keys.js";
import { teacherDigest } from "../schemas/model-card.js";
import { BYTES, DIGEST_BYTES } from "../schemas/scored-batch.js";
import type { Segment } from "../schemas/segment.js";
import { ByteBudget } from "./flow/flow.js";
import { scoreFlow, storesImage } from "./flow/score-flow.js";
import type { ImageScoring } from "./open/open-scoring.js";
import { relocatedOpener } from "./open/relocated-opener.js";

export interface ScoreAgainParts {
  readonly config: Config;
  readonly log: Pick<Log, "ends" | "fetch">;
  /** Takes the packs of images that are kept; no segment */
  readonly store: Store;
  readonly scoring: ImageScoring;
  readonly attempt: () => string;
  readonly nowMs: () => number;
}

/** Records that are asked of the log at a time */
const RECORDS = 256;
/** One segment, however long that takes: it was one before. */
const NO_DELAY_MS = 2 ** 31 - 1;

/**
 * Records of [position.end, end) from the log through the whole flow, as the segment that they would be; it is not written. Every image is
 * scored, also one that came before. What was kept of the images nobody knows, so all are kept that may be, fetched once more for it: they are
 * not held until all are scored. Throws E_LOG_RANGE where the log has them no more, E_TEACHER_CARD where the chain is another teacher's.
 */
export async function scoreAgain(
  { config, log, store, scoring, attempt, nowMs }: ScoreAgainParts,
  { teacher, stream, partition, origin }: ChainName,
  position: ChainPosition,
  end: number,
): Promise<Segment> {
  const { card } = scoring.teacher;
  if (teacherDigest(card) !== teacher) {
    throw new SluiceError(
      "E_TEACHER_CARD",
      `Expected the teacher ${teacher.slice(0, 12)}, whose scores are damaged, found ${card.name} (${teacherDigest(card).slice(0, 12)}). Name its folder or file: --teacher.`,
      { expected: teacher },
    );
  }
  const start = (await log.ends(stream))[partition]?.start;
  if (start === undefined || start > position.end) {
    throw new SluiceError(
      "E_LOG_RANGE",
      `Expected the records of offsets [${position.end}, ${end}) of ${stream}/${partition} in the log, found that it starts at ${start ?? "none"}: ` +
        "they were cut, and cannot be scored again. Restore the object from a copy, or declare the offsets lost.",
      { start: position.end, end },
    );
  }
  const chain = { teacher, stream, partition, origin };
  const read = async function* (from: number): AsyncGenerator<LogBatch, void, undefined> {
    for (let at = from; at < end; at += RECORDS) {
      const until = Math.min(at + RECORDS, end);
      const offsets = Array.from({ length: until - at }, (_, index) => at + index);
      yield { records: await log.fetch(stream, partition, offsets), end: until, logEnd: end };
    }
  };
  const opener = relocatedOpener(scoring.opener, { store, nowMs });
  const classCount = card.labels.length;
  const flow = scoreFlow(
    {
      ...scoring,
      config: {
        ...config,
        archive: {
          ...config.archive,
          segmentRecords: end - position.end,
          segmentDelayMs: NO_DELAY_MS,
          pauseDelayMs: NO_DELAY_MS,
        },
      },
      opener,
      partition,
      read,
      until: end,
      card,
      dedupe: new Dedupe({ find: () => null }),
      budget: new ByteBudget(config.maxInFlightBytes, nowMs),
      keepBytes: () => false,
      decodeConcurrency: config.decode.concurrency ?? 2,
      erased: new ErasedImages(store, stream, nowMs),
      nowMs,
      archive: {
        store: withoutSegments(store),
        chain,
        runs: { assertNoneBeyond: () => Promise.resolve() },
        topM: Math.min(config.archive.topM, classCount),
        classCount: config.archive.logits === "all" ? classCount : null,
        embeddingSize: config.archive.embedding === "all" ? (card.output.embedding?.size ?? null) : null,
        engine: scoring.engine.info,
        codeVersion: CODE_VERSION,
        retainBytes: "winners",
        keepers: () => [],
        attempt,
      },
    },
    position,
  );
  let made: Segment | null = null;
  for await (const segment of flow) {
    if (made !== null) {
      throw new SluiceError(
        "E_INTERNAL",
        `Expected the records of offsets [${position.end}, ${end}) of ${stream}/${partition} to come as one segment, found another one behind offset ${made.header.end}.`,
      );
    }
    made = segment;
  }
  if (made !== null) {
    const keeping = { store, log, chain, attempt, storesImage: (uri: string) => storesImage(uri, { config, opener }) };
    return keepAll(made, {
      ...keeping,
      fetched: (record) =>
        fetchImage(record, { ...config, maxBytes: config.decode.maxBytes, partition, opener, nowMs }),
    });
  }
  throw new SluiceError(
    "E_LOG_RANGE",
    `Expected records at offsets [${position.end}, ${end}) of ${stream}/${partition} in the log, found none. Restore the object from a copy, or declare the offsets lost.`,
    { start: position.end, end },
  );
}

interface KeepAllOptions {
  readonly store: Store;
  readonly log: Pick<Log, "fetch">;
  readonly chain: ChainName;
  readonly attempt: () => string;
  readonly storesImage: (uri: string) => boolean;
  readonly fetched: (record: StoredRecord) => ReturnType<typeof fetchImage>;
}

/** The segment with a pack of all its images that may be stored: `sluice gc` frees those that nobody needs. */
async function keepAll(segment: Segment, options: KeepAllOptions): Promise<Segment> {
  const { store, log, chain, attempt, storesImage: stores, fetched } = options;
  const { header, batch } = segment;
  const digestOf = (row: number): Uint8Array => batch.digest.subarray(row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES);
  const kept = new Set<number>();
  /** Rows of images that none before has, by digest */
  const members = new Map<string, number>();
  for (let row = 0; row < batch.count; row++) {
    if (!stores(batch.uri.get(row) ?? "")) continue;
    kept.add(row);
    if (!members.has(hexDigest(digestOf(row)))) members.set(hexDigest(digestOf(row)), row);
  }
  if (kept.size === 0) return segment;
  const offsetOf = (row: number): number => Number(batch.offset[row]);
  const bytes = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    for (const [digest, row] of members) {
      const [record] = await log.fetch(chain.stream, chain.partition, [offsetOf(row)]);
      const image = record === undefined ? null : await fetched(record);
      if (image?.kind !== "fetched" || hexDigest(image.origin.digest) !== digest) {
        throw new SluiceError(
          "E_SEGMENT_CORRUPT",
          `Expected image ${digest} of offset ${offsetOf(row)} of ${chain.stream}/${chain.partition} where it was scored just now, found it gone or changed: ` +
            "something writes where the images lie. Stop that, and run `sluice archive repair` again.",
          { start: header.start, end: header.end },
        );
      }
      yield image.bytes;
    }
  };
  const pack = attempt();
  const places = [...members.values()].map((row) => ({ digest: digestOf(row), sizeBytes: batch.sizeBytes[row]! }));
  await store.putStream(keys.scoredPack(chain, header.start, pack), packChunks(places, bytes()));
  return {
    header: { ...header, pack },
    batch: {
      ...batch,
      bytes: batch.bytes.map((state, row) => (kept.has(row) ? BYTES.kept : state)),
      pack: { get: (row) => (kept.has(row) ? `${header.start}-${pack}` : null) },
    },
  };
}

/** A store that is told of segments, and leaves them. */
function withoutSegments(store: Store): Store {
  return {
    place: store.place,
    putIfAbsent: (key, bytes) =>
      segmentPlace(key) === null ? store.putIfAbsent(key, bytes) : Promise.resolve("created"),
    put: (key, bytes) => store.put(key, bytes),
    putStream: (key, chunks) => store.putStream(key, chunks),
    get: (key) => store.get(key),
    getRange: (key, from, until) => store.getRange(key, from, until),
    getStream: (key) => store.getStream(key),
    head: (key) => store.head(key),
    list: (prefix, options) => store.list(prefix, options),
    delete: (key) => store.delete(key),
    locate: (key) => store.locate(key),
    close: () => Promise.resolve(),
  };
}
