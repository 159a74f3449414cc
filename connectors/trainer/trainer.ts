import type { LabelledPixels } from "../../schemas/labelled-pixels.js";
import type { ModelCard } from "../../schemas/model-card.js";
import type { PixelBatch } from "../../schemas/pixels.js";

/** What a new model is built as. Both end in one logit a class. */
export type Architecture =
  /**
   * Convolutions over patches that do not overlap: a matrix product, which trains on every backend. The first one's patches are
   * `patch` x `patch` px (default 2), the others' 2 x 2, each halving both sides. Every output is normalised over the whole image
   * (mean 0, variance 1), so that neither the size of the image nor that of the weights decides how large a step is.
   * `channels` has one number a convolution.
   */
  | { readonly kind: "patch-conv"; readonly channels: readonly number[]; readonly patch?: number }
  /** Dense layers of `hidden` units over the flat pixels. */
  | { readonly kind: "mlp"; readonly hidden: readonly number[] };

/** The part of a model card that training decides: how images become the model's input, and what its outputs mean. */
export type Preparation = Pick<ModelCard, "input" | "resize" | "normalise" | "labels">;

export interface StepOptions {
  readonly learningRate: number;
  /** Pull of the weights (not the biases) towards nothing, as a share of the learning rate */
  readonly weightDecay: number;
}

/** A model in training, with its optimiser (gradient descent with Nesterov's momentum, 0.9; long gradients are cut). */
export interface TrainableModel {
  readonly preparation: Preparation;
  /** One step down the gradient of the mean cross-entropy of `batch`. Returns that loss: not finite once training has diverged. */
  step(batch: LabelledPixels, options: StepOptions): Promise<number>;
  /** Logits, float32, [count x C], row-major, as an engine gives them for the saved model. */
  logits(batch: PixelBatch): Promise<Float32Array>;
  /** The same weights, an optimiser that remembers nothing. */
  copy(): Promise<TrainableModel>;
  /** Weights and the optimiser's memory, to the bit. */
  snapshot(): Promise<Uint8Array>;
  /** Goes on from the snapshot of a model of the same shape, as that one would have. Throws E_TRAIN_DATA for another shape's. */
  restore(snapshot: Uint8Array): Promise<void>;
  /** Writes the model's files into `folder`; returns their names, the entry file first. Throws E_STORE_IO. */
  save(folder: string): Promise<SavedModel>;
  /** Frees the memory; the model is not used afterwards. */
  dispose(): void;
}

export interface SavedModel {
  readonly format: ModelCard["format"];
  readonly files: readonly string[];
}

/** Builds and trains models. Implementations: tfjs. */
export interface Trainer {
  readonly library: string;
  readonly version: string;
  readonly backend: string;
  /** Weights drawn from `seed`: the same on the same machine. Throws E_TRAIN_DATA for an architecture that the input does not fit. */
  create(architecture: Architecture, preparation: Preparation, seed: number): Promise<TrainableModel>;
  /** A saved model, to be trained further. Throws E_ENGINE_LOAD, E_ENGINE_SHAPE. */
  load(card: ModelCard, folder: string): Promise<TrainableModel>;
}
