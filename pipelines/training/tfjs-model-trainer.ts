import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Decoder } from "../../connectors/decoder/decoder.js";
import type { Architecture, Preparation, TrainableModel, Trainer } from "../../connectors/trainer/trainer.js";
import { classCounts } from "../../operators/training/evaluation.js";
import type { Schedule } from "../../operators/training/fit.js";
import { mixExamples } from "../../operators/training/mixed-examples.js";
import { measureNormalise } from "../../operators/training/pixel-statistics.js";
import { readExamples, type EncodedExample, type ReadExamples } from "../../operators/training/read-examples.js";
import type { Json } from "../../schemas/canonical.js";
import type { DecodeConfig } from "../../schemas/config.js";
import { orNull } from "../../schemas/errors.js";
import { channelsOf } from "../../schemas/pixels.js";
import { CURVES_FILE, TRAINING_LOG_FILE } from "../../schemas/model-record.js";
import { readSamples } from "../versions/shard-reader.js";
import {
  fineTune,
  loadModel,
  NOTHING_SCORED,
  pretrainStudent,
  saveModel,
  trainTeacher,
  type NewModelOptions,
} from "../train.js";
import { archivedTargets } from "./archived-targets.js";
import { assertEveryClass, examplesOf } from "./labelled-set.js";
import type { ModelTrainer, TrainingJob } from "./model-trainer.js";
import { PhaseFiles } from "./phase-checkpoints.js";

export interface TfjsConfiguration {
  readonly architecture: Architecture;
  /** On the version; or, without one, on the labelled images */
  readonly first: Schedule;
  /** On the labelled images, behind a version or `start`; null: not at all */
  readonly fineTune?: Schedule | null;
  /** Digest of a model that is trained further, in the place of a first phase */
  readonly start?: string;
  /** Share of the labelled images among those of the first phase, (0, 1); by default a version is trained on alone */
  readonly mix?: number;
  /** The first phase is towards the version's teacher's probabilities at this temperature, in the place of one class an image */
  readonly soften?: number;
}

export interface TfjsParts {
  readonly trainer: Trainer;
  readonly decoder: Decoder;
  readonly decode: DecodeConfig;
  readonly configuration: TfjsConfiguration;
  /** Bytes of pixels held at most */
  readonly maxBytes: number;
  /** Where the last sound weights go, as a model, where the loss runs away */
  readonly lastGood: string;
  /** Where the model of `configuration.start` lies */
  readonly startFolder?: string;
}

/** The model as it was after its first phase, in the folder of the trained one. */
export const PRETRAINED_FOLDER = "pretrained";

/** decode -> pre-train on the version -> fine-tune on the labelled images, in this process. Every phase resumes where it was. */
export function tfjsModelTrainer(parts: TfjsParts): ModelTrainer {
  const { trainer, decode, configuration } = parts;
  const { library, version, backend } = trainer;
  // How many are decoded at once changes no pixel.
  const decoding = { ...decode, concurrency: undefined };
  return {
    describe: () =>
      Promise.resolve({
        trainer: { kind: "tfjs", library, version, backend },
        configuration: { ...configuration, decode: decoding } as unknown as Record<string, Json>,
      }),
    async train(job) {
      const curves = join(job.work, CURVES_FILE);
      const labelled = await read(parts, job, "read labelled images", examplesOf(job.labelled.images));
      assertEveryClass(job.labelled, classCounts(labelled.examples.labels, job.inputs.labels.length));
      const version = job.version === null ? null : await readVersion(parts, job, job.version);
      const common = {
        seed: job.inputs.seed,
        signal: job.signal,
        onProgress: job.onProgress,
        onNote: job.onNote,
        lastGood: parts.lastGood,
      };
      const { startFolder } = parts;
      const isTuned = startFolder !== undefined || (version !== null && configuration.fineTune !== null);
      const model =
        startFolder === undefined
          ? await firstPhase(parts, job, { common, curves, labelled, version })
          : await loadModel(trainer, startFolder);
      try {
        if (!isTuned) await saveModel(model, job.out, job.name);
        else {
          const files = new PhaseFiles({
            checkpoint: join(job.work, "fine-tune.checkpoint"),
            curves,
            phase: "fine-tune",
          });
          const schedule = configuration.fineTune ?? undefined;
          const options = { ...common, schedule, ...(await files.options()) };
          const tuned = await fineTune({ ...options, model, labelled: labelled.examples });
          await files.end();
          if (version !== null) await saveModel(model, join(job.out, PRETRAINED_FOLDER), `${job.name}, pre-trained`);
          await saveModel(tuned, job.out, job.name);
          tuned.dispose();
        }
      } finally {
        model.dispose();
      }
      const skipped = [...labelled.skipped, ...(version?.skipped ?? [])];
      await copyFile(curves, join(job.out, CURVES_FILE));
      const lines = skipped.map(({ uri, code, reason }) => `left out ${uri}: ${code} ${reason}\n`);
      await writeFile(join(job.out, TRAINING_LOG_FILE), lines.join(""));
      return { versionImages: version?.examples.count ?? 0, skipped, told: {} };
    },
  };
}

/** A new model, trained on the version or, without one, on the labelled images. */
async function firstPhase(
  { trainer, configuration }: TfjsParts,
  job: TrainingJob,
  {
    common,
    curves,
    labelled,
    version,
  }: {
    readonly common: Omit<NewModelOptions, "trainer" | "preparation">;
    readonly curves: string;
    readonly labelled: ReadExamples;
    readonly version: ReadExamples | null;
  },
): Promise<TrainableModel> {
  const folder = join(job.work, PRETRAINED_FOLDER);
  const before = await finished(trainer, folder);
  if (before !== null) return before;
  const { input, resize, labels } = job.inputs;
  // Of the version where there is one: the labelled images are few.
  const { pixels } = (version ?? labelled).examples;
  const preparation: Preparation = { input, resize, normalise: measureNormalise(pixels, channelsOf(input)), labels };
  const phase = version === null ? "train" : "pre-train";
  const files = new PhaseFiles({ checkpoint: join(job.work, `${phase}.checkpoint`), curves, phase });
  const { architecture, first: schedule, mix } = configuration;
  const options = { ...common, trainer, preparation, architecture, schedule, ...(await files.options()) };
  const model =
    version === null
      ? await trainTeacher({ ...options, labelled: labelled.examples })
      : await pretrainStudent({
          ...options,
          version: mix === undefined ? version.examples : mixExamples(version.examples, labelled.examples, mix),
        });
  await saveModel(model, folder, version === null ? job.name : `${job.name}, pre-trained`);
  await files.end();
  return model;
}

/** A model that an earlier run has finished; its card is written last. */
async function finished(trainer: Trainer, folder: string): Promise<TrainableModel | null> {
  return orNull(loadModel(trainer, folder), "E_TEACHER_CARD", "E_TEACHER_WEIGHTS");
}

function read(
  { decoder, decode, maxBytes }: TfjsParts,
  { inputs, signal, onProgress }: TrainingJob,
  phase: string,
  source: AsyncIterable<EncodedExample>,
): Promise<ReadExamples> {
  const onExample = (done: number): void => onProgress?.({ ...NOTHING_SCORED, phase, done, total: null });
  return readExamples(source, { decoder, card: inputs, config: decode, maxBytes, signal, onExample });
}

async function readVersion(
  parts: TfjsParts,
  job: TrainingJob,
  version: NonNullable<TrainingJob["version"]>,
): Promise<ReadExamples> {
  const { soften } = parts.configuration;
  const known = new Set(job.labelled.images.map(({ sha256 }) => sha256));
  const targets = soften === undefined ? null : await archivedTargets(version, job.inputs.labels, soften);
  return read(parts, job, "read version", samplesOf(version, known, targets));
}

/** What a person labelled stands among the labelled images already, where those are trained on. */
async function* samplesOf(
  { store, manifest }: NonNullable<TrainingJob["version"]>,
  labelled: ReadonlySet<string>,
  targets: ReadonlyMap<string, Float32Array> | null,
): AsyncGenerator<EncodedExample> {
  for await (const sample of readSamples(store, manifest)) {
    if (sample.about.by === "label" && labelled.has(sample.sha256)) continue;
    yield {
      label: sample.class,
      target: targets?.get(sample.sha256),
      uri: `sha256:${sample.sha256}.${sample.format}`,
      bytes: () => Promise.resolve(sample.bytes),
    };
  }
}
