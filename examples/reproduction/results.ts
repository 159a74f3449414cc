import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeWhole } from "../../pipelines/training/train-once.js";
import { pretrained } from "../../pipelines/study/study-arms.js";
import type { ArmResults } from "../../pipelines/study/run-study.js";
import { studyRows, type StudyRow } from "../../pipelines/study/study-summary.js";
import { orNull } from "../../schemas/errors.js";
import { CUT_OFF, WHAT_IF_GRID, type ReproductionPart } from "./arms.js";
import type { ReproductionWorld } from "./world.js";

/** One part as far as it is made. */
export interface PartResults {
  readonly name: string;
  readonly labels: number;
  readonly rows: readonly StudyRow[];
  /** What what-if chose, a seed; none where the part does not ask */
  readonly chosen: readonly (number | null)[];
}

/** The greatest K that what-if finds sound, remembered in the folder; null: not asked yet. */
export async function knownK(folder: string, labels: number, seed: number): Promise<number | null> {
  const text = await orNull(readFile(pathOf(folder, labels, seed), "utf8"), "ENOENT");
  return text === null ? null : Number(text);
}

/** The same, asked now: the teacher is trained and the images are scored first. Where no K is sound, the least of the grid. */
export async function chosenK(
  folder: string,
  labels: number,
  { world, base }: ReproductionWorld,
  seed: number,
): Promise<number> {
  const before = await knownK(folder, labels, seed);
  if (before !== null) return before;
  const { version } = pretrained(base);
  const k = (await world.greatestK(version, seed, WHAT_IF_GRID, CUT_OFF)) ?? WHAT_IF_GRID[0];
  await writeWhole(pathOf(folder, labels, seed), String(k));
  return k;
}

/** What of a part is made, over the seeds; nothing is trained. */
export async function partResults(
  folder: string,
  part: ReproductionPart,
  one: ReproductionWorld,
  seeds: readonly number[],
): Promise<PartResults> {
  const { name, labels } = part;
  const arms: ArmResults[] = [];
  const chosen: (number | null)[] = [];
  for (const [at, seed] of seeds.entries()) {
    const k = part.asksWhatIf === undefined ? one.base.k : await knownK(folder, labels, seed);
    if (part.asksWhatIf !== undefined) chosen.push(k);
    for (const [row, { recipe, ...arm }] of part.arms(one.base, k ?? one.base.k).entries()) {
      const result = k === null && arm.x !== null ? null : await one.world.known(recipe, seed);
      const before = arms[row]?.results ?? seeds.map(() => null);
      arms[row] = { ...arm, results: before.with(at, result) };
    }
  }
  return { name, labels, rows: studyRows({ arms }), chosen };
}

function pathOf(folder: string, labels: number, seed: number): string {
  return join(folder, `what-if-${labels}-${seed}`);
}
