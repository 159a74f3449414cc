import { meanInterval, type MeanInterval } from "../../operators/training/student-interval.js";
import type { ArmResult } from "../../schemas/study.js";
import type { StudyResults } from "./run-study.js";

/** One row of a study's table; shares in [0, 1]. */
export interface StudyRow {
  readonly label: string;
  readonly series: string;
  readonly x: number | string | null;
  /** null: no seed is done */
  readonly accuracy: MeanInterval | null;
  /** Mean recall of the rarer half of the classes */
  readonly tailRecall: MeanInterval | null;
  /** Over the same student on the labels alone, paired by seed */
  readonly gain: MeanInterval | null;
  readonly ece: MeanInterval | null;
  /** Rows of its version, and the lowest probability of any, means over the seeds; null where there is no version */
  readonly rows: number | null;
  readonly cutOff: number | null;
}

/** Means over the seeds that are done, with their 95 % intervals by Student's t. `baseline`: the arm that gains are over. */
export function studyRows({ arms }: Pick<StudyResults, "arms">, baseline = "labels alone"): StudyRow[] {
  const base = arms.find(({ label }) => label === baseline);
  return arms.map(({ label, series, x, results }) => {
    const done = results.filter((result) => result !== null);
    const gains = results.flatMap((result, seed) => {
      const its = base?.results[seed];
      return result === null || its == null || base?.label === label ? [] : [accuracyOf(result) - accuracyOf(its)];
    });
    const tails = done.flatMap(({ metrics }) => (metrics.tailRecall === null ? [] : [metrics.tailRecall]));
    const versions = done.flatMap(({ version }) => (version === null ? [] : [version]));
    return {
      label,
      series,
      x,
      accuracy: intervalOf(done.map(accuracyOf)),
      tailRecall: intervalOf(tails),
      gain: intervalOf(gains),
      ece: intervalOf(done.map(({ metrics }) => metrics.ece)),
      rows: intervalOf(versions.map(({ rows }) => rows))?.mean ?? null,
      cutOff: intervalOf(versions.flatMap(({ cutOff }) => (cutOff === null ? [] : [cutOff])))?.mean ?? null,
    };
  });
}

const accuracyOf = ({ metrics }: ArmResult): number => metrics.accuracy;

function intervalOf(values: readonly number[]): MeanInterval | null {
  return values.length === 0 ? null : meanInterval(values);
}

/** `85.6 ± 1.2`, in percent; without a half width for one seed alone; an empty text where there is nothing. */
export function percentText(interval: MeanInterval | null, isSigned = false): string {
  if (interval === null) return "";
  const { mean, halfWidth } = interval;
  const sign = isSigned && mean > 0 ? "+" : "";
  return `${sign}${(100 * mean).toFixed(1)}${Number.isNaN(halfWidth) ? "" : ` ± ${(100 * halfWidth).toFixed(1)}`}`;
}
