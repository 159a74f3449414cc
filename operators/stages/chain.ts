import type { Store } from "../../connectors/store/store.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import type { Frontier } from "../../schemas/frontier.js";
import { keys, type ChainName } from "../../schemas/keys.js";
import {
  decodeArchived,
  decodeSegmentHead,
  encodeSegment,
  type Segment,
  type SegmentHead,
  type SegmentHeader,
} from "../../schemas/segment.js";
import { claimChains, liveOrigin, readClaims } from "./chain-claims.js";
import { followStub } from "./follow-stub.js";

/** Enough for the footer of nearly every segment, which the header is in; where it is longer, all is read. */
const FOOTER_READ_BYTES = 16 * 1024;

/** Memory that one segment after the other is read into: fresh memory for each costs more than reading it. */
export class SegmentMemory {
  #bytes = new Uint8Array(0);

  /** Until the next call. */
  readonly room = (sizeBytes: number): Uint8Array => {
    if (this.#bytes.length < sizeBytes) this.#bytes = new Uint8Array(Math.ceil(sizeBytes * SPARE));
    return this.#bytes.subarray(0, sizeBytes);
  };
}

/** Segments of one chain differ by little. */
const SPARE = 1.125;

/**
 * The segment is read into `memory` where that is given and the store can; it is valid until the next one is.
 * Throws E_STORE_MISSING where the chain has no segment at `start`, E_SEGMENT_CORRUPT where it cannot be read.
 */
export async function readSegment(
  store: Store,
  chain: ChainName,
  start: number,
  memory?: SegmentMemory,
): Promise<Segment> {
  const key = keys.segment(chain, start);
  const bytes = memory === undefined ? undefined : store.getInto?.(key, memory.room);
  const found = decodeArchived(await (bytes ?? store.get(key)), key);
  checkPlace(found.header, chain, start, key);
  return "batch" in found ? found : followStub(store, chain, found, memory?.room);
}

/** The header alone; null where the chain has no segment at `start`. */
export async function readSegmentHeader(store: Store, chain: ChainName, start: number): Promise<SegmentHeader | null> {
  return (await readSegmentHead(store, chain, start))?.header ?? null;
}

/** The header, and where the rows are if the segment has been compacted; null where the chain has none at `start`. */
export async function readSegmentHead(store: Store, chain: ChainName, start: number): Promise<SegmentHead | null> {
  const key = keys.segment(chain, start);
  const object = await store.head(key);
  if (object === null) return null;
  const { sizeBytes } = object;
  let head: SegmentHead | null = null;
  try {
    if (sizeBytes > FOOTER_READ_BYTES) {
      const tail = await store.getRange(key, sizeBytes - FOOTER_READ_BYTES, sizeBytes);
      try {
        head = decodeSegmentHead(tail, key);
      } catch {
        // A longer footer; or the segment has just been replaced by its stub, which has another size.
      }
    }
    head ??= decodeSegmentHead(await store.get(key), key);
  } catch (error) {
    if (isSluiceError(error, "E_STORE_MISSING")) return null;
    throw error;
  }
  checkPlace(head.header, chain, start, key);
  return head;
}

function checkPlace(header: SegmentHeader, chain: ChainName, start: number, key: string): void {
  const found = header;
  if (
    found.teacher !== chain.teacher ||
    found.stream !== chain.stream ||
    found.partition !== chain.partition ||
    found.origin !== chain.origin ||
    found.start !== start ||
    found.end < start
  ) {
    throw new SluiceError(
      "E_SEGMENT_CORRUPT",
      `Expected the segment of ${chain.stream}/${chain.partition} that starts at ${start} at ${key}, found one of ` +
        `${found.stream}/${found.partition} over [${found.start}, ${found.end}) under teacher ${found.teacher.slice(0, 12)}. ` +
        "The object was copied to a wrong key: restore it.",
      { key },
    );
  }
}

/** Headers from `from` on, following the chain until it ends or reaches `until`. */
export async function* followHeaders(
  store: Store,
  chain: ChainName,
  from: number,
  until = Number.POSITIVE_INFINITY,
): AsyncGenerator<SegmentHeader, void, undefined> {
  for (let at = from; at < until;) {
    const header = await readSegmentHeader(store, chain, at);
    if (header === null || header.end === at) return;
    yield header;
    at = header.end;
  }
}

/** A range of offsets whose segments are missing or cannot be read. */
export interface Gap {
  readonly start: number;
  readonly end: number;
  readonly error: SluiceError;
}

/**
 * Follows the chain to its end and hands every header to `onHeader`; returns the end, the first offset of which the
 * archive says nothing. `from` is a segment boundary. A missing segment with others behind it is a gap, not an end:
 * throws E_CHAIN_GAP (or E_SEGMENT_CORRUPT), or with `onGap` reports it and goes on behind it.
 */
export async function followToEnd(
  store: Store,
  chain: ChainName,
  from: number,
  onHeader: (header: SegmentHeader) => void,
  onGap?: (gap: Gap) => void,
): Promise<number> {
  let at = from;
  let missedAt = -1;
  for (;;) {
    let failure: SluiceError | null = null;
    try {
      for await (const header of followHeaders(store, chain, at)) {
        onHeader(header);
        at = header.end;
      }
    } catch (error) {
      failure = isSluiceError(error, "E_SEGMENT_CORRUPT") ? error : null;
      if (failure === null) throw error;
    }
    const next = await nextStart(store, chain, at);
    if (failure === null && next === null) return at;
    if (failure === null && missedAt !== at) {
      // A scorer may have written both between the two looks: only a segment that is missing still is a gap.
      missedAt = at;
      continue;
    }
    const error = failure === null ? gapError(chain, at, next!) : corruptError(chain, at, next, failure);
    if (onGap === undefined) throw error;
    // The last segment of a chain is corrupt: nothing says where it ended.
    if (next === null) return at;
    onGap({ start: at, end: next, error });
    at = next;
  }
}

/**
 * Segments over exactly [from, until), in order; both are segment boundaries. Each is valid until the next one is asked for.
 * Throws E_CHAIN_GAP where one is missing, E_SEGMENT_CORRUPT where one cannot be read; with `onGap` those ranges are
 * reported and left out (a corrupt segment up to the next start that the store lists).
 */
export async function* followSegments(
  store: Store,
  chain: ChainName,
  from: number,
  until: number,
  onGap?: (gap: Gap) => void,
): AsyncGenerator<Segment, void, undefined> {
  let ahead: Promise<Segment> | null = null;
  let memory = new SegmentMemory();
  let other = new SegmentMemory();
  for (let at = from; at < until;) {
    let segment: Segment;
    try {
      segment = await (ahead ?? readSegment(store, chain, at, memory));
      ahead = null;
    } catch (error) {
      ahead = null;
      const corrupt = isSluiceError(error, "E_SEGMENT_CORRUPT");
      if (!corrupt && !isSluiceError(error, "E_STORE_MISSING")) throw error;
      const behind = await nextStart(store, chain, at);
      const next = Math.min(behind ?? until, until);
      const gap = corrupt ? corruptError(chain, at, next, error) : gapError(chain, at, next, behind !== null);
      if (onGap === undefined) throw gap;
      onGap({ start: at, end: next, error: gap });
      at = next;
      continue;
    }
    if (segment.header.end > until) {
      throw new SluiceError(
        "E_CHAIN_CONFLICT",
        `Expected a segment of ${chain.stream}/${chain.partition} to end at ${until}, found [${at}, ${segment.header.end}). ` +
          "The frontier is not a segment boundary of this chain.",
      );
    }
    if (segment.header.end === at) {
      throw new SluiceError("E_SEGMENT_CORRUPT", `The segment ${keys.segment(chain, at)} is empty of offsets.`);
    }
    at = segment.header.end;
    if (at < until) {
      // Read while the caller works on this one, which stays in the memory that it is in.
      [memory, other] = [other, memory];
      ahead = readSegment(store, chain, at, memory);
      ahead.catch(() => undefined);
    }
    yield segment;
  }
}

/** `more`: whether segments follow; else the archive ends before it should. */
function gapError(chain: ChainName, start: number, end: number, more = true): SluiceError {
  const behind = more ? `the next one at ${end}` : `nothing behind it, although it was archived up to ${end}`;
  return new SluiceError(
    "E_CHAIN_GAP",
    `Expected a segment of ${chain.stream}/${chain.partition} at offset ${start}, found none at ${keys.segment(chain, start)}, and ${behind}. ` +
      "Restore the object, or leave its range out with `sluice rebuild --allow-gaps`.",
    { start, end },
  );
}

/** The same error with its offsets; `end` is null where no segment follows. */
function corruptError(chain: ChainName, start: number, end: number | null, cause: SluiceError): SluiceError {
  const range = end === null ? `from ${start} on` : `[${start}, ${end})`;
  return new SluiceError(
    "E_SEGMENT_CORRUPT",
    `${cause.message} Offsets ${range} of ${chain.stream}/${chain.partition} are in it.`,
    { cause, start, end, key: keys.segment(chain, start) },
  );
}

/** A segment that starts within a range that another one of its chain covers. */
export interface Repeat {
  readonly start: number;
  /** null where it cannot be read */
  readonly end: number | null;
  /** The segment that the chain has there, [start, end) */
  readonly within: { readonly start: number; readonly end: number };
  /** What it is, and how to repair it, for people */
  readonly message: string;
}

/**
 * Segments that the store has and the chain does not lead to. They are in no version: the chain decides. `followed` are
 * the ranges that it leads to, ascending.
 */
export async function* repeatedSegments(
  store: Store,
  chain: ChainName,
  followed: readonly { readonly start: number; readonly end: number }[],
): AsyncGenerator<Repeat, void, undefined> {
  let at = 0;
  for await (const { key } of store.list(keys.chain(chain))) {
    const start = segmentStart(key);
    while (at < followed.length && followed[at]!.end <= start) at++;
    const within = followed[at];
    if (within === undefined || start <= within.start) continue;
    const end = await readSegmentHeader(store, chain, start).then(
      (header) => header?.end ?? null,
      () => null,
    );
    const message =
      `Expected the segments of ${chain.stream}/${chain.partition} to follow on each other, found one over [${start}, ${end ?? "unreadable"}) ` +
      `inside [${within.start}, ${within.end}), which is archived already. It is left out of every version; delete ${key}.`;
    yield { start, end, within: { start: within.start, end: within.end }, message };
  }
}

/** The greatest event time that chains tell of up to a frontier, ms; null where none does. */
export async function lastEventMs(
  store: Store,
  place: { readonly teacher: string; readonly stream: string },
  frontier: Frontier,
): Promise<number | null> {
  let lastMs: number | null = null;
  for (const { end, ...origin } of frontier) {
    const chain = { ...place, ...origin };
    let last: number | null = null;
    for await (const { key } of store.list(keys.chain(chain))) {
      if (segmentStart(key) < end) last = segmentStart(key);
    }
    const header = last === null ? null : await readSegmentHeader(store, chain, last);
    if (header !== null && header.watermarkMs !== null)
      lastMs = Math.max(lastMs ?? header.watermarkMs, header.watermarkMs);
  }
  return lastMs;
}

/** The first listed start after an offset: the listing only says where to look. */
async function nextStart(store: Store, chain: ChainName, after: number): Promise<number | null> {
  for await (const { key } of store.list(keys.chain(chain))) {
    const start = segmentStart(key);
    if (start > after) return start;
  }
  return null;
}

/** The start offset in a segment's key. */
export function segmentStart(key: string): number {
  return Number(key.slice(key.lastIndexOf("/") + 1, -".arrow".length));
}

/**
 * Writes a segment at its place. A place that is taken is a fact about the archive, not an error: the caller goes on
 * from what stands there.
 */
export async function writeSegment(store: Store, chain: ChainName, segment: Segment): Promise<"created" | "exists"> {
  return store.putIfAbsent(keys.segment(chain, segment.header.start), encodeSegment(segment));
}

/**
 * The live chain of (teacher, stream, partition). It begins where the log does the first time that anyone asks, or behind
 * what replays have; and there ever after.
 */
export async function liveChain(store: Store, place: Omit<ChainName, "origin">, logStart: number): Promise<ChainName> {
  const { partition } = place;
  const claimed = await claimChains(store, place, (before) =>
    before.some((one) => one.partition === partition && one.end === null)
      ? []
      : [{ partition, origin: liveOrigin(before, partition, logStart), end: null }],
  );
  return { ...place, origin: claimed.find((one) => one.partition === partition && one.end === null)!.origin };
}

/** The live chain of each partition of a log, claimed together where there are none; by partition. */
export async function openLiveChains(
  store: Store,
  place: Omit<ChainName, "partition" | "origin">,
  logStarts: readonly number[],
): Promise<ChainName[]> {
  const claimed = await claimChains(store, place, (before) => {
    const live = new Set(before.filter(({ end }) => end === null).map(({ partition }) => partition));
    return logStarts.flatMap((start, partition) =>
      live.has(partition) ? [] : [{ partition, origin: liveOrigin(before, partition, start), end: null }],
    );
  });
  return claimed
    .filter(({ partition, end }) => end === null && partition < logStarts.length)
    .map(({ partition, origin }) => ({ ...place, partition, origin }));
}

/** The live chains that the archive has of (teacher, stream), in the order of the partitions. */
export async function liveChains(store: Store, place: { teacher: string; stream: string }): Promise<ChainName[]> {
  const { teacher, stream } = place;
  return (await readClaims(store, place))
    .filter(({ end }) => end === null)
    .map(({ partition, origin }) => ({ teacher, stream, partition, origin }));
}

/** The live chains and those of replays, in the order of (partition, origin). No two of them share an offset. */
export async function archivedChains(store: Store, place: { teacher: string; stream: string }): Promise<ChainName[]> {
  const { teacher, stream } = place;
  return (await readClaims(store, place)).map(({ partition, origin }) => ({ teacher, stream, partition, origin }));
}
