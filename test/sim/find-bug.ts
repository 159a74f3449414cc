import type { Bug } from "./bug.js";
import { drawScenario } from "./scenario.js";
import { simulate, type SeedOutcome } from "./simulate.js";

/** Seeds that are tried for a bug before it counts as not found */
export const SEEDS_A_BUG = 1000;

/** The first seed that catches a bug, after its likely one; null where none does. */
export async function findBug(bug: Bug, most = SEEDS_A_BUG): Promise<SeedOutcome | null> {
  const likely = bug.likelySeed === undefined ? [] : [bug.likelySeed];
  for (const seed of [...likely, ...Array(most).keys()]) {
    if (bug.side !== undefined && drawScenario(seed).side !== bug.side) continue;
    const outcome = await simulate(seed, bug);
    if (outcome.violation !== null) return outcome;
  }
  return null;
}
