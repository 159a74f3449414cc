import type { Store } from "../../connectors/store/store.js";
import type { SkippedExample } from "../../operators/training/read-examples.js";
import type { Json } from "../../schemas/canonical.js";
import type { Manifest } from "../../schemas/manifest.js";
import type { TrainingInputs } from "../../schemas/model-record.js";
import type { OnProgress } from "../../schemas/progress.js";
import type { LabelledSet } from "./labelled-set.js";

/** What a model is trained from. */
export interface TrainingJob {
  readonly inputs: TrainingInputs;
  /** `trainingDigest` of `inputs` */
  readonly digest: string;
  readonly name: string;
  /** Fine-tuned on; or where there is no version, trained on */
  readonly labelled: LabelledSet;
  /** Pre-trained on */
  readonly version: { readonly store: Store; readonly manifest: Manifest } | null;
  /** The trainer's own, which stays until training is finished: an interrupted training goes on from there */
  readonly work: string;
  /** Where model, card, curves and log go; empty */
  readonly out: string;
  readonly signal: AbortSignal;
  readonly onProgress?: OnProgress | undefined;
  /** Something that a person should know */
  readonly onNote?: ((text: string) => void) | undefined;
}

export interface TrainedFiles {
  /** Images read of the version */
  readonly versionImages: number;
  readonly skipped: readonly SkippedExample[];
  /** What the trainer says of itself and of the training */
  readonly told: Record<string, Json>;
}

/** Version and labelled images in, a model with its card out. Implementations: tfjs, command. */
export interface ModelTrainer {
  /** What of the trainer decides what comes out: part of a training's inputs */
  describe(): Promise<Pick<TrainingInputs, "trainer" | "configuration">>;
  /** Throws E_TRAIN_DATA, E_TRAIN_DIVERGED, E_TRAIN_COMMAND, E_CANCELLED. */
  train(job: TrainingJob): Promise<TrainedFiles>;
}
