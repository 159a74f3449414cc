import { crc32 } from "node:zlib";
import type { Store } from "../../connectors/store/store.js";
import { compactedBatch } from "../../schemas/compacted-rows.js";
import { isSluiceError, messageOf, SluiceError } from "../../schemas/errors.js";
import { keys, type ChainName } from "../../schemas/keys.js";
import type { ScoredBatch } from "../../schemas/scored-batch.js";
import type { RowGroupPlace, SegmentStub } from "../../schemas/segment-stub.js";
import { decodeArchived, type Segment, type SegmentHeader, type StubbedSegment } from "../../schemas/segment.js";
import { listCopies, placedSegments } from "./compacted-copies.js";

/** Gives memory of the caller's to read into. */
type Room = (sizeBytes: number) => Uint8Array;

/**
 * The segment that a stub stands for. Where the compacted file that it names is gone or damaged, another one that has
 * the same rows serves. Throws E_SEGMENT_CORRUPT, naming both keys.
 */
export async function followStub(
  store: Store,
  chain: ChainName,
  { header, stub }: StubbedSegment,
  room?: Room,
): Promise<Segment> {
  const tried = new Set<string>();
  const failures: SluiceError[] = [];
  const attempt = async (key: string, place: RowGroupPlace): Promise<Segment | null> => {
    tried.add(key);
    try {
      return { header, batch: await readRowGroup(store, key, place, header, room) };
    } catch (error) {
      if (!isSluiceError(error, "E_SEGMENT_CORRUPT") && !isSluiceError(error, "E_STORE_MISSING")) throw error;
      failures.push(error);
      return null;
    }
  };
  const found = await attempt(stub.key, stub.place);
  if (found !== null) return found;
  const own = keys.segment(chain, header.start);
  const now = await currentStub(store, own);
  if (now !== null && !tried.has(now.key)) {
    const moved = await attempt(now.key, now.place);
    if (moved !== null) return moved;
  }
  for (const copy of await listCopies(store, chain)) {
    if (tried.has(copy.key) || header.start < copy.start || header.start >= copy.end) continue;
    for (const { header: placed, place } of await placedSegments(store, copy).catch(() => [])) {
      if (placed.start !== header.start || place.sha256 !== stub.place.sha256) continue;
      const other = await attempt(copy.key, place);
      if (other !== null) return other;
    }
  }
  throw lostRows(own, stub.key, failures[0]);
}

async function currentStub(store: Store, key: string): Promise<SegmentStub | null> {
  const found = decodeArchived(await store.get(key), key);
  return "stub" in found ? found.stub : null;
}

/**
 * The rows of a row group of a compacted file, which must be those of a segment with this header. Throws
 * E_STORE_MISSING, or E_SEGMENT_CORRUPT where the bytes are not those that were written or are of another segment.
 */
export async function readRowGroup(
  store: Store,
  key: string,
  place: RowGroupPlace,
  header: SegmentHeader,
  room?: Room,
): Promise<ScoredBatch> {
  const { start, end } = place;
  const bytes = await ((room && store.getInto?.(key, room, { start, end })) ?? store.getRange(key, start, end));
  try {
    const expected = place.end - place.start;
    if (bytes.length !== expected) throw new TypeError(`${bytes.length} of ${expected} bytes are there`);
    if (crc32(bytes) !== place.crc32) throw new TypeError("their checksum is not that of the bytes written");
    const batch = compactedBatch(bytes, place);
    const [first, last] = [Number(batch.offset[0]), Number(batch.offset[batch.count - 1])];
    if (first < header.start || last >= header.end || batch.partition[0] !== header.partition) {
      throw new TypeError(`they are rows of offsets ${first} to ${last} of partition ${batch.partition[0]}`);
    }
    return batch;
  } catch (error) {
    throw new SluiceError(
      "E_SEGMENT_CORRUPT",
      `Expected the rows of offsets [${header.start}, ${header.end}) of ${header.stream}/${header.partition} in bytes ` +
        `[${place.start}, ${place.end}) of ${key}, found others: ${messageOf(error)}. Restore the object from a copy.`,
      { cause: error, key },
    );
  }
}

function lostRows(own: string, key: string, failure: SluiceError | undefined): SluiceError {
  const why = failure?.code === "E_SEGMENT_CORRUPT" ? failure.message : "no such object";
  return new SluiceError(
    "E_SEGMENT_CORRUPT",
    `Expected the rows of the segment ${own} in the compacted file ${key}, found ${why}${why.endsWith(".") ? "" : "."} ` +
      `Restore ${key} from a copy; \`sluice rebuild --allow-gaps\` leaves the segment's range out and marks the version incomplete.`,
    { cause: failure, key: own, compacted: key },
  );
}
