import { canonicalJson, type Json } from "../../schemas/canonical.js";
import type { ArmResult, ModelRecipe } from "../../schemas/study.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import type { Arm } from "./study-arms.js";
import type { StudyName } from "./study-grids.js";
import type { StudyWorld } from "./study-world.js";

/** A study to be run: which arms, under which seeds. */
export interface StudyPlan {
  readonly name: StudyName;
  readonly question: string;
  readonly axis: string;
  readonly arms: readonly Arm[];
}

/** An arm with what it came to, a result a seed in the order of the seeds; null: not made yet. */
export interface ArmResults extends Omit<Arm, "recipe"> {
  readonly results: readonly (ArmResult | null)[];
}

export interface StudyResults extends Omit<StudyPlan, "arms"> {
  readonly seeds: readonly number[];
  readonly arms: readonly ArmResults[];
}

/** One model that plans need: made once, in however many of them it is. */
export interface PlannedArm {
  readonly label: string;
  readonly study: StudyName;
  readonly seed: number;
  readonly recipe: ModelRecipe;
}

export interface ArmDone {
  readonly arm: PlannedArm;
  /** Models of the plans, made and not made yet */
  readonly done: number;
  readonly total: number;
  /** ms that the rest may take, by those made so far; null before the first */
  readonly remainingMs: number | null;
  readonly result: ArmResult;
}

/** The models that plans need, each once: seed by seed, so that whole rows are there early. */
export function plannedArms(plans: readonly StudyPlan[], seeds: readonly number[]): PlannedArm[] {
  const planned = new Map<string, PlannedArm>();
  for (const { name: study, arms } of plans)
    for (const seed of seeds)
      for (const { label, recipe } of arms) {
        const key = canonicalJson({ recipe, seed } as unknown as Json);
        if (!planned.has(key)) planned.set(key, { label, study, seed, recipe });
      }
  return [...planned.values()];
}

/** Those of them that nobody has made yet, in this study or in another. */
export async function missingArms(world: StudyWorld, planned: readonly PlannedArm[]): Promise<PlannedArm[]> {
  const missing: PlannedArm[] = [];
  for (const arm of planned) if ((await world.known(arm.recipe, arm.seed)) === null) missing.push(arm);
  return missing;
}

export interface RunStudiesOptions {
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
  readonly onArm: (done: ArmDone) => void;
  readonly onFailed: (arm: PlannedArm, error: SluiceError) => void;
}

/**
 * Makes what is not made yet, one after the other. Killed anywhere, the same call goes on, and comes to the same. An arm that cannot be made is told of
 * (`onFailed`), and the others go on: the next call tries it again. Throws E_CANCELLED, and what may succeed another time.
 */
export async function runStudies(
  world: StudyWorld,
  plans: readonly StudyPlan[],
  seeds: readonly number[],
  { signal, nowMs, onArm, onFailed }: RunStudiesOptions,
): Promise<StudyResults[]> {
  const planned = plannedArms(plans, seeds);
  const missing = await missingArms(world, planned);
  const startedMs = nowMs();
  const known = planned.length - missing.length;
  for (const [at, arm] of missing.entries()) {
    if (signal.aborted) {
      throw new SluiceError(
        "E_CANCELLED",
        `Stopped on request with ${known + at} of ${planned.length} models made. The same command goes on.`,
        { cause: signal.reason },
      );
    }
    let result: ArmResult;
    try {
      result = await world.result(arm.recipe, arm.seed);
    } catch (error) {
      if (!isSluiceError(error) || error.retryable || error.code === "E_CANCELLED") throw error;
      onFailed(arm, error);
      continue;
    }
    const done = known + at + 1;
    const remainingMs = ((nowMs() - startedMs) / (at + 1)) * (missing.length - at - 1);
    onArm({ arm, done, total: planned.length, remainingMs, result });
  }
  return studyResults(world, plans, seeds);
}

/** What is known of studies by now. */
export async function studyResults(
  world: StudyWorld,
  plans: readonly StudyPlan[],
  seeds: readonly number[],
): Promise<StudyResults[]> {
  const all: StudyResults[] = [];
  for (const { arms, ...plan } of plans) {
    const known: ArmResults[] = [];
    for (const { recipe, ...arm } of arms) {
      const results: (ArmResult | null)[] = [];
      for (const seed of seeds) results.push(await world.known(recipe, seed));
      known.push({ ...arm, results });
    }
    all.push({ ...plan, seeds, arms: known });
  }
  return all;
}
