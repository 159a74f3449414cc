import {
  bothPhases,
  fineTuned,
  levels,
  pretrained,
  supervised,
  type Arm,
  type StudyBase,
} from "../../pipelines/study/study-arms.js";

/** K that what-if chooses among, and those of the grid, images a class */
export const WHAT_IF_GRID = [100, 200, 400, 800, 1600, 3200, 4000, 4800] as const;
/** Least probability of a version's last row: the greatest K of the grid with full classes and no row below it is chosen, without a test image */
export const CUT_OFF = 0.5;

/** One part of the reproduction, as its table. What matters most comes first: a run may end before all are made. */
export interface ReproductionPart {
  readonly name: string;
  readonly labels: 100 | 1000;
  /** `k`: what what-if chooses under the seed; a part that does not ask for it has the same arms under every seed */
  readonly arms: (base: StudyBase, k: number) => Arm[];
  readonly asksWhatIf?: true;
}

export const PARTS: readonly ReproductionPart[] = [
  { name: "100 labels", labels: 100, arms: (base) => [...levels(base), ...bothPhases(base, base.k, {})] },
  { name: "100 labels, K by what-if", labels: 100, asksWhatIf: true, arms: byWhatIf },
  { name: "K", labels: 100, arms: (base) => overK(base, [3200, 100, 1600, 400, 200]) },
  { name: "1,000 labels", labels: 1000, arms: (base) => [...levels(base), ...bothPhases(base, base.k, {})] },
  { name: "1,000 labels, K by what-if", labels: 1000, asksWhatIf: true, arms: byWhatIf },
  { name: "self-training", labels: 100, arms: selfTraining },
  { name: "balance", labels: 100, arms: (base) => unbalanced(base, [400, 800]) },
  { name: "K of the stronger teacher", labels: 1000, arms: (base) => overK(base, [3200, 400, 1600]) },
  { name: "ranking", labels: 100, arms: atRandom },
  { name: "share of the unlabelled images", labels: 100, arms: shares },
];

function byWhatIf(base: StudyBase, k: number): Arm[] {
  return [...levels(base), ...bothPhases(base, k, { select: { k } })].map((arm) =>
    arm.x === null ? arm : { ...arm, x: "what-if", label: `K by what-if, ${arm.series}` },
  );
}

function overK(base: StudyBase, ks: readonly number[]): Arm[] {
  return [...levels(base), ...[...ks, base.k].flatMap((k) => bothPhases(base, k, { select: { k } }))];
}

function selfTraining(base: StudyBase): Arm[] {
  const recipe = fineTuned(base, pretrained(base, { teacher: supervised(base) }));
  return [
    ...levels(base),
    ...bothPhases(base, base.k, {}),
    { label: "self-trained, fine-tuned", series: "self-trained", x: base.k, recipe },
  ];
}

function unbalanced(base: StudyBase, ks: readonly number[]): Arm[] {
  return [
    ...levels(base),
    ...ks.flatMap((k) => [
      ...bothPhases(base, k, { select: { k } }, "balanced"),
      ...bothPhases(base, k, { select: { k, balanced: false } }, "unbalanced"),
    ]),
  ];
}

function atRandom(base: StudyBase): Arm[] {
  return [
    ...levels(base),
    ...bothPhases(base, base.k, {}, "ranked"),
    ...bothPhases(base, base.k, { select: { order: "random", seed: 1 } }, "at random"),
  ];
}

function shares(base: StudyBase): Arm[] {
  return [
    ...levels(base),
    ...[0.03, 0.125, 1].flatMap((share) =>
      bothPhases(base, share, { share, select: { k: Math.round(base.k * share) } }, "of the images"),
    ),
  ];
}
