import type { Architecture } from "../../connectors/trainer/trainer.js";
import type { Schedule } from "../../operators/training/fit.js";
import { selectionSchema, type Selection } from "../../schemas/dataset.js";
import type { ModelCard } from "../../schemas/model-card.js";
import type { ModelRecipe } from "../../schemas/study.js";
import {
  BASELINE_SCHEDULE,
  fineTuneScheduleFor,
  LABELLED_SCHEDULE,
  networkFor,
  PRETRAIN_SCHEDULE,
  studentFor,
} from "../training/train-defaults.js";

/** What all arms of a study have, unless the arm is about it. */
export interface StudyBase {
  readonly input: ModelCard["input"];
  readonly classes: number;
  /** K and P of the arms that are not about them */
  readonly k: number;
  readonly p: number;
  readonly student: Architecture;
  /** What trains a teacher; or a model that is given, by its digest */
  readonly teacher: Architecture | { readonly given: string };
  readonly schedules: {
    readonly teacher: Schedule;
    readonly baseline: Schedule;
    readonly pretrain: Schedule;
    readonly fineTune: Schedule;
  };
}

/** One model of a study, made with each seed. */
export interface Arm {
  readonly label: string;
  /** Arms of one line in the chart */
  readonly series: string;
  /** Where it stands on the chart's axis; null: an arm that the others are compared with, drawn as a level */
  readonly x: number | string | null;
  readonly recipe: ModelRecipe;
}

/** The defaults of `sluice train`, with other numbers of steps where they are given. */
export function studyBase(
  given: Pick<StudyBase, "input" | "classes" | "k" | "p"> & {
    readonly given?: string | undefined;
    readonly steps?: { readonly [Phase in keyof StudyBase["schedules"]]?: number | undefined } | undefined;
  },
): StudyBase {
  const { input, classes, k, p, steps = {} } = given;
  const student = studentFor(input);
  const lasting = (schedule: Schedule, asked: number | undefined): Schedule =>
    asked === undefined ? schedule : { ...schedule, steps: asked };
  return {
    input,
    classes,
    k,
    p,
    student,
    teacher: given.given === undefined ? networkFor(input) : { given: given.given },
    schedules: {
      teacher: lasting(LABELLED_SCHEDULE, steps.teacher),
      baseline: lasting(BASELINE_SCHEDULE, steps.baseline),
      pretrain: lasting(PRETRAIN_SCHEDULE, steps.pretrain),
      fineTune: lasting(fineTuneScheduleFor(student), steps.fineTune),
    },
  };
}

/** The student on the labelled images alone: what every arm is compared with. */
export function supervised(base: StudyBase, architecture = base.student, salt?: number): ModelRecipe {
  const salted = salt === undefined ? {} : { salt };
  return { kind: "labelled", architecture, schedule: base.schedules.baseline, ...salted };
}

export function teacherOf(base: StudyBase, architecture: Architecture | null = null): ModelRecipe {
  const { teacher, schedules } = base;
  if (architecture === null && "given" in teacher) return { kind: "given", model: teacher.given };
  const chosen = architecture ?? (teacher as Architecture);
  // A dense network gains from more steps, as the student does.
  const schedule = chosen.kind === "mlp" ? schedules.baseline : schedules.teacher;
  return { kind: "labelled", architecture: chosen, schedule };
}

export interface StudentOptions {
  readonly select?: Partial<Selection>;
  readonly teacher?: ModelRecipe;
  readonly architecture?: Architecture;
  readonly share?: number;
  readonly pretrain?: Partial<Schedule>;
  readonly mix?: number;
  readonly soften?: number;
  readonly salt?: number;
}

/** The student that has seen a version, before the labelled images. */
export function pretrained(
  base: StudyBase,
  options: StudentOptions = {},
): Extract<ModelRecipe, { kind: "pre-trained" }> {
  const { select, teacher, architecture, share = 1, pretrain, mix, soften, salt } = options;
  return {
    kind: "pre-trained",
    architecture: architecture ?? base.student,
    schedule: { ...base.schedules.pretrain, ...pretrain },
    version: {
      teacher: teacher ?? teacherOf(base),
      share,
      select: selectionSchema.parse({ k: base.k, p: base.p, ...select }),
    },
    ...(mix === undefined ? {} : { mix }),
    ...(soften === undefined ? {} : { soften }),
    ...(salt === undefined ? {} : { salt }),
  };
}

export function fineTuned(base: StudyBase, from: ModelRecipe, change: Partial<Schedule> = {}): ModelRecipe {
  return { kind: "fine-tuned", from, schedule: { ...base.schedules.fineTune, ...change } };
}

/** Both of one student, as two lines of a chart. */
export function bothPhases(base: StudyBase, x: number | string, options: StudentOptions, said = ""): Arm[] {
  const first = pretrained(base, options);
  const last = fineTuned(base, first);
  const after = said === "" ? "" : `, ${said}`;
  return [
    { label: `${String(x)}${after}, pre-trained`, series: `pre-trained${after}`, x, recipe: first },
    { label: `${String(x)}${after}, fine-tuned`, series: `fine-tuned${after}`, x, recipe: last },
  ];
}

/** What the others are compared with, in every study. */
export function levels(base: StudyBase): Arm[] {
  return [
    { label: "labels alone", series: "labels alone", x: null, recipe: supervised(base) },
    { label: "teacher", series: "teacher", x: null, recipe: teacherOf(base) },
  ];
}
