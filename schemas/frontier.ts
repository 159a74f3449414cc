import { z } from "zod";
import { canonicalJson, sha256Hex } from "./canonical.js";

const offset = z.int().nonnegative();

/** Up to where each chain of one (teacher, stream) is taken in: offsets below `end`. Ordered by (partition, origin). */
export const frontierSchema = z.array(z.strictObject({ partition: offset, origin: offset, end: offset }));
/**
 * Offsets below a frontier that no chain of it has: the log had removed them before the teacher first read it, or nobody has replayed
 * them. They are neither in nor lost.
 */
export function unreadOffsets(frontier: Frontier): number {
  const furthest = new Map<number, number>();
  for (const { partition, end } of frontier) furthest.set(partition, Math.max(end, furthest.get(partition) ?? 0));
  return [...furthest.values()].reduce((sum, end) => sum + end, 0) - archivedOffsets(frontier);
}

/** Offsets that the chains of a frontier have: as many as records, where each offset has one. */
export function archivedOffsets(frontier: Frontier): number {
  return frontier.reduce((sum, { origin, end }) => sum + end - origin, 0);
}

export type Frontier = z.infer<typeof frontierSchema>;
export type ChainEnd = Frontier[number];

export function sortFrontier(ends: Iterable<ChainEnd>): Frontier {
  return [...ends].sort((a, b) => a.partition - b.partition || a.origin - b.origin);
}

/** Where the frontier is in one chain; the chain's origin where it is not in it at all. */
export function endIn(frontier: Frontier, chain: { partition: number; origin: number }): number {
  return frontier.find((at) => at.partition === chain.partition && at.origin === chain.origin)?.end ?? chain.origin;
}

/** Whether every chain of `low` ends at or below its end in `high`. */
export function atOrBelow(low: Frontier, high: Frontier): boolean {
  return low.every((chain) => chain.end <= endIn(high, chain));
}

/** A file-name-safe name; names of later frontiers of the same chains sort behind those of earlier ones. */
export function frontierName(frontier: Frontier): string {
  const covered = frontier.reduce((sum, chain) => sum + (chain.end - chain.origin), 0);
  return `${String(covered).padStart(20, "0")}-${sha256Hex(canonicalJson(frontier)).slice(0, 16)}`;
}
