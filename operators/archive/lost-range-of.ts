import type { Store } from "../../connectors/store/store.js";
import { isSluiceError } from "../../schemas/errors.js";
import { keys, scoredPackPlace } from "../../schemas/keys.js";
import { LOST_RANGE_VERSION, type LostRange, type LostSegment } from "../../schemas/lost-range.js";
import type { EngineInfo, SegmentHeader } from "../../schemas/segment.js";
import type { ChainReader, Gap } from "./chain-reader.js";

/**
 * The declaration that a gap's offsets are lost. Where headers can be read, they say what its segments were; else it is cut at what other
 * objects know of their boundaries: `ends` of frontiers, and packs and runs, which begin where segments do.
 */
export async function lostRangeOf(
  store: Store,
  reader: ChainReader,
  gap: Gap,
  ends: readonly number[],
  said: Pick<LostRange, "reason" | "author" | "declaredMs">,
): Promise<LostRange> {
  const { chain } = reader;
  const { key } = gap.error.context;
  const end = await endOf(reader, gap, ends);
  const headers = await readableHeaders(reader, gap.start, end);
  const beside = headers?.[0] ?? (await headerBeside(reader, gap.start, end));
  const watermarkMs = headers === null ? (await reader.totalsAt(gap.start)).watermarkMs : null;
  return {
    schemaVersion: LOST_RANGE_VERSION,
    partition: chain.partition,
    origin: chain.origin,
    start: gap.start,
    end,
    ...said,
    key: typeof key === "string" ? key : null,
    engine: beside?.engine ?? UNKNOWN_ENGINE,
    codeVersion: beside?.codeVersion ?? "unknown",
    segments:
      headers === null ? await unknownSegments(store, reader, gap.start, end, ends, watermarkMs) : headers.map(lostOf),
  };
}

/** Of a chain's last segment, which says nothing any more: as far as a frontier knows it to reach, else one offset: what follows is scored again. */
async function endOf(reader: ChainReader, { start, end }: Gap, ends: readonly number[]): Promise<number> {
  const isLast = (await reader.end(start, () => undefined)) === start;
  return isLast ? Math.max(end, ...ends) : end;
}

/** null where one of them cannot be read. */
async function readableHeaders(reader: ChainReader, start: number, end: number): Promise<SegmentHeader[] | null> {
  try {
    const headers: SegmentHeader[] = [];
    for await (const header of reader.headers(start, end)) headers.push(header);
    return headers.length > 0 && headers.at(-1)?.end === end ? headers : null;
  } catch (error) {
    const isDamage = isSluiceError(error, "E_SEGMENT_CORRUPT") || isSluiceError(error, "E_CHAIN_GAP");
    if (!isDamage && !isSluiceError(error, "E_CHAIN_CONFLICT")) throw error;
    return null;
  }
}

async function headerBeside(reader: ChainReader, start: number, end: number): Promise<SegmentHeader | null> {
  let before: SegmentHeader | null = null;
  const { origin } = reader.chain;
  for await (const header of reader.headers(origin, undefined, () => undefined)) {
    if (header.end <= start) before = header;
    if (header.end > start) return header.start >= end && before === null ? header : before;
  }
  return before;
}

function lostOf({ end, counts, watermarkMs, rejected, retried, pack }: SegmentHeader): LostSegment {
  const { quarantined, lost } = counts;
  const all = { in: counts.in, scored: 0, copied: 0, quarantined, lost: lost + counts.scored + counts.copied };
  return { end, counts: all, watermarkMs, rejected, retried, pack };
}

async function unknownSegments(
  store: Store,
  { chain, runs }: ChainReader,
  start: number,
  end: number,
  ends: readonly number[],
  watermarkMs: number | null,
): Promise<LostSegment[]> {
  const packs = new Map<number, string>();
  for await (const { key } of store.list(keys.scoredPacks(chain))) {
    const place = scoredPackPlace(key);
    if (place !== null && place.start >= start && place.start < end) packs.set(place.start, place.attempt);
  }
  await runs.refresh();
  const runStarts = Array.from({ length: runs.levels }, (_, level) => runs.startsOf(level)).flat();
  const inside = [...ends, ...runStarts].filter((one) => one > start && one < end);
  const starts = new Set([start, ...packs.keys(), ...inside]);
  const sorted = [...starts].sort((a, b) => a - b);
  return sorted.map((from, at): LostSegment => {
    const until = sorted[at + 1] ?? end;
    const lost = until - from;
    const counts = { in: lost, scored: 0, copied: 0, quarantined: 0, lost };
    return { end: until, counts, watermarkMs, rejected: [], retried: [], pack: packs.get(from) ?? null };
  });
}

const UNKNOWN_ENGINE: EngineInfo = {
  name: "unknown",
  version: "unknown",
  backend: "unknown",
  device: "unknown",
  batchInvariant: "yes",
  batch: 1,
};
