import type { Store } from "../../connectors/store/store.js";
import { isSluiceError } from "../../schemas/errors.js";
import { keys, type ChainName } from "../../schemas/keys.js";
import type { SegmentHeader } from "../../schemas/segment.js";
import type { ChainRuns } from "./chain-runs.js";
import { readSegmentHeader, segmentStart } from "./segment-objects.js";

/** Headers of the tail that are read at once */
const HEADERS_AT_ONCE = 64;

/** What was read of a chain's tail at once. */
export interface HeadersAhead {
  /** By start; a segment that has gone or is damaged has none */
  readonly headers: ReadonlyMap<number, SegmentHeader>;
  /** Whether the store may list more */
  readonly isFull: boolean;
  /** The first listed start behind an offset */
  readonly after: (offset: number) => number | null;
}

/**
 * Headers of the tail from an offset on, of the segments that the store lists: one request each. What they are worth is known once the runs
 * were looked at afterwards: null where those have got beyond the offset meanwhile.
 */
export async function headersAhead(
  store: Store,
  runs: ChainRuns,
  chain: ChainName,
  { from, until }: { readonly from: number; readonly until: number },
): Promise<HeadersAhead | null> {
  const sizes = await listedSegments(store, chain, from, HEADERS_AT_ONCE);
  const starts = [...sizes.keys()];
  const found = await Promise.all(
    starts.filter((start) => start < until).map((start) => headerOrNull(store, chain, start, sizes.get(start))),
  );
  const end = await endOrNull(runs);
  if (end !== null && end > from) return null;
  return {
    headers: new Map(end === null ? [] : found.flatMap((header) => (header === null ? [] : [[header.start, header]]))),
    isFull: starts.length === HEADERS_AT_ONCE,
    after: (offset) => starts.find((start) => start > offset) ?? null,
  };
}

/** The first segments that the store lists from an offset on, by start, with their sizes in bytes: it only says where to look. */
export async function listedSegments(
  store: Store,
  chain: ChainName,
  from: number,
  most: number,
): Promise<Map<number, number>> {
  const sizes = new Map<number, number>();
  const after = from > 0 ? keys.segment(chain, from - 1) : undefined;
  for await (const { key, sizeBytes } of store.list(keys.chain(chain), { after })) {
    if (key.endsWith(".arrow")) sizes.set(segmentStart(key), sizeBytes);
    if (sizes.size >= most) break;
  }
  return sizes;
}

/** null where the segment has gone, or is damaged: then it is met again on its own. */
async function headerOrNull(
  store: Store,
  chain: ChainName,
  start: number,
  sizeBytes: number | undefined,
): Promise<SegmentHeader | null> {
  try {
    return await readSegmentHeader(store, chain, start, sizeBytes);
  } catch (error) {
    if (isSluiceError(error, "E_SEGMENT_CORRUPT")) return null;
    throw error;
  }
}

/** Where the runs end; null where the index of one that begins in the tail is damaged: that is told of where its segment is asked for. */
async function endOrNull(runs: ChainRuns): Promise<number | null> {
  try {
    return await runs.look();
  } catch (error) {
    if (isSluiceError(error, "E_SEGMENT_CORRUPT")) return null;
    throw error;
  }
}
