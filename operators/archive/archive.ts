import type { Store } from "../../connectors/store/store.js";
import type { RankableBatch, Ranking } from "../select/ranking.js";
import { SegmentBuilder, type RowOrigin, type RowScores } from "./segment-builder.js";
import { SluiceError } from "../../schemas/errors.js";
import { keys, type ChainName } from "../../schemas/keys.js";
import { packInRow } from "../../schemas/pack.js";
import { BYTES, type BytesState } from "../../schemas/scored-batch.js";
import { SEGMENT_VERSION, type EngineInfo, type Segment, type SegmentHeader } from "../../schemas/segment.js";
import { ChainRuns } from "./chain-runs.js";
import { writeSegment } from "./segment-objects.js";
import type { KeptAgain } from "../pack/kept-again.js";
import { writePack, type PackSource } from "../pack/pack-objects.js";
import { hexDigest, type Outcome } from "../image/image-in-flight.js";

/** A dataset that wants the bytes of images that may be among its best K+R. */
export interface Keeper {
  readonly dataset: string;
  /** parameters digest */
  readonly parameters: string;
  /** P */
  readonly p: number;
  /** How the dataset ranks; thresholds are rank keys of its classes */
  readonly ranking: Ranking;
  /** Records covered by the durable checkpoint that the thresholds come from; null while there is none */
  readonly thresholdsAt: number | null;
  /** Rank key a candidate of that event time needs at least, by class; null keeps everything */
  readonly thresholdsFor: (eventTimeMs: number) => Float64Array | null;
}

export interface ArchiveOptions {
  readonly store: Store;
  readonly chain: ChainName;
  /** The chain's runs, which are looked at after each segment that is created; by default they are opened for each */
  readonly runs?: Pick<ChainRuns, "assertNoneBeyond">;
  readonly topM: number;
  /** C where all logits are kept, else null */
  readonly classCount: number | null;
  /** D where embeddings are kept, else null */
  readonly embeddingSize: number | null;
  readonly engine: EngineInfo;
  readonly codeVersion: string;
  readonly retainBytes: "winners" | "all";
  /** Asked anew for each segment: thresholds rise */
  readonly keepers: () => readonly Keeper[];
  /** A name for each pack, [a-z0-9]+, never the same twice */
  readonly attempt: () => string;
  /** Knows which images other packs have already; by default every segment keeps its own */
  readonly keptAgain?: KeptAgain;
}

/** Where a chain ends so far. */
export interface ChainPosition {
  readonly end: number;
  readonly watermarkMs: number | null;
}

/**
 * Archives the outcomes of consecutive records as the segment that follows `position`. Its pack is written before the
 * segment that names it. Throws E_CHAIN_CONFLICT where another writer has archived that range already.
 */
export async function archiveSegment(
  outcomes: readonly Outcome[],
  position: ChainPosition,
  options: ArchiveOptions,
): Promise<Segment> {
  const { chain, topM, classCount, embeddingSize } = options;
  const builder = new SegmentBuilder({
    partition: chain.partition,
    topM,
    classCount,
    embeddingSize,
    start: position.end,
    watermarkMs: position.watermarkMs,
  });
  const keepers = options.keepers();
  const states = outcomes.map((outcome): BytesState => {
    if (outcome.kind === "refused" || outcome.bytes === null) return BYTES.refer;
    return bytesState(outcome, keepers, options.retainBytes);
  });
  const kept = await keep(outcomes, states, position.end, options);
  for (const [at, outcome] of outcomes.entries()) {
    if (outcome.kind === "refused") {
      builder.reject(outcome.rejected);
      continue;
    }
    const { origin, scores, copied } = outcome;
    const state = states[at]!;
    const pack = state === BYTES.kept ? kept.packOf(hexDigest(origin.digest)) : null;
    builder.add(origin, scores, copied, state, pack);
  }
  const header: SegmentHeader = {
    ...place(chain, position.end, builder.end),
    counts: builder.counts(),
    watermarkMs: builder.watermarkMs,
    engine: options.engine,
    codeVersion: options.codeVersion,
    lostReason: null,
    keepers: keepers.map(({ dataset, parameters, thresholdsAt }) => ({ dataset, parameters, thresholdsAt })),
    rejected: [...builder.rejected],
    retried: builder.retried,
    pack: kept.attempt,
  };
  return write(options, { header, batch: builder.build() });
}

/** Archives that offsets [position.end, end) are no longer in the log. */
export async function archiveLoss(
  position: ChainPosition,
  end: number,
  reason: string,
  options: ArchiveOptions,
): Promise<Segment> {
  return archiveEmpty(position, end, { lost: end - position.end, reason }, options);
}

/** Archives that offsets [position.end, end) hold no records: how a chain that has an end comes to it. */
export async function archiveHole(position: ChainPosition, end: number, options: ArchiveOptions): Promise<Segment> {
  return archiveEmpty(position, end, { lost: 0, reason: null }, options);
}

async function archiveEmpty(
  position: ChainPosition,
  end: number,
  { lost, reason }: { readonly lost: number; readonly reason: string | null },
  options: ArchiveOptions,
): Promise<Segment> {
  const { chain, topM, classCount, embeddingSize } = options;
  const header: SegmentHeader = {
    ...place(chain, position.end, end),
    counts: { in: lost, scored: 0, copied: 0, quarantined: 0, lost },
    watermarkMs: position.watermarkMs,
    engine: options.engine,
    codeVersion: options.codeVersion,
    lostReason: reason,
    keepers: [],
    rejected: [],
    retried: [],
    pack: null,
  };
  const empty = new SegmentBuilder({
    partition: chain.partition,
    topM,
    classCount,
    embeddingSize,
    start: position.end,
    watermarkMs: position.watermarkMs,
  });
  return write(options, { header, batch: empty.build() });
}

function place(chain: ChainName, start: number, end: number) {
  const { teacher, stream, partition, origin } = chain;
  return { schemaVersion: SEGMENT_VERSION, teacher, stream, partition, origin, start, end } as const;
}

/** Creates the segment, and looks at the runs before anybody is told of it: a late writer's key may be free again. */
async function write(
  { store, chain, runs = new ChainRuns(store, chain) }: Pick<ArchiveOptions, "store" | "chain" | "runs">,
  segment: Segment,
): Promise<Segment> {
  if ((await writeSegment(store, chain, segment)) === "created") {
    await runs.assertNoneBeyond(segment.header.start);
    return segment;
  }
  throw new SluiceError(
    "E_CHAIN_CONFLICT",
    `Another scorer has archived ${chain.stream}/${chain.partition} from offset ${segment.header.start} already: its segment stands, ` +
      "this one is dropped, and scoring goes on from the chain's end.",
    { retryable: true, key: keys.segment(chain, segment.header.start) },
  );
}

interface ScoredRow {
  readonly origin: RowOrigin;
  readonly scores: RowScores;
}

function bytesState(row: ScoredRow, keepers: readonly Keeper[], retain: "winners" | "all"): BytesState {
  if (retain === "all") return BYTES.kept;
  return keepers.some((keeper) => wants(keeper, row)) ? BYTES.kept : BYTES.absent;
}

/** Whether an image's bytes are ours to store: `refer` leaves them where they are, if they are anywhere but in the log. */
export function storesBytes(mode: "refer" | "keep", uri: string): boolean {
  return mode === "keep" || uri.startsWith("log://");
}

/** Whether one of the image's P best classes may still rank it: at or above the threshold, ties included. */
function wants(keeper: Keeper, row: ScoredRow): boolean {
  const thresholds = keeper.thresholdsFor(row.origin.eventTimeMs);
  if (thresholds === null) return true;
  const { topM, classes, keys } = keeper.ranking.rank(oneRow(row));
  const ranks = Math.min(keeper.p, topM);
  for (let rank = 0; rank < ranks; rank++) {
    // An empty place reads no threshold, and no key is greater than that.
    if (keys[rank]! >= thresholds[classes[rank]!]!) return true;
  }
  return false;
}

/** What ranking reads of a batch, for one row. */
function oneRow({ origin, scores }: ScoredRow): RankableBatch {
  return {
    count: 1,
    topM: scores.classes.length,
    digest: origin.digest,
    partition: new Int32Array(1),
    offset: new BigInt64Array(1),
    eventTimeMs: BigInt64Array.of(BigInt(origin.eventTimeMs)),
    sizeBytes: Uint32Array.of(origin.sizeBytes),
    width: Uint32Array.of(scores.width),
    height: Uint32Array.of(scores.height),
    licence: { get: () => origin.licence },
    origin: { get: () => origin.origin },
    notes: { get: () => scores.notes },
    classes: scores.classes,
    keys: scores.keys,
    logits: scores.logits,
    logSumExp: Float64Array.of(scores.logSumExp),
    allLogits: scores.allLogits,
  };
}

interface Kept {
  /** That wrote the segment's own pack; null where there was nothing to write */
  readonly attempt: string | null;
  /** The pack that has an image that is kept, as its row names it */
  readonly packOf: (digestHex: string) => string;
}

/** Writes what is to be kept, and no other pack has, as the pack of the segment at `start`. */
async function keep(
  outcomes: readonly Outcome[],
  states: readonly BytesState[],
  start: number,
  { store, chain, attempt: name, keptAgain }: ArchiveOptions,
): Promise<Kept> {
  const members = new Map<string, PackSource>();
  for (const [at, outcome] of outcomes.entries()) {
    if (outcome.kind === "refused" || outcome.bytes === null || states[at] !== BYTES.kept) continue;
    const { bytes, origin } = outcome;
    members.set(hexDigest(origin.digest), { digest: origin.digest, sizeBytes: bytes.length, bytes });
  }
  const known = (await keptAgain?.find([...members.values()].map(({ digest }) => digest))) ?? new Map<string, string>();
  for (const digest of known.keys()) members.delete(digest);
  const attempt = members.size === 0 ? null : name();
  if (attempt !== null) await writePack(store, keys.scoredPack(chain, start, attempt), [...members.values()]);
  if (known.size > 0 && keptAgain?.isHeld() === false) {
    throw new SluiceError(
      "E_FLOW_FAILED",
      `Expected to archive ${chain.stream}/${chain.partition} from offset ${start} on within the time of its pin, found it over: this ` +
        "process stood still for hours, and kept images that it was about to name may be gone. It goes on by itself.",
      { retryable: true },
    );
  }
  return {
    attempt,
    packOf: (digest) => {
      const other = known.get(digest);
      return other === undefined ? `${start}-${attempt}` : packInRow(other, chain);
    },
  };
}
