import type { Store } from "../../connectors/store/store.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import { keys, type ChainName } from "../../schemas/keys.js";
import {
  decodeSegment,
  decodeSegmentHeader,
  encodeSegment,
  type Segment,
  type SegmentHeader,
} from "../../schemas/segment.js";

/** Enough for the header of nearly every segment; a longer one is read again, whole. */
const HEADER_READ_BYTES = 64 * 1024;

/** Throws E_STORE_MISSING where the chain has no segment at `start`, E_SEGMENT_CORRUPT where it cannot be read. */
export async function readSegment(store: Store, chain: ChainName, start: number): Promise<Segment> {
  const key = keys.segment(chain, start);
  const segment = decodeSegment(await store.get(key), key);
  checkPlace(segment.header, chain, start, key);
  return segment;
}

/** The header alone; null where the chain has no segment at `start`. */
export async function readSegmentHeader(store: Store, chain: ChainName, start: number): Promise<SegmentHeader | null> {
  const key = keys.segment(chain, start);
  let prefix: Uint8Array;
  try {
    prefix = await store.getRange(key, 0, HEADER_READ_BYTES);
  } catch (error) {
    if (isSluiceError(error, "E_STORE_MISSING")) return null;
    throw error;
  }
  let header: SegmentHeader;
  try {
    header = decodeSegmentHeader(prefix, key);
  } catch (error) {
    if (prefix.length < HEADER_READ_BYTES) throw error;
    header = decodeSegmentHeader(await store.get(key), key);
  }
  checkPlace(header, chain, start, key);
  return header;
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

/** Where the chain ends: the first offset of which the archive says nothing. `from` is any segment boundary of it. */
export async function chainEnd(store: Store, chain: ChainName, from: number): Promise<number> {
  let end = from;
  for await (const header of followHeaders(store, chain, from)) end = header.end;
  return end;
}

/**
 * Segments over exactly [from, until), in order; both are segment boundaries.
 * Throws E_CHAIN_GAP where one is missing, E_SEGMENT_CORRUPT where one cannot be read; with `onGap` those ranges are
 * reported and left out (a corrupt segment up to the next start that the store lists).
 */
export async function* followSegments(
  store: Store,
  chain: ChainName,
  from: number,
  until: number,
  onGap?: (gap: { start: number; end: number; error: SluiceError }) => void,
): AsyncGenerator<Segment, void, undefined> {
  for (let at = from; at < until;) {
    let segment: Segment;
    try {
      segment = await readSegment(store, chain, at);
    } catch (error) {
      const gap = asGap(error, chain, at, until);
      if (gap === null) throw error;
      if (onGap === undefined) throw gap;
      const next = await nextStart(store, chain, at, until);
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
    yield segment;
    at = segment.header.end;
  }
}

function asGap(error: unknown, chain: ChainName, at: number, until: number): SluiceError | null {
  if (isSluiceError(error, "E_SEGMENT_CORRUPT")) return error;
  if (!isSluiceError(error, "E_STORE_MISSING")) return null;
  return new SluiceError(
    "E_CHAIN_GAP",
    `Expected a segment of ${chain.stream}/${chain.partition} at offset ${at} (the chain reaches to ${until}), found none at ` +
      `${keys.segment(chain, at)}. Restore the object, or leave its range out with \`sluice rebuild --allow-gaps\`.`,
    { cause: error, start: at },
  );
}

async function nextStart(store: Store, chain: ChainName, after: number, until: number): Promise<number> {
  for await (const { key } of store.list(keys.chain(chain))) {
    const start = segmentStart(key);
    if (start > after) return Math.min(start, until);
  }
  return until;
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
 * The origin of the live chain of (teacher, stream, partition): `candidate` (the log's start) the first time that
 * anyone asks, and the same answer ever after.
 */
export async function liveChain(
  store: Store,
  place: Omit<ChainName, "origin">,
  candidate: () => Promise<number>,
): Promise<ChainName> {
  const key = keys.liveChain(place);
  let origin = await readOrigin(store, key);
  if (origin === null) {
    await store.putIfAbsent(key, Buffer.from(JSON.stringify({ origin: await candidate() })));
    origin = await readOrigin(store, key);
  }
  if (origin === null) throw new SluiceError("E_STORE_IO", `The object ${key} was written and is not there.`);
  return { ...place, origin };
}

async function readOrigin(store: Store, key: string): Promise<number | null> {
  try {
    const { origin } = JSON.parse(Buffer.from(await store.get(key)).toString()) as { origin: unknown };
    if (typeof origin === "number" && Number.isSafeInteger(origin) && origin >= 0) return origin;
  } catch (error) {
    if (isSluiceError(error, "E_STORE_MISSING")) return null;
    if (error instanceof SluiceError) throw error;
  }
  throw new SluiceError(
    "E_SEGMENT_CORRUPT",
    `Expected {"origin": offset} at ${key}, found something else. Restore it.`,
  );
}
