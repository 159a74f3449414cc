import type { Decoder } from "../../connectors/decoder/decoder.js";
import type { Store } from "../../connectors/store/store.js";
import type { Architecture, Preparation, TrainableModel, Trainer } from "../../connectors/trainer/trainer.js";
import { classCounts } from "../../operators/training/evaluation.js";
import { measureNormalise } from "../../operators/training/pixel-statistics.js";
import type { Schedule } from "../../operators/training/fit.js";
import {
  readExamples,
  type EncodedExample,
  type ReadExamples,
  type SkippedExample,
} from "../../operators/training/read-examples.js";
import type { ImageOpener } from "../../connectors/source/source.js";
import { readCards, type ArchivedCard } from "../../operators/archive/teacher-registry.js";
import { selectedClasses } from "../../operators/select/class-map.js";
import type { DecodeConfig } from "../../schemas/config.js";
import { SluiceError } from "../../schemas/errors.js";
import { versionLabels, type Manifest } from "../../schemas/manifest.js";
import { channelsOf, modelCardSchema, type ModelCard } from "../../schemas/model-card.js";
import type { OnProgress } from "../../schemas/progress.js";
import { digestsOf, saidExamples } from "./said-examples.js";
import { openLabelledFolder } from "./labelled-folder.js";
import { readSamples } from "../versions/shard-reader.js";
import { fineTuneScheduleFor, MAX_TRAINING_BYTES, studentFor } from "./train-defaults.js";
import {
  evaluate,
  fineTune,
  lastGoodOf,
  NOTHING_SCORED,
  pretrainStudent,
  saveModel,
  trainBaseline,
  type ModelEvaluation,
} from "../train.js";

export interface TrainStudentRun {
  readonly trainer: Trainer;
  readonly decoder: Decoder;
  readonly decode: DecodeConfig;
  readonly store: Store;
  /** The version to pre-train on */
  readonly manifest: Manifest;
  /** `<folder>/<class name>/…`, the classes named as the teacher's labels */
  readonly labelled: string;
  /** Where images lie that people labelled in the version's stream: those that they said are of a class join the labelled ones. Absent: none do */
  readonly said?: { readonly opener: ImageOpener; readonly nowMs: () => number } | undefined;
  /** Of the same form; absent: nothing is evaluated */
  readonly test?: string | undefined;
  /** Where model and card go */
  readonly out: string;
  readonly name: string;
  /** What the student sees (layout NHWC); by default what the version's teacher saw */
  readonly input?: { readonly width: number; readonly height: number; readonly colour: "rgb" | "grey" } | undefined;
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
  readonly skipped: readonly SkippedExample[];
}

/** version -> decode -> pre-train -> fine-tune on the labelled folder -> evaluate -> model and card */
export async function trainStudentRun(run: TrainStudentRun): Promise<TrainedStudent> {
  const { store, manifest } = run;
  const teacher = (await readCards(store)).get(manifest.teacher.digest);
  const { input, resize } = modelCardSchema.pick({ input: true, resize: true }).parse({
    input: run.input ?? { ...inputOf(teacher, manifest), layout: "NHWC", fixedBatch: undefined },
    resize: teacher?.resize ?? {},
  });
  // Of a version whose classes are the teacher's own, what they are called now.
  const labels =
    manifest.select.labels === undefined && teacher !== undefined ? [...teacher.labels] : versionLabels(manifest);
  const card = { input, resize };
  const version = await read(run, "read version", card, samplesOf(store, manifest));
  const folder = await folderOf(run.labelled, labels, run.decode);
  const said = { count: 0 };
  const labelled = await read(run, "read labelled images", card, withSaid(folder, saidOf(run, labels, teacher), said));
  const test =
    run.test === undefined
      ? null
      : await read(run, "read test images", card, await folderOf(run.test, labels, run.decode));
  const preparation: Preparation = {
    input,
    resize,
    // Of the version: the labelled images are few.
    normalise: measureNormalise(version.examples.pixels, channelsOf(input)),
    labels,
  };
  const trainingCounts = [...classCounts(labelled.examples.labels, labels.length)];
  const judge = async (model: TrainableModel): Promise<ModelEvaluation | null> =>
    test === null ? null : evaluate({ model, test: test.examples, trainingCounts });
  const architecture = run.architecture ?? studentFor(input);
  const common = { ...run, architecture, preparation, labelled: labelled.examples, lastGood: lastGoodOf(run.out) };

  let baseline: ModelEvaluation | null = null;
  if (run.baseline && test !== null) {
    const model = await trainBaseline({ ...common, schedule: run.baselineSchedule });
    baseline = await judge(model);
    model.dispose();
  }
  const pretrained = await pretrainStudent({ ...common, version: version.examples, schedule: run.pretrain });
  let student: TrainableModel | null = null;
  try {
    const schedule = { ...fineTuneScheduleFor(architecture), ...run.fineTune };
    student = await fineTune({ ...common, model: pretrained, schedule });
    return {
      card: await saveModel(student, run.out, run.name),
      evaluations: { baseline, pretrained: await judge(pretrained), fineTuned: await judge(student) },
      trainingCounts,
      saidImages: said.count,
      versionImages: version.examples.count,
      skipped: [version, labelled, ...(test === null ? [] : [test])].flatMap(({ skipped }) => skipped),
    };
  } finally {
    pretrained.dispose();
    student?.dispose();
  }
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

function read(
  run: TrainStudentRun,
  phase: string,
  card: Pick<ModelCard, "input" | "resize">,
  source: AsyncIterable<EncodedExample>,
): Promise<ReadExamples> {
  const { decoder, decode, signal, onProgress } = run;
  const maxBytes = run.maxBytes ?? MAX_TRAINING_BYTES;
  const onExample = (done: number): void => onProgress?.({ ...NOTHING_SCORED, phase, done, total: null });
  return readExamples(source, { decoder, card, config: decode, maxBytes, signal, onExample });
}

/** What people labelled in the stream, as the student's classes have it; nothing where the run does not ask for it. */
async function* saidOf(
  run: TrainStudentRun,
  labels: readonly string[],
  teacher: ArchivedCard | undefined,
): AsyncGenerator<EncodedExample> {
  const { store, manifest, said, decode } = run;
  if (said === undefined) return;
  const names = teacher ?? { labels };
  yield* saidExamples({
    ...said,
    store,
    stream: manifest.provenance.stream,
    teacher: names,
    map: selectedClasses(manifest.select, names),
    without: async () => {
      const own = await digestsOf(await folderOf(run.labelled, labels, decode));
      if (run.test === undefined) return own;
      return new Set([...own, ...(await digestsOf(await folderOf(run.test, labels, decode)))]);
    },
  });
}

async function* withSaid(
  folder: AsyncIterable<EncodedExample>,
  said: AsyncIterable<EncodedExample>,
  counted: { count: number },
): AsyncGenerator<EncodedExample> {
  yield* folder;
  for await (const example of said) {
    counted.count++;
    yield example;
  }
}

async function folderOf(
  folder: string,
  labels: readonly string[],
  decode: DecodeConfig,
): Promise<AsyncIterable<EncodedExample>> {
  return (await openLabelledFolder(folder)).examples(labels, decode.maxBytes);
}

async function* samplesOf(store: Store, manifest: Manifest): AsyncGenerator<EncodedExample> {
  for await (const sample of readSamples(store, manifest)) {
    yield {
      label: sample.class,
      uri: `sha256:${sample.sha256}.${sample.format}`,
      bytes: () => Promise.resolve(sample.bytes),
    };
  }
}
