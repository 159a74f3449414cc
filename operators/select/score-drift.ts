import type { Drift } from "../../schemas/drift.js";

/** The probability of each image's best class, by class, [L]. */
export type BestScores = readonly (readonly number[])[];

/** Classes that are named */
const NAMED = 10;
/** Images of a class on either side from which its own scores are compared */
const FEW = 50;
/** sqrt(-ln(0.0005) / 2): what Kolmogorov's statistic exceeds by chance one time in a thousand */
const RARELY = 1.9495;

/** How images differ from those before them; null where one side has none. `labels`: of the classes, [L]. */
export function scoreDrift(
  now: BestScores,
  before: BestScores,
  labels: readonly string[],
): Omit<Drift, "since"> | null {
  const [rowsNow, rowsBefore] = [now, before].map((side) => side.reduce((sum, { length }) => sum + length, 0)) as [
    number,
    number,
  ];
  if (rowsNow === 0 || rowsBefore === 0) return null;
  const seen = labels.flatMap((_, index) => (now[index]!.length + before[index]!.length > 0 ? [index] : []));
  // Half an image each, so that a class that is new or gone counts, and not without bound.
  const share = (count: number, rows: number): number => (count + 0.5) / (rows + 0.5 * seen.length);
  const moves = seen.map((index) => {
    const [p, q] = [share(now[index]!.length, rowsNow), share(before[index]!.length, rowsBefore)];
    return { index, move: (p - q) * Math.log(p / q) };
  });
  const classes = [...moves]
    .sort((a, b) => b.move - a.move || a.index - b.index)
    .slice(0, NAMED)
    .map(({ index }) => {
      const [own, theirs] = [now[index]!, before[index]!];
      return {
        class: index,
        label: labels[index]!,
        now: own.length / rowsNow,
        before: theirs.length / rowsBefore,
        ks: Math.min(own.length, theirs.length) < FEW ? null : kolmogorovSmirnov(own, theirs),
      };
    });
  const eitherSide = 1 / rowsNow + 1 / rowsBefore;
  return {
    rowsNow,
    rowsBefore,
    psi: moves.reduce((sum, { move }) => sum + move, 0),
    // The index is about a chi-squared of seen - 1 degrees, times this.
    psiByChance: Math.max(0, seen.length - 1) * eitherSide,
    ks: kolmogorovSmirnov(now.flat(), before.flat()),
    ksByChance: RARELY * Math.sqrt(eitherSide),
    classes,
  };
}

/** Greatest distance between two samples' distribution functions, 0 to 1. Neither may be empty. */
export function kolmogorovSmirnov(a: readonly number[], b: readonly number[]): number {
  const [left, right] = [Float64Array.from(a).sort(), Float64Array.from(b).sort()];
  let [i, j, most] = [0, 0, 0];
  while (i < left.length && j < right.length) {
    const at = Math.min(left[i]!, right[j]!);
    while (i < left.length && left[i]! === at) i++;
    while (j < right.length && right[j]! === at) j++;
    most = Math.max(most, Math.abs(i / left.length - j / right.length));
  }
  return most;
}
