import type { Architecture } from "../../connectors/trainer/trainer.js";
import { SluiceError } from "../../schemas/errors.js";
import type { ModelRecipe } from "../../schemas/study.js";
import {
  bothPhases,
  fineTuned,
  levels,
  pretrained,
  supervised,
  teacherOf,
  type Arm,
  type StudyBase,
} from "./study-arms.js";

export interface StudyGrid {
  /** What it answers, one sentence */
  readonly question: string;
  /** Of the chart's axis */
  readonly axis: string;
  readonly arms: (base: StudyBase) => readonly Arm[];
}

/** Every study, by the name that one types. Each is arms over a base; equal arms of several studies are one. */
export const STUDIES = {
  k: {
    question: "How many images a class?",
    axis: "K, images a class",
    arms: (base) =>
      scaled(base.k, [1 / 8, 1 / 4, 1 / 2, 1, 2, 4]).flatMap((k) => bothPhases(base, k, { select: { k } })),
  },
  p: {
    question: "How many classes may an image stand for?",
    axis: "P, classes an image",
    arms: (base) =>
      distinct([1, 2, 3, 5, 10].map((p) => Math.min(p, base.classes))).flatMap((p) =>
        bothPhases(base, p, { select: { p } }),
      ),
  },
  teacher: {
    question: "What is a stronger teacher worth, and does it bear a larger K?",
    axis: "K, images a class",
    arms: (base) =>
      teachers(base).flatMap(({ name, recipe }) => [
        { label: `${name} itself`, series: `${name} itself`, x: null, recipe },
        ...scaled(base.k, [1 / 2, 1, 2, 4]).map((k): Arm => {
          const student = fineTuned(base, pretrained(base, { teacher: recipe, select: { k } }));
          return { label: `${name}, K = ${k}`, series: `student of ${name}`, x: k, recipe: student };
        }),
      ]),
  },
  student: {
    question: "Which students gain, and by how much?",
    axis: "student",
    arms: (base) =>
      students(base).flatMap(({ name, architecture }) => {
        const own = supervised(base, architecture);
        return [
          { label: `${name}, labels alone`, series: "its labels alone", x: name, recipe: own },
          ...bothPhases(base, name, { architecture }),
          {
            label: `${name}, self-trained`,
            series: "self-trained",
            x: name,
            recipe: fineTuned(base, pretrained(base, { architecture, teacher: own })),
          },
        ];
      }),
  },
  unlabelled: {
    question: "How many unlabelled images does it take? K falls with them.",
    axis: "share of the unlabelled images",
    arms: (base) =>
      [0.03, 0.06, 0.125, 0.25, 0.5, 1].flatMap((share) =>
        bothPhases(base, share, { share, select: { k: Math.max(1, Math.round(base.k * share)) } }),
      ),
  },
  epochs: {
    question: "How long is a student to be pre-trained?",
    axis: "steps on the version",
    arms: (base) =>
      scaled(base.schedules.pretrain.steps, [1 / 8, 1 / 4, 1 / 2, 1, 2]).flatMap((steps) =>
        bothPhases(base, steps, { pretrain: { steps } }),
      ),
  },
  balance: {
    question: "Is the same number of images a class better than the best images of all classes together?",
    axis: "K, images a class",
    arms: (base) =>
      scaled(base.k, [1 / 2, 1, 2]).flatMap((k) => [
        ...bothPhases(base, k, { select: { k } }, "balanced"),
        ...bothPhases(base, k, { select: { k, balanced: false } }, "unbalanced"),
      ]),
  },
  ranking: {
    question: "Are the best images better than images at random of those whose best class it is?",
    axis: "K, images a class",
    arms: (base) =>
      scaled(base.k, [1 / 2, 1]).flatMap((k) => [
        ...bothPhases(base, k, { select: { k } }, "ranked"),
        ...bothPhases(base, k, { select: { k, order: "random", seed: 1 } }, "at random"),
      ]),
  },
  "self-training": {
    question: "Does a student gain more from a stronger teacher than from itself?",
    axis: "K, images a class",
    arms: (base) =>
      scaled(base.k, [1 / 2, 1]).flatMap((k) => [
        ...bothPhases(base, k, { select: { k } }, "by the teacher"),
        ...bothPhases(base, k, { select: { k }, teacher: supervised(base) }, "by itself"),
      ]),
  },
  finetune: {
    question: "How is the pre-trained student to be fine-tuned?",
    axis: "K, images a class",
    arms: (base) =>
      scaled(base.k, [1, 4]).flatMap((k) => {
        const from = pretrained(base, { select: { k } });
        const { steps, learningRate } = base.schedules.fineTune;
        const arm = (series: string, recipe: ModelRecipe): Arm => ({
          label: `K = ${k}, ${series}`,
          series,
          x: k,
          recipe,
        });
        return [
          arm("not at all", from),
          arm("by default", fineTuned(base, from)),
          arm("five times as long", fineTuned(base, from, { steps: 5 * steps })),
          arm("ten times the rate", fineTuned(base, from, { learningRate: 10 * learningRate })),
          arm("classes as they come", fineTuned(base, from, { classBalanced: false })),
        ];
      }),
  },
  mixing: {
    question: "Is the version to be trained on first, or together with the labelled images?",
    axis: "share of the labelled images while pre-training",
    arms: (base) => [...bothPhases(base, 0, {}), ...[0.1, 0.25, 0.5].flatMap((mix) => bothPhases(base, mix, { mix }))],
  },
  direct: {
    question: "Is the student that has seen the version alone good as it is?",
    axis: "K, images a class",
    arms: (base) => scaled(base.k, [1 / 4, 1, 4]).flatMap((k) => bothPhases(base, k, { select: { k } })),
  },
  distil: {
    question: "Is the teacher's probability of each class a better aim than the class that an image was chosen for?",
    axis: "temperature of the probabilities",
    arms: (base) => [
      ...bothPhases(base, "one class", {}),
      ...[1, 2, 4].flatMap((soften) => bothPhases(base, soften, { soften })),
    ],
  },
  augment: {
    question: "How far are pictures to be moved while pre-training?",
    axis: "movements, as a share of the default ones",
    arms: (base) =>
      [0, 0.5, 1, 1.5].flatMap((share) =>
        bothPhases(base, share, { pretrain: share === 1 ? {} : { augmentation: movedBy(base, share) } }),
      ),
  },
  mutual: {
    question: "What do two students gain that teach each other?",
    axis: "round",
    arms: (base) => mutual(base, 2),
  },
  floor: {
    question: "What is a least probability of the chosen images worth?",
    axis: "least probability",
    arms: (base) => [0, 0.5, 0.7, 0.9, 0.99].flatMap((floor) => bothPhases(base, floor, { select: { floor } })),
  },
} satisfies Readonly<Record<string, StudyGrid>>;

export type StudyName = keyof typeof STUDIES;

export const STUDY_NAMES = Object.keys(STUDIES) as readonly StudyName[];

/** The arms of a study, those that the others are compared with first. Throws E_USAGE for a name that is none. */
export function studyOf(
  name: string,
  base: StudyBase,
): { readonly name: StudyName; readonly grid: StudyGrid; readonly arms: readonly Arm[] } {
  if (!isStudy(name)) {
    throw new SluiceError("E_USAGE", `Expected one of ${STUDY_NAMES.join(", ")} or all, found "${name}".`);
  }
  const grid = STUDIES[name];
  return { name, grid, arms: [...levels(base), ...grid.arms(base)] };
}

function isStudy(name: string): name is StudyName {
  return Object.hasOwn(STUDIES, name);
}

function scaled(value: number, factors: readonly number[]): number[] {
  return distinct(factors.map((factor) => Math.max(1, Math.round(value * factor))));
}

function distinct(values: readonly number[]): number[] {
  return [...new Set(values)];
}

/** The student itself, a teacher of half the channels, and the one of the other arms. */
function teachers(base: StudyBase): { readonly name: string; readonly recipe: ModelRecipe }[] {
  const { teacher } = base;
  const own = { name: "student as teacher", recipe: supervised(base) };
  const usual = { name: "teacher", recipe: teacherOf(base) };
  if ("given" in teacher || teacher.kind !== "patch-conv") return [own, usual];
  const half = { ...teacher, channels: teacher.channels.map((channels) => Math.max(1, Math.round(channels / 4))) };
  return [own, { name: "quarter teacher", recipe: teacherOf(base, half) }, usual];
}

function students(base: StudyBase): { readonly name: string; readonly architecture: Architecture }[] {
  const { student } = base;
  const scale = (factor: number): Architecture =>
    student.kind === "mlp"
      ? { kind: "mlp", hidden: student.hidden.map((units) => Math.max(1, Math.round(units * factor))) }
      : { ...student, channels: student.channels.map((channels) => Math.max(1, Math.round(channels * factor))) };
  return [
    { name: "half", architecture: scale(0.5) },
    { name: "student", architecture: student },
    { name: "fourfold", architecture: scale(4) },
  ];
}

function movedBy(base: StudyBase, share: number): StudyBase["schedules"]["pretrain"]["augmentation"] {
  const moved = base.schedules.pretrain.augmentation;
  if (share === 0 || moved === null) return null;
  const { rotateDegrees, scale, shift, shear, tint } = moved;
  return {
    rotateDegrees: rotateDegrees * share,
    scale: scale * share,
    shift: shift * share,
    shear: shear * share,
    tint: tint * share,
  };
}

/** Two of the same kind that began with other weights; each is pre-trained on what the other has chosen, round after round. */
function mutual(base: StudyBase, rounds: number): Arm[] {
  const salts = [1, 2] as const;
  let pair: readonly ModelRecipe[] = salts.map((salt) => supervised(base, base.student, salt));
  const arms: Arm[] = pair.map((recipe, at) => armOf(at, 0, recipe));
  for (let round = 1; round <= rounds; round++) {
    const before = pair;
    pair = salts.map((salt, at) => fineTuned(base, pretrained(base, { teacher: before[1 - at]!, salt })));
    arms.push(...pair.map((recipe, at) => armOf(at, round, recipe)));
  }
  return arms;
}

function armOf(at: number, round: number, recipe: ModelRecipe): Arm {
  const series = at === 0 ? "one" : "the other";
  return { label: `round ${round}, ${series}`, series, x: round, recipe };
}
