import type { Decoder } from "../../connectors/decoder/decoder.js";
import type { Architecture, Preparation, Trainer } from "../../connectors/trainer/trainer.js";
import { classCounts } from "../../operators/training/evaluation.js";
import { measureNormalise } from "../../operators/training/pixel-statistics.js";
import type { Schedule } from "../../operators/training/fit.js";
import { readExamples, type ReadExamples, type SkippedExample } from "../../operators/training/read-examples.js";
import type { DecodeConfig } from "../../schemas/config.js";
import { SluiceError } from "../../schemas/errors.js";
import { channelsOf, modelCardSchema, type ModelCard } from "../../schemas/model-card.js";
import type { OnProgress } from "../../schemas/progress.js";
import { openLabelledFolder, type LabelledFolder } from "./labelled-folder.js";
import { MAX_TRAINING_BYTES } from "./train-defaults.js";
import { evaluate, lastGoodOf, NOTHING_SCORED, saveModel, trainTeacher, type ModelEvaluation } from "../train.js";

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
}

export interface TrainedTeacher {
  readonly card: ModelCard;
  readonly evaluation: ModelEvaluation | null;
  /** Labelled images a class, [C] */
  readonly trainingCounts: readonly number[];
  readonly skipped: readonly SkippedExample[];
}

/** labelled folder -> decode -> train -> evaluate -> model and card, for `ingest --teacher <out>` */
export async function trainTeacherRun(run: TrainTeacherRun): Promise<TrainedTeacher> {
  const { decoder, input } = run;
  const folder = await openLabelledFolder(run.labelled);
  const labels = folder.classNames;
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
  const read = (phase: string, from: LabelledFolder): Promise<ReadExamples> =>
    readExamples(from.examples(labels, run.decode.maxBytes), {
      decoder,
      card: { input: fullInput, resize },
      config: run.decode,
      maxBytes: run.maxBytes ?? MAX_TRAINING_BYTES,
      signal: run.signal,
      onExample: (done) => run.onProgress?.({ ...NOTHING_SCORED, phase, done, total: null }),
    });
  const labelled = await read("read labelled images", folder);
  const test = run.test === undefined ? null : await read("read test images", await openLabelledFolder(run.test));
  const preparation: Preparation = {
    input: fullInput,
    resize,
    normalise: measureNormalise(labelled.examples.pixels, channelsOf(fullInput)),
    labels: [...labels],
  };
  const trainingCounts = [...classCounts(labelled.examples.labels, labels.length)];
  const without = labels.filter((_, label) => trainingCounts[label] === 0);
  if (without.length > 0) {
    throw new SluiceError(
      "E_TRAIN_DATA",
      `Expected a usable image of every class in ${run.labelled}, found none of ${without.join(", ")}: ${labelled.skipped[0]?.reason ?? ""} Mend or remove the folder.`,
      { folder: run.labelled, without },
    );
  }
  const model = await trainTeacher({
    ...run,
    preparation,
    labelled: labelled.examples,
    lastGood: lastGoodOf(run.out),
  });
  try {
    const card = await saveModel(model, run.out, run.name);
    return {
      card,
      evaluation: test === null ? null : await evaluate({ model, test: test.examples, trainingCounts }),
      trainingCounts,
      skipped: [...labelled.skipped, ...(test?.skipped ?? [])],
    };
  } finally {
    model.dispose();
  }
}
