import type { Log, LogBatch } from "../connectors/log/log.js";
import type { Store } from "../connectors/store/store.js";
import type { ChainPosition } from "../operators/archive/archive.js";
import { ErasedImages } from "../operators/archive/erased-images.js";
import { Dedupe } from "../operators/image/dedupe.js";
import { CODE_VERSION } from "../schemas/code-version.js";
import type { Config } from "../schemas/config.js";
import { SluiceError } from "../schemas/errors.js";
import { segmentPlace, type ChainName } from "../schemas/keys.js";
import { teacherDigest } from "../schemas/model-card.js";
import type { Segment } from "../schemas/segment.js";
import { ByteBudget } from "./flow/flow.js";
import { scoreFlow } from "./flow/score-flow.js";
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
/** One segment, whatever it weighs and however long that takes: it was one before. */
const NO_BOUND = 2 ** 52;
const NO_DELAY_MS = 2 ** 31 - 1;

/**
 * Records of [position.end, end) from the log through the whole flow, as the segment that they would be; it is not written. Every image is
 * scored, also one that came before. Throws E_LOG_RANGE where the log has them no more, E_TEACHER_CARD where the chain is another teacher's.
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
  const classCount = card.labels.length;
  const flow = scoreFlow(
    {
      ...scoring,
      config: {
        ...config,
        maxInFlightBytes: NO_BOUND,
        archive: { ...config.archive, segmentRecords: end - position.end, segmentDelayMs: NO_DELAY_MS },
      },
      opener: relocatedOpener(scoring.opener, { store, nowMs }),
      partition,
      read,
      until: end,
      card,
      dedupe: new Dedupe({ find: () => null }),
      budget: new ByteBudget(NO_BOUND, nowMs),
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
        // What was kept of them nobody knows: `sluice gc` frees what is not needed.
        retainBytes: "all",
        keepers: () => [],
        attempt,
      },
    },
    position,
  );
  for await (const segment of flow) return segment;
  throw new SluiceError(
    "E_LOG_RANGE",
    `Expected records at offsets [${position.end}, ${end}) of ${stream}/${partition} in the log, found none. Restore the object from a copy, or declare the offsets lost.`,
    { start: position.end, end },
  );
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
