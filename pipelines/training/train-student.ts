import { join } from "node:path";
import type { Decoder } from "../../connectors/decoder/decoder.js";
import { loadTeacher } from "../../connectors/engine/teacher/teacher-files.js";
import type { Store } from "../../connectors/store/store.js";
import type { Architecture, Preparation, TrainableModel, Trainer } from "../../connectors/trainer/trainer.js";
import { readCards, type ArchivedCard } from "../../operators/archive/teacher-registry.js";
import { DEFAULT_GATE } from "../../operators/training/gate.js";
import type { Schedule } from "../../operators/training/fit.js";
import { readExamples, type SkippedExample } from "../../operators/training/read-examples.js";
import { engineSchema, type DecodeConfig, type EngineConfig } from "../../schemas/config.js";
import { SluiceError } from "../../schemas/errors.js";
import type { LabelledPixels } from "../../schemas/labelled-pixels.js";
import { versionLabels, type Manifest } from "../../schemas/manifest.js";
import { modelCardSchema, type ModelCard } from "../../schemas/model-card.js";
import type { OnProgress } from "../../schemas/progress.js";
import { evaluate, lastGoodOf, loadModel, NOTHING_SCORED, trainBaseline, type ModelEvaluation } from "../train.js";
import { evaluateModel } from "./evaluate-model.js";
import { countsOf, examplesOf, readLabelledSet, type LabelledSet } from "./labelled-set.js";
import type { ModelTrainer } from "./model-trainer.js";
import { joinSaid, type SaidFrom } from "./said-set.js";
import { assertTestApart } from "./test-images-apart.js";
import { PRETRAINED_FOLDER, tfjsModelTrainer } from "./tfjs-model-trainer.js";
import { fineTuneScheduleFor, MAX_TRAINING_BYTES, PRETRAIN_SCHEDULE, studentFor } from "./train-defaults.js";
import { trainOnce } from "./train-once.js";

/** What a student sees; what is left out is as the version's teacher saw it */
export interface StudentInput {
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  readonly colour?: "rgb" | "grey" | undefined;
}

export interface TrainStudentRun {
  /** The built-in one; or another, which has its own configuration: then there is no baseline, and nothing is said of pre-training */
  readonly trainer: Trainer | ModelTrainer;
  /** Of what another trainer made, when it is tested */
  readonly engine?: EngineConfig | undefined;
  readonly decoder: Decoder;
  readonly decode: DecodeConfig;
  readonly store: Store;
  /** The version to pre-train on */
  readonly manifest: Manifest;
  /** `<folder>/<class name>/…`, the classes named as the teacher's labels */
  readonly labelled: string;
  /** Where images lie that people labelled in the version's stream: those that they said are of a class join the labelled ones. Absent: none do */
  readonly said?: SaidFrom | undefined;
  /** Of the same form; absent: nothing is evaluated */
  readonly test?: string | undefined;
  /** Where model and card go */
  readonly out: string;
  readonly name: string;
  /** What the student sees (layout NHWC) */
  readonly input?: StudentInput | undefined;
  readonly architecture?: Architecture | undefined;
  readonly pretrain?: Partial<Schedule> | undefined;
  readonly fineTune?: Partial<Schedule> | undefined;
  /** Train the same student on the labels alone as well, to see what the version is worth; needs `test` */
  readonly baseline: boolean;
  readonly baselineSchedule?: Partial<Schedule> | undefined;
  readonly seed: number;
  /** Bytes of pixels held at most; by default MAX_TRAINING_BYTES */
  readonly maxBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly onNote?: ((text: string) => void) | undefined;
  readonly nowMs?: (() => number) | undefined;
}

export interface TrainedStudent {
  readonly card: ModelCard;
  /** null where nothing was evaluated (no test folder; no baseline) */
  readonly evaluations: {
    readonly baseline: ModelEvaluation | null;
    readonly pretrained: ModelEvaluation | null;
    readonly fineTuned: ModelEvaluation | null;
  };
  /** Labelled images a class, [C] */
  readonly trainingCounts: readonly number[];
  /** Of the labelled images, those that people labelled in the stream */
  readonly saidImages: number;
  /** Images read from the version, one for each row whose bytes it has */
  readonly versionImages: number;
  /** false: the folder held what the same inputs give, and nothing was trained */
  readonly isNew: boolean;
  readonly skipped: readonly SkippedExample[];
}

const NOT_EVALUATED = { baseline: null, pretrained: null, fineTuned: null } as const;

/** version -> decode -> pre-train -> fine-tune on the labelled images -> evaluate -> model and card; killed, it goes on where it was */
export async function trainStudentRun(run: TrainStudentRun): Promise<TrainedStudent> {
  const { store, manifest } = run;
  const { input, resize, labels, teacher } = await studentView(store, manifest, run.input);
  const { maxBytes } = run.decode;
  const folder = await readLabelledSet(run.labelled, labels, maxBytes);
  const test = run.test === undefined ? null : await readLabelledSet(run.test, labels, maxBytes);
  const labelled =
    run.said === undefined ? folder : await joinSaid(folder, { store, manifest, teacher, test, from: run.said });
  if (test !== null) await assertTestApart(test, { labelled, version: { store, manifest } });
  const architecture = run.architecture ?? studentFor(input);
  const trained = await trainOnce({
    ...run,
    signal: run.signal ?? new AbortController().signal,
    nowMs: run.nowMs ?? Date.now,
    trainer: modelTrainerOf(run, architecture),
    inputs: { input, resize, seed: run.seed },
    folder: run.out,
    labelled,
    version: { store, manifest },
  });
  const { card, record, isNew, skipped } = trained;
  const saidImages = labelled.images.length - folder.images.length;
  const done = { card, trainingCounts: countsOf(labelled), saidImages, versionImages: record.versionImages, isNew };
  if (test === null) return { ...done, evaluations: NOT_EVALUATED, skipped };
  const { trainer } = run;
  const evaluations = isBuiltIn(trainer)
    ? await evaluateStudent({ ...run, trainer }, { labelled, test, architecture })
    : { ...NOT_EVALUATED, fineTuned: await evaluateFolder(run) };
  return { ...done, evaluations, skipped: [...skipped, ...test.skipped] };
}

function isBuiltIn(trainer: Trainer | ModelTrainer): trainer is Trainer {
  return "load" in trainer;
}

function modelTrainerOf(run: TrainStudentRun, architecture: Architecture): ModelTrainer {
  const { trainer } = run;
  if (!isBuiltIn(trainer)) return trainer;
  return tfjsModelTrainer({
    ...run,
    trainer,
    configuration: {
      architecture,
      first: { ...PRETRAIN_SCHEDULE, ...run.pretrain },
      fineTune: { ...fineTuneScheduleFor(architecture), ...run.fineTune },
    },
    maxBytes: run.maxBytes ?? MAX_TRAINING_BYTES,
    lastGood: lastGoodOf(run.out),
  });
}

/** A model that an engine runs, as `evaluate` gives it for one in training. */
async function evaluateFolder(run: TrainStudentRun): Promise<ModelEvaluation> {
  const { model } = await evaluateModel({
    ...run,
    model: run.out,
    test: run.test!,
    trainedOn: { labelled: run.labelled },
    rule: DEFAULT_GATE,
    engine: run.engine ?? engineSchema.parse({}),
    nowMs: run.nowMs ?? Date.now,
  });
  const { count, accuracy, recall, meanRecall, tailRecall, confusion } = model.metrics;
  return { count, accuracy, recall, meanRecall, tailRecall, confusion: Int32Array.from(confusion.flat()) };
}

/** What a student of a version sees, and the classes that it tells. Throws E_TEACHER_CARD where nothing says what it sees. */
export async function studentView(
  store: Store,
  manifest: Manifest,
  given: TrainStudentRun["input"],
): Promise<Pick<ModelCard, "input" | "resize" | "labels"> & { readonly teacher: ArchivedCard | undefined }> {
  const teacher = (await readCards(store)).get(manifest.teacher.digest);
  const said = Object.fromEntries(Object.entries(given ?? {}).filter(([, value]) => value !== undefined));
  const { input, resize } = modelCardSchema.pick({ input: true, resize: true }).parse({
    input: { ...(isWhole(given) ? {} : inputOf(teacher, manifest)), ...said, layout: "NHWC", fixedBatch: undefined },
    resize: teacher?.resize ?? {},
  });
  // Of a version whose classes are the teacher's own, what they are called now.
  const labels =
    manifest.select.labels === undefined && teacher !== undefined ? [...teacher.labels] : versionLabels(manifest);
  return { input, resize, labels, teacher };
}

function isWhole(given: StudentInput | undefined): boolean {
  return given?.width !== undefined && given.height !== undefined && given.colour !== undefined;
}

/** The trained student, as it was before fine-tuning, and the same on the labelled images alone. */
async function evaluateStudent(
  run: TrainStudentRun & { readonly trainer: Trainer },
  given: { readonly labelled: LabelledSet; readonly test: LabelledSet; readonly architecture: Architecture },
): Promise<TrainedStudent["evaluations"]> {
  const { trainer, out } = run;
  const { card } = await loadTeacher(out);
  const preparation: Preparation = card;
  const test = await decoded(run, "read test images", card, given.test);
  const trainingCounts = countsOf(given.labelled);
  const judge = async (model: TrainableModel): Promise<ModelEvaluation> => {
    const evaluation = await evaluate({ model, test, trainingCounts });
    model.dispose();
    return evaluation;
  };
  const baseline = async (): Promise<ModelEvaluation> => {
    const labelled = await decoded(run, "read labelled images", card, given.labelled);
    const { architecture } = given;
    const options = { ...run, architecture, preparation, labelled, lastGood: lastGoodOf(out) };
    return judge(await trainBaseline({ ...options, schedule: run.baselineSchedule }));
  };
  return {
    baseline: run.baseline ? await baseline() : null,
    pretrained: await judge(await loadModel(trainer, join(out, PRETRAINED_FOLDER))),
    fineTuned: await judge(await loadModel(trainer, out)),
  };
}

async function decoded(
  run: TrainStudentRun,
  phase: string,
  card: ModelCard,
  { images }: LabelledSet,
): Promise<LabelledPixels> {
  const { decoder, decode, signal, onProgress } = run;
  const maxBytes = run.maxBytes ?? MAX_TRAINING_BYTES;
  const onExample = (done: number): void => onProgress?.({ ...NOTHING_SCORED, phase, done, total: images.length });
  const options = { decoder, card, config: decode, maxBytes, signal, onExample };
  return (await readExamples(examplesOf(images), options)).examples;
}

function inputOf(teacher: ModelCard | undefined, manifest: Manifest): ModelCard["input"] {
  if (teacher !== undefined) return teacher.input;
  throw new SluiceError(
    "E_TEACHER_CARD",
    `Expected the card of teacher ${manifest.teacher.name} (${manifest.teacher.digest.slice(0, 12)}) in the store, found none. ` +
      "Say what the student sees (input width, height and colour).",
    { teacher: manifest.teacher.digest },
  );
}
