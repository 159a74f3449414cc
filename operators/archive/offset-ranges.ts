/** Offsets [start, end) of one partition. */
export interface OffsetRange {
  readonly start: number;
  readonly end: number;
}

/** What of a range none of `taken` has, ascending; `taken` in any order, `end` may be infinite. */
export function without(range: OffsetRange, taken: readonly OffsetRange[]): OffsetRange[] {
  const left: OffsetRange[] = [];
  let at = range.start;
  for (const { start, end } of [...taken].sort((a, b) => a.start - b.start)) {
    if (end <= Math.max(at, start) || start >= range.end) continue;
    if (start > at) left.push({ start: at, end: start });
    at = Math.max(at, end);
  }
  if (at < range.end) left.push({ start: at, end: range.end });
  return left;
}

export function lengthOf(ranges: readonly OffsetRange[]): number {
  return ranges.reduce((sum, { start, end }) => sum + end - start, 0);
}

export function meets(a: OffsetRange, b: OffsetRange): boolean {
  return Math.max(a.start, b.start) < Math.min(a.end, b.end);
}
