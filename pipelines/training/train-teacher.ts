import type { Decoder } from "../../connectors/decoder/decoder.js";
import type { Architecture, Trainer } from "../../connectors/trainer/trainer.js";
import type { Schedule } from "../../operators/training/fit.js";
import { readExamples, type SkippedExample } from "../../operators/training/read-examples.js";
import type { DecodeConfig } from "../../schemas/config.js";
import { SluiceError } from "../../schemas/errors.js";
import { modelCardSchema, type ModelCard } from "../../schemas/model-card.js";
import type { OnProgress } from "../../schemas/progress.js";
import { evaluate, lastGoodOf, loadModel, NOTHING_SCORED, type ModelEvaluation } from "../train.js";
import { openLabelledFolder } from "./labelled-folder.js";
import { countsOf, examplesOf, readLabelledSet } from "./labelled-set.js";
import { assertTestApart } from "./test-images-apart.js";
import { tfjsModelTrainer } from "./tfjs-model-trainer.js";
import { LABELLED_SCHEDULE, MAX_TRAINING_BYTES, networkFor } from "./train-defaults.js";
import { trainOnce } from "./train-once.js";

export interface TrainTeacherRun {
  readonly trainer: Trainer;
  readonly decoder: Decoder;
  readonly decode: DecodeConfig;
  /** `<folder>/<class name>/…`: the names become the teacher's labels */
  readonly labelled: string;
  /** Of the same form; absent: nothing is evaluated */
  readonly test?: string | undefined;
  /** Where model and card go */
  readonly out: string;
  readonly name: string;
  /** What the teacher sees; layout NHWC */
  readonly input: { readonly width: number; readonly height: number; readonly colour: "rgb" | "grey" };
  readonly resize?: Partial<ModelCard["resize"]> | undefined;
  readonly architecture?: Architecture | undefined;
  readonly schedule?: Partial<Schedule> | undefined;
  readonly seed: number;
  /** Bytes of pixels held at most; by default MAX_TRAINING_BYTES */
  readonly maxBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly onNote?: ((text: string) => void) | undefined;
  readonly nowMs?: (() => number) | undefined;
}

export interface TrainedTeacher {
  readonly card: ModelCard;
  readonly evaluation: ModelEvaluation | null;
  /** Labelled images a class, [C] */
  readonly trainingCounts: readonly number[];
  /** false: the folder held what the same inputs give, and nothing was trained */
  readonly isNew: boolean;
  readonly skipped: readonly SkippedExample[];
}

/** labelled folder -> decode -> train -> evaluate -> model and card, for `ingest --teacher <out>` */
export async function trainTeacherRun(run: TrainTeacherRun): Promise<TrainedTeacher> {
  const { decoder, input } = run;
  const labels = (await openLabelledFolder(run.labelled)).classNames;
  if (labels.length < 2) {
    throw new SluiceError(
      "E_TRAIN_DATA",
      `Expected at least two classes, one subfolder each, in ${run.labelled}, found ${labels.length === 0 ? "none" : `only ${labels[0]}`}.`,
      { folder: run.labelled },
    );
  }
  const numberLike = labels.find((label) => /^#\d+$/.test(label));
  if (numberLike !== undefined) {
    throw new SluiceError(
      "E_TRAIN_DATA",
      `Expected the classes' names in ${run.labelled}, found the subfolder "${numberLike}": that always names a class by its number. Rename it, such as "${numberLike.slice(1)}".`,
      { folder: run.labelled },
    );
  }
  const { input: fullInput, resize } = modelCardSchema.pick({ input: true, resize: true }).parse({
    input,
    resize: run.resize ?? {},
  });
  const { maxBytes } = run.decode;
  const labelled = await readLabelledSet(run.labelled, labels, maxBytes);
  const test = run.test === undefined ? null : await readLabelledSet(run.test, labels, maxBytes);
  if (test !== null) await assertTestApart(test, { labelled });
  const held = run.maxBytes ?? MAX_TRAINING_BYTES;
  const first = { ...LABELLED_SCHEDULE, ...run.schedule };
  const trained = await trainOnce({
    ...run,
    signal: run.signal ?? new AbortController().signal,
    nowMs: run.nowMs ?? Date.now,
    trainer: tfjsModelTrainer({
      ...run,
      configuration: { architecture: run.architecture ?? networkFor(fullInput), first },
      maxBytes: held,
      lastGood: lastGoodOf(run.out),
    }),
    inputs: { input: fullInput, resize, seed: run.seed },
    folder: run.out,
    labelled,
    version: null,
  });
  const { card, isNew, skipped } = trained;
  const done = { card, trainingCounts: countsOf(labelled), isNew };
  if (test === null) return { ...done, evaluation: null, skipped };
  const { examples } = await readExamples(examplesOf(test.images), {
    decoder,
    card,
    config: run.decode,
    maxBytes: held,
    signal: run.signal,
    onExample: (count) =>
      run.onProgress?.({ ...NOTHING_SCORED, phase: "read test images", done: count, total: test.images.length }),
  });
  const model = await loadModel(run.trainer, run.out);
  try {
    const evaluation = await evaluate({ model, test: examples, trainingCounts: done.trainingCounts });
    return { ...done, evaluation, skipped: [...skipped, ...test.skipped] };
  } finally {
    model.dispose();
  }
}
