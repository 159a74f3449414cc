import { initializers, layers, sequential, type Sequential } from "@tensorflow/tfjs-layers";
import { SluiceError } from "../../schemas/errors.js";
import { channelsOf } from "../../schemas/pixels.js";
import { normalisation } from "./layer-normalisation.js";
import type { Architecture, Preparation } from "./trainer.js";

/**
 * A new model of standard layers, so that anything that reads tfjs layers models loads it. Input [n x height x width x
 * channels], output logits [n x C]. Throws E_TRAIN_DATA.
 */
export function buildLayers(architecture: Architecture, preparation: Preparation, seed: number): Sequential {
  const { width, height, layout } = preparation.input;
  const sizes = architecture.kind === "mlp" ? architecture.hidden : architecture.channels;
  if (layout !== "NHWC" || sizes.some((size) => !Number.isSafeInteger(size) || size < 1)) {
    throw new SluiceError(
      "E_TRAIN_DATA",
      `Expected an NHWC input and layers of at least one unit, found ${layout} and ${architecture.kind} of ${sizes.join(", ")}.`,
    );
  }
  let layer = 0;
  // Each layer draws from a stream of its own: near seeds must not share any. Names are fixed because they are in the saved
  // file: those that the library makes up count all layers of the process, so that equal models would be unequal files.
  const dense = (units: number, activation: "relu" | "linear") =>
    layers.dense({
      name: `dense_${layer + 1}`,
      units,
      activation,
      kernelInitializer: initializers.heNormal({ seed: seed * 64 + layer++ }),
    });
  const inputShape = [height, width, channelsOf(preparation.input)];
  const model = sequential({ name: architecture.kind });
  if (architecture.kind === "mlp") {
    model.add(layers.flatten({ name: "flatten", inputShape }));
    for (const units of sizes) model.add(dense(units, "relu"));
  } else {
    addPatchConvolutions(model, inputShape as [number, number, number], architecture, dense);
    model.add(layers.flatten({ name: "flatten" }));
  }
  model.add(dense(preparation.labels.length, "linear"));
  return model;
}

/**
 * A convolution whose stride is its kernel's side is a matrix product once each patch's values lie side by side. Written
 * so, its gradient needs no convolution kernels, which the wasm backend lacks.
 */
function addPatchConvolutions(
  model: Sequential,
  inputShape: [number, number, number],
  { channels, patch = 2 }: Extract<Architecture, { kind: "patch-conv" }>,
  dense: (units: number, activation: "relu") => ReturnType<typeof layers.dense>,
): void {
  const [height, width, inputChannels] = inputShape;
  const unit = patch * 2 ** (channels.length - 1);
  const [padY, padX] = [missing(height, unit), missing(width, unit)];
  model.add(layers.zeroPadding2d({ name: "pad", inputShape, padding: [halves(padY), halves(padX)] }));
  let [rows, columns, depth] = [height + padY, width + padX, inputChannels];
  for (const [at, units] of channels.entries()) {
    const side = at === 0 ? patch : 2;
    rows /= side;
    columns /= side;
    model.add(layers.reshape({ name: `split_${at + 1}`, targetShape: [rows, side, columns, side * depth] }));
    model.add(layers.permute({ name: `gather_${at + 1}`, dims: [1, 3, 2, 4] }));
    model.add(layers.reshape({ name: `patches_${at + 1}`, targetShape: [rows, columns, side * side * depth] }));
    model.add(dense(units, "relu"));
    model.add(normalisation(`normal_${at + 1}`, 4));
    depth = units;
  }
}

/** What `side` lacks to the next multiple of `unit`. */
function missing(side: number, unit: number): number {
  return (unit - (side % unit)) % unit;
}

function halves(pad: number): [number, number] {
  return [Math.floor(pad / 2), Math.ceil(pad / 2)];
}
