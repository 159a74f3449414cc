import * as tf from "@tensorflow/tfjs-core";
import { loadLayersModel, type LayersModel } from "@tensorflow/tfjs-layers";
import { SluiceError } from "../../schemas/errors.js";
import type { ModelCard } from "../../schemas/model-card.js";
import { channelsOf, pixelBytes, toTensor, type PixelBatch } from "../../schemas/pixels.js";
import { MODEL_FILES, savingTo } from "./layers-files.js";
import { packTensors, unpackTensors } from "./packed-tensors.js";
import type { Preparation, TrainableModel } from "./trainer.js";

const MOMENTUM = 0.9;
/** A step's gradient is cut to this length: it is a few times what healthy training has, so that one odd batch throws nothing off. */
const LONGEST_GRADIENT = 5;

/** Images scored in one run outside training: memory for activations stays small. */
const SCORED_AT_ONCE = 256;

/** A layers model on tfjs's present backend. Throws E_ENGINE_SHAPE where input or output are not as `preparation` has them. */
export function trainableModel(
  model: LayersModel,
  preparation: Preparation,
  outputKind: ModelCard["output"]["kind"],
): TrainableModel {
  const { input, labels } = preparation;
  const channels = channelsOf(input);
  const inputDims =
    input.layout === "NCHW" ? [channels, input.height, input.width] : [input.height, input.width, channels];
  checkShape("input", inputDims, model.inputs[0]!.shape);
  checkShape("output", [labels.length], model.outputs[0]!.shape);
  // Model and optimiser find variables by identity: `read` gives the variable itself.
  const variables = model.trainableWeights.map((weight) => weight.read()).filter((read) => read instanceof tf.Variable);
  const decayed = variables.filter((variable) => variable.rank > 1);
  const optimiser = tf.train.momentum(0, MOMENTUM, true);

  const tensorOf = (batch: PixelBatch): tf.Tensor =>
    tf.tensor(toTensor(batch, preparation), [batch.count, ...inputDims]);
  const logitsOf = (batch: PixelBatch, training: boolean): tf.Tensor2D => {
    const output = model.apply(tensorOf(batch), { training }) as tf.Tensor2D;
    return outputKind === "logits" ? output : tf.log(tf.maximum(output, 1e-38));
  };

  return {
    preparation,
    async step(batch, { learningRate, weightDecay }) {
      optimiser.setLearningRate(learningRate);
      const loss = tf.tidy(() => {
        const truth =
          batch.targets === undefined
            ? tf.oneHot(tf.tensor1d(batch.labels, "int32"), labels.length)
            : tf.tensor2d(batch.targets, [batch.count, labels.length]);
        const cost = (): tf.Scalar => tf.losses.softmaxCrossEntropy(truth, logitsOf(batch, true));
        const { value, grads } = tf.variableGrads(cost, variables);
        optimiser.applyGradients(clipped(grads));
        const kept = 1 - learningRate * weightDecay;
        if (kept < 1) for (const variable of decayed) variable.assign(tf.mul(variable, kept));
        return value;
      });
      const [value] = await loss.data();
      loss.dispose();
      return value!;
    },
    async logits(batch) {
      const size = pixelBytes(input);
      const all = new Float32Array(batch.count * labels.length);
      for (let first = 0; first < batch.count; first += SCORED_AT_ONCE) {
        const count = Math.min(SCORED_AT_ONCE, batch.count - first);
        const pixels = batch.pixels.subarray(first * size, (first + count) * size);
        const logits = tf.tidy(() => logitsOf({ count, pixels }, false));
        all.set(await logits.data(), first * labels.length);
        logits.dispose();
      }
      return all;
    },
    async copy() {
      return trainableModel(await loadLayersModel(throughMemory(model)), preparation, outputKind);
    },
    async snapshot() {
      const memory = await optimiser.getWeights();
      return packTensors([model.getWeights(), memory.map(({ tensor }) => tensor)]);
    },
    async restore(snapshot) {
      const [weights = [], memory = []] = unpackTensors(snapshot);
      const shapes = model.getWeights().map(({ shape }) => shape);
      if (weights.length !== shapes.length || weights.some(({ shape }, at) => String(shape) !== String(shapes[at]))) {
        throw new SluiceError(
          "E_TRAIN_DATA",
          "Expected a checkpoint of a model of this shape, found another's. Delete it: training then begins anew.",
        );
      }
      const tensors = weights.map(({ shape, values }) => tf.tensor(values, shape));
      model.setWeights(tensors);
      // The optimiser keeps its tensors in the variables' order, without looking at their names.
      const remembered = memory.map(({ shape, values }, at) => ({ name: `${at}`, tensor: tf.tensor(values, shape) }));
      await optimiser.setWeights(remembered);
      tf.dispose([tensors, remembered.map(({ tensor }) => tensor)]);
    },
    async save(folder) {
      await model.save(savingTo(folder));
      return { format: "tfjs-layers", files: MODEL_FILES };
    },
    dispose() {
      optimiser.dispose();
      model.dispose();
    },
  };
}

/** Gradients as they are, or all of them scaled down so that their length together is `LONGEST_GRADIENT`. */
function clipped(grads: tf.NamedTensorMap): { name: string; tensor: tf.Tensor }[] {
  const squares = Object.values(grads).map((grad) => tf.sum(tf.square(grad)));
  const length = tf.sqrt(tf.addN(squares));
  const factor = tf.minimum(1, tf.div(LONGEST_GRADIENT, tf.maximum(length, 1e-12)));
  return Object.entries(grads).map(([name, grad]) => ({ name, tensor: tf.mul(grad, factor) }));
}

/** Gives a model's topology and weights as they are at this moment. */
function throughMemory(model: LayersModel): tf.io.IOHandler {
  return {
    async load() {
      let artifacts: tf.io.ModelArtifacts | undefined;
      await model.save({
        save: async (saved) => {
          artifacts = saved;
          return { modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON(saved) };
        },
      });
      return artifacts!;
    },
  };
}

function checkShape(what: string, expected: readonly number[], found: readonly (number | null)[]): void {
  const rest = found.slice(1);
  if (rest.length === expected.length && rest.every((size, axis) => size === null || size === expected[axis])) return;
  throw new SluiceError(
    "E_ENGINE_SHAPE",
    `Expected the model's ${what} to be [n x ${expected.join(" x ")}], as its card says, found [n x ${rest.map((size) => size ?? "?").join(" x ")}].`,
    { expected, found },
  );
}
