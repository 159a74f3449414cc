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

/** The objects of a chain's tail, one a segment, as they are; whether they are the chain's is `ChainReader`'s to know. */

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
 * Throws E_STORE_MISSING where there is none at `start`, E_SEGMENT_CORRUPT where it is not as it was written.
 */
export async function readSegment(
  store: Store,
  chain: ChainName,
  start: number,
  memory?: SegmentMemory,
): Promise<Segment> {
  const key = keys.segment(chain, start);
  const bytes = memory === undefined ? undefined : store.getInto?.(key, memory.room);
  const found = decodeSegment(await (bytes ?? store.get(key)), key);
  checkPlace(found.header, chain, start, key);
  return found;
}

/** The header alone; null where there is no segment at `start`. `sizeBytes`: as it was listed. Throws E_SEGMENT_CORRUPT. */
export async function readSegmentHeader(
  store: Store,
  chain: ChainName,
  start: number,
  sizeBytes?: number,
): Promise<SegmentHeader | null> {
  const key = keys.segment(chain, start);
  const size = sizeBytes ?? (await store.head(key))?.sizeBytes;
  if (size === undefined) return null;
  const from = Math.max(0, size - FOOTER_READ_BYTES);
  try {
    const header = await headerIn(store, key, await store.getRange(key, from, size), from > 0);
    checkPlace(header, chain, start, key);
    return header;
  } catch (error) {
    if (isSluiceError(error, "E_STORE_MISSING")) return null;
    throw error;
  }
}

/** From the segment's last bytes, or from all of them where its footer is longer. */
async function headerIn(store: Store, key: string, tail: Uint8Array, isPart: boolean): Promise<SegmentHeader> {
  try {
    return decodeSegmentHeader(tail, key);
  } catch (error) {
    if (!isPart || !isSluiceError(error, "E_SEGMENT_CORRUPT")) throw error;
    return decodeSegmentHeader(await store.get(key), key);
  }
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
