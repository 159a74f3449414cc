import type { Drift } from "../../schemas/drift.js";
import { countText } from "../../schemas/counted.js";

/** Classes that are named */
const NAMED = 3;

/** One line of what has drifted since the version before, and what moved most. */
export function driftLine(
  { since, psi, psiByChance, ks, rowsNow, classes }: Drift,
  beyond: readonly string[] = [],
): string {
  const index = Math.max(0, psi - psiByChance).toFixed(2);
  const moved = classes
    .filter((one) => one.now !== one.before)
    .slice(0, NAMED)
    .map(({ label, now, before }) => `${label} ${percent(before)} to ${percent(now)}`);
  return (
    `${beyond.length === 0 ? "" : "warning: "}PSI ${index}, KS ${ks.toFixed(2)} of ${countText(rowsNow)} looked at since version ${since}` +
    `${beyond.length === 0 ? "" : `, ${beyond.join(" and ").toUpperCase()} beyond the dataset's limits`}${moved.length === 0 ? "" : `: ${moved.join(", ")}`}`
  );
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
