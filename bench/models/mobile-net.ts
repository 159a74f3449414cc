import { mkdir, writeFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { writeCardBeside } from "../../connectors/engine/teacher/teacher-files.js";
import type { TeacherFiles } from "../../connectors/engine/engine.js";
import { describeWeights } from "../../connectors/engine/teacher/weights-digest.js";
import type { ModelCard } from "../../schemas/model-card.js";
import { encodeOnnx, type OnnxOperator, type OnnxTensor } from "./onnx-file.js";
import { normalWeights, uniform } from "./seeded-weights.js";

const SIDE = 224;
const CLASSES = 1000;
const FEATURES = 1280;
/** Expansion, channels, repeats, stride of each stage. Source: Sandler et al. 2018 (MobileNetV2), table 2. */
const STAGES = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
] as const;

/**
 * Writes a MobileNetV2 (width 1, 224 x 224, 1000 classes, 3.5 M weights, batch norm folded, dynamic batch, logits out) with
 * random weights that follow from the seed, and its card beside it (`<name>.card.json`): a teacher that costs what real ones cost.
 */
export async function makeMobileNet(path: string, { seed }: { readonly seed: number }): Promise<TeacherFiles> {
  const name = basename(path, ".onnx");
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  await writeFile(path, encodeOnnx(mobileNet(name, seed)));
  const card: ModelCard = {
    schemaVersion: 1,
    name,
    format: "onnx",
    weights: await describeWeights(folder, [basename(path)]),
    input: { width: SIDE, height: SIDE, layout: "NCHW", colour: "rgb" },
    resize: { kernel: "linear", mode: "crop", shortSide: 256, shrinkOnLoad: true },
    normalise: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    output: { kind: "logits" },
    labels: Array.from({ length: CLASSES }, (_, at) => `class-${at}`),
    temperature: 1,
  };
  await writeCardBeside(path, card);
  return { card, folder };
}

function mobileNet(name: string, seed: number) {
  const next = uniform(seed);
  const operators: OnnxOperator[] = [];
  const constants: OnnxTensor[] = [];
  const add = (op: string, inputs: readonly string[], attributes: OnnxOperator["attributes"] = {}) => {
    const output = `t${operators.length}`;
    operators.push({ op, inputs, output, attributes });
    return output;
  };
  const constant = (dims: readonly number[], values: Float32Array) => {
    const tensor = { name: `w${constants.length}`, dims, values };
    constants.push(tensor);
    return tensor.name;
  };
  constants.push(
    { name: "zero", dims: [], values: Float32Array.of(0) },
    { name: "six", dims: [], values: Float32Array.of(6) },
  );

  /** He's deviation keeps activations in range through the depth; `gain` is 2 before a ReLU, 1 before a sum. */
  const convolve = (
    input: string,
    from: number,
    to: number,
    side: 1 | 3,
    stride: number,
    group: number,
    gain: number,
  ) => {
    const fanIn = (from / group) * side * side;
    const weights = normalWeights(next, to * fanIn, Math.sqrt(gain / fanIn));
    const pad = side === 3 ? 1 : 0;
    return add(
      "Conv",
      [input, constant([to, from / group, side, side], weights), constant([to], normalWeights(next, to, 0.05))],
      { kernel_shape: [side, side], strides: [stride, stride], pads: [pad, pad, pad, pad], group },
    );
  };
  const relu6 = (input: string) => add("Clip", [input, "zero", "six"]);

  let channels = 32;
  let at = relu6(convolve("image", 3, channels, 3, 2, 1, 2));
  for (const [expansion, width, repeats, firstStride] of STAGES) {
    for (let repeat = 0; repeat < repeats; repeat++) {
      const stride = repeat === 0 ? firstStride : 1;
      const wide = channels * expansion;
      let inner = expansion === 1 ? at : relu6(convolve(at, channels, wide, 1, 1, 1, 2));
      inner = relu6(convolve(inner, wide, wide, 3, stride, wide, 2));
      const narrow = convolve(inner, wide, width, 1, 1, 1, 1);
      at = stride === 1 && channels === width ? add("Add", [at, narrow]) : narrow;
      channels = width;
    }
  }
  at = relu6(convolve(at, channels, FEATURES, 1, 1, 1, 2));
  at = add("Flatten", [add("GlobalAveragePool", [at])], { axis: 1 });
  const weights = constant([CLASSES, FEATURES], normalWeights(next, CLASSES * FEATURES, Math.sqrt(1 / FEATURES)));
  operators.push({
    op: "Gemm",
    inputs: [at, weights, constant([CLASSES], normalWeights(next, CLASSES, 0.05))],
    output: "logits",
    attributes: { transB: 1 },
  });
  return {
    name,
    inputs: [{ name: "image", dims: ["batch", 3, SIDE, SIDE] }],
    outputs: [{ name: "logits", dims: ["batch", CLASSES] }],
    operators,
    constants,
  };
}
