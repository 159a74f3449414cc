import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Decoder } from "../../connectors/decoder/decoder.js";
import type { Architecture, Preparation, TrainableModel, Trainer } from "../../connectors/trainer/trainer.js";
import { classCounts } from "../../operators/training/evaluation.js";
import type { Schedule } from "../../operators/training/fit.js";
import { measureNormalise } from "../../operators/training/pixel-statistics.js";
import { readExamples, type EncodedExample, type ReadExamples } from "../../operators/training/read-examples.js";
import type { Json } from "../../schemas/canonical.js";
import type { DecodeConfig } from "../../schemas/config.js";
import { orNull } from "../../schemas/errors.js";
import { channelsOf } from "../../schemas/model-card.js";
import { CURVES_FILE, TRAINING_LOG_FILE } from "../../schemas/model-record.js";
import { readSamples } from "../versions/shard-reader.js";
import { fineTune, loadModel, NOTHING_SCORED, pretrainStudent, saveModel, trainTeacher } from "../train.js";
import { assertEveryClass, examplesOf } from "./labelled-set.js";
import type { ModelTrainer, TrainingJob } from "./model-trainer.js";
import { PhaseFiles } from "./phase-checkpoints.js";

export interface TfjsConfiguration {
  readonly architecture: Architecture;
  /** On the version; or, without one, on the labelled images */
  readonly first: Schedule;
  /** On the labelled images, behind a version */
  readonly fineTune?: Schedule;
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
      const known = new Set(job.labelled.images.map(({ sha256 }) => sha256));
      const version =
        job.version === null ? null : await read(parts, job, "read version", samplesOf(job.version, known));
      // Of the version where there is one: the labelled images are few.
      const { pixels } = (version ?? labelled).examples;
      const { input, resize, labels } = job.inputs;
      const preparation: Preparation = {
        input,
        resize,
        normalise: measureNormalise(pixels, channelsOf(input)),
        labels,
      };
      const common = {
        seed: job.inputs.seed,
        signal: job.signal,
        onProgress: job.onProgress,
        onNote: job.onNote,
        lastGood: parts.lastGood,
      };
      const fresh = {
        ...common,
        trainer,
        preparation,
        architecture: configuration.architecture,
        schedule: configuration.first,
      };
      const first = join(job.work, PRETRAINED_FOLDER);
      let model = await finished(trainer, first);
      if (model === null) {
        const phase = version === null ? "train" : "pre-train";
        const files = new PhaseFiles({ checkpoint: join(job.work, `${phase}.checkpoint`), curves, phase });
        const options = { ...fresh, ...(await files.options()) };
        model =
          version === null
            ? await trainTeacher({ ...options, labelled: labelled.examples })
            : await pretrainStudent({ ...options, version: version.examples });
        await saveModel(model, first, version === null ? job.name : `${job.name}, pre-trained`);
        await files.end();
      }
      try {
        if (version === null) await saveModel(model, job.out, job.name);
        else {
          const files = new PhaseFiles({
            checkpoint: join(job.work, "fine-tune.checkpoint"),
            curves,
            phase: "fine-tune",
          });
          const options = { ...common, schedule: configuration.fineTune, ...(await files.options()) };
          const tuned = await fineTune({ ...options, model, labelled: labelled.examples });
          await files.end();
          await saveModel(model, join(job.out, PRETRAINED_FOLDER), `${job.name}, pre-trained`);
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

/** What a person labelled stands among the labelled images already, where those are trained on. */
async function* samplesOf(
  { store, manifest }: NonNullable<TrainingJob["version"]>,
  labelled: ReadonlySet<string>,
): AsyncGenerator<EncodedExample> {
  for await (const sample of readSamples(store, manifest)) {
    if (sample.about.by === "label" && labelled.has(sample.sha256)) continue;
    yield {
      label: sample.class,
      uri: `sha256:${sample.sha256}.${sample.format}`,
      bytes: () => Promise.resolve(sample.bytes),
    };
  }
}
