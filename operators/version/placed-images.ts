import type { Span } from "../../schemas/dataset.js";
import { rowsOfImages } from "../archive/rows-of-images.js";
import { PlacedRows, type PlacedRow } from "../select/placed-rows.js";
import type { Ranking } from "../select/ranking.js";
import type { Placement } from "../select/retractions.js";
import { isIn } from "../select/windows.js";
import type { RowPlaces } from "./archived-rows.js";

/**
 * Where the images that people placed in classes are archived, below a frontier and in a window: of several occurrences the one of the greatest key, then of
 * the lowest (partition, offset). Those that were not seen there are left out: they wait. null where nothing is placed. Throws E_CHAIN_GAP where a
 * segment is missing, unless `onGap` is given; E_SEGMENT_CORRUPT, E_STORE_IO.
 */
export async function placedImages(
  { archive, frontier }: RowPlaces,
  {
    span,
    ranking,
    onGap,
  }: { readonly span: Span; readonly ranking: Ranking; readonly onGap?: (() => void) | undefined },
  placements: readonly Placement[],
): Promise<PlacedRows | null> {
  const classOf = new Map(placements.map((one) => [one.sha256, one.class]));
  const found = new Map<string, PlacedRow>();
  for await (const { sha256, batch } of rowsOfImages(archive, classOf.keys(), { frontier, onGap: onGap ?? null })) {
    if (!isIn(span, Number(batch.eventTimeMs[0]!)) || ranking.leavesOut(batch, 0) !== null) continue;
    const index = classOf.get(sha256)!;
    const score = ranking.scoreIn(batch, 0, index);
    const row: PlacedRow = {
      class: index,
      sha256,
      key: score?.key ?? Number.NaN,
      probability: score?.probability ?? Number.NaN,
      partition: batch.partition[0]!,
      offset: Number(batch.offset[0]!),
    };
    const before = found.get(sha256);
    if (before === undefined || isRecorded(row, before)) found.set(sha256, row);
  }
  return found.size === 0 ? null : new PlacedRows([...found.values()]);
}

/** Whether `a` is the recorded occurrence of the two. */
function isRecorded(a: PlacedRow, b: PlacedRow): boolean {
  const [mine, other] = [a, b].map(({ key }) => (Number.isNaN(key) ? Number.NEGATIVE_INFINITY : key)) as [
    number,
    number,
  ];
  if (mine !== other) return mine > other;
  return a.partition !== b.partition ? a.partition < b.partition : a.offset < b.offset;
}
