import {
  bothPhases,
  fineTuned,
  levels,
  pretrained,
  supervised,
  type Arm,
  type StudyBase,
} from "../../pipelines/study/study-arms.js";

/** K of the grid, images a class */
export const GRID = [100, 200, 400, 800, 1600, 3200] as const;
/** Least probability of a version's last row: with it K is chosen, by what-if alone */
export const CUT_OFF = 0.5;

/** One part of the reproduction, as its table: those that matter most come first, since a run may end before all are made. */
export interface ReproductionPart {
  readonly name: string;
  readonly labels: 100 | 1000;
  readonly arms: (base: StudyBase) => Arm[];
}

export const PARTS: readonly ReproductionPart[] = [
  { name: "100 labels", labels: 100, arms: (base) => [...levels(base), ...bothPhases(base, base.k, {})] },
  { name: "K", labels: 100, arms: (base) => overK(base, [100, 3200, 400, 1600, 200]) },
  { name: "self-training", labels: 100, arms: selfTraining },
  { name: "balance", labels: 100, arms: (base) => unbalanced(base, [400, 800]) },
  { name: "1,000 labels", labels: 1000, arms: (base) => [...levels(base), ...bothPhases(base, base.k, {})] },
  { name: "K of the stronger teacher", labels: 1000, arms: (base) => overK(base, [3200, 400, 1600]) },
  { name: "ranking", labels: 100, arms: atRandom },
  { name: "share of the unlabelled images", labels: 100, arms: shares },
];

function overK(base: StudyBase, ks: readonly number[]): Arm[] {
  return ks.filter((k) => k !== base.k).flatMap((k) => bothPhases(base, k, { select: { k } }));
}

function selfTraining(base: StudyBase): Arm[] {
  const recipe = fineTuned(base, pretrained(base, { teacher: supervised(base) }));
  return [{ label: "self-trained, fine-tuned", series: "self-trained", x: base.k, recipe }];
}

function unbalanced(base: StudyBase, ks: readonly number[]): Arm[] {
  return ks.flatMap((k) => bothPhases(base, k, { select: { k, balanced: false } }, "unbalanced"));
}

function atRandom(base: StudyBase): Arm[] {
  return bothPhases(base, base.k, { select: { order: "random", seed: 1 } }, "at random");
}

function shares(base: StudyBase): Arm[] {
  return [0.03, 0.125].flatMap((share) =>
    bothPhases(base, share, { share, select: { k: Math.round(base.k * share) } }, "of the images"),
  );
}
