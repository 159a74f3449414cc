import type { GraphStep, StepGraph } from "../model-file/inner-normalise.js";
import { isNumber, isObject, type JsonObject } from "../teacher/cards/told-card.js";

/** TensorFlow's operators that a normalisation is made of, and ONNX's that do the same */
const AS_ONNX: Readonly<Record<string, string>> = {
  RealDiv: "Div",
  AddV2: "Add",
  BiasAdd: "Add",
  FusedBatchNorm: "BatchNormalization",
  FusedBatchNormV2: "BatchNormalization",
  FusedBatchNormV3: "BatchNormalization",
  ExpandDims: "Unsqueeze",
  // Channels in the other order, as Keras's preprocessing for Caffe's models
  ReverseV2: "Gather",
  GatherV2: "Gather",
  StridedSlice: "Gather",
};
/** TensorFlow's own, where a FusedBatchNorm does not say */
const EPSILON = 1e-4;

/** A graph model's operators, of the `modelTopology` of its model.json; null where it has not one input. */
export function graphSteps(topology: unknown, constantOf: StepGraph["constantOf"]): StepGraph | null {
  const listed: unknown = isObject(topology) ? topology["node"] : null;
  const operators = Array.isArray(listed) ? listed.filter(isObject) : [];
  const inputs = operators.filter(({ op }) => op === "Placeholder");
  const inputName = inputs[0]?.["name"];
  if (inputs.length !== 1 || typeof inputName !== "string") return null;
  return { inputName, steps: operators.filter(({ op }) => op !== "Const").map(stepOf), constantOf };
}

function stepOf({ name, op, input, attr }: JsonObject): GraphStep {
  const own = String(op);
  const epsilon = isObject(attr) && isObject(attr["epsilon"]) ? attr["epsilon"]["f"] : null;
  return {
    op: AS_ONNX[own] ?? own,
    // "^name" only says that `name` runs before.
    inputs: (Array.isArray(input) ? input.map(String) : [])
      .filter((one) => !one.startsWith("^"))
      .map((one) => one.replace(/:0$/, "")),
    outputs: [String(name)],
    epsilon: isNumber(epsilon) ? epsilon : EPSILON,
  };
}
