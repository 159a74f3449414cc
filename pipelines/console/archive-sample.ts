import type { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { isSluiceError } from "../../schemas/errors.js";
import type { ScoredBatch } from "../../schemas/scored-batch.js";

/** Offsets [from, end) of a chain; both are boundaries of its segments. */
export interface SampledRange {
  readonly partition: number;
  readonly origin: number;
  readonly from: number;
  readonly end: number;
}

/** What was read of the ranges. */
export interface ReadSample {
  readonly rows: number;
  /** Offsets that the ranges have */
  readonly records: number;
  /** All of them were read */
  readonly isWhole: boolean;
}

/** Segments that are read of ranges too long to be read whole */
const PLACES = 96;

const passOver = (): void => undefined;

/**
 * Reads at most about `mostRows` archived rows: all, where the ranges have no more offsets, and otherwise whole segments at places spread evenly
 * over them, the same ones each time. What is damaged is passed over.
 */
export async function sampleArchive(
  archive: ArchiveReader,
  ranges: readonly SampledRange[],
  mostRows: number,
  take: (batch: ScoredBatch) => void,
  signal?: AbortSignal,
): Promise<ReadSample> {
  const records = ranges.reduce((sum, { from, end }) => sum + end - from, 0);
  let rows = 0;
  const read = async (range: SampledRange, from: number, end: number): Promise<void> => {
    for await (const { batch } of archive.segments(range, from, end, passOver)) {
      if (signal?.aborted === true) return;
      rows += batch.count;
      take(batch);
    }
  };
  if (records <= mostRows) {
    for (const range of ranges) await read(range, range.from, range.end);
    return { rows, records, isWhole: true };
  }
  const seen = new Set<string>();
  for (let place = 0; place < PLACES && rows < mostRows && signal?.aborted !== true; place++) {
    const at = placeAt(ranges, Math.floor(records * spread(place)));
    const segment = await segmentAt(archive, at.range, at.offset);
    const name = `${at.range.partition}/${at.range.origin}/${segment?.start ?? ""}`;
    if (segment === null || seen.has(name)) continue;
    seen.add(name);
    await read(at.range, segment.start, segment.end);
  }
  return { rows, records, isWhole: false };
}

function placeAt(ranges: readonly SampledRange[], record: number): { range: SampledRange; offset: number } {
  let left = record;
  for (const range of ranges) {
    const length = range.end - range.from;
    if (left < length) return { range, offset: range.from + left };
    left -= length;
  }
  const range = ranges.at(-1)!;
  return { range, offset: range.end - 1 };
}

async function segmentAt(
  archive: ArchiveReader,
  range: SampledRange,
  offset: number,
): Promise<{ readonly start: number; readonly end: number } | null> {
  const reader = archive.chain(range);
  try {
    const start = await reader.boundaryAtOrBelow(offset);
    for await (const header of reader.headers(start, range.end)) return { start: header.start, end: header.end };
    return null;
  } catch (error) {
    if (isSluiceError(error, "E_CHAIN_GAP") || isSluiceError(error, "E_SEGMENT_CORRUPT")) return null;
    throw error;
  }
}

/** The n-th of numbers in [0, 1) of which any first ones are spread evenly: its bits, turned around. */
function spread(n: number): number {
  let [value, half] = [0, 0.5];
  for (let left = n; left > 0; left >>= 1, half /= 2) if ((left & 1) === 1) value += half;
  return value;
}
