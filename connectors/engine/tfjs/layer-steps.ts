import type { GraphStep, StepGraph } from "../model-file/inner-normalise.js";
import { isNumber, isObject, type JsonObject } from "../teacher/cards/told-card.js";
import { asKeras2, TRAINING_ONLY } from "./keras-topology.js";

/** Keras's own, where a BatchNormalization does not say */
const EPSILON = 1e-3;
/** The least deviation that Keras's Normalization divides by */
const LEAST_DEVIATION = 1e-7;
const INPUT = "the input";

/**
 * A layers model's layers as operators, those of models within it in their place, of the `modelTopology` of its model.json. `weightOf`: values of a weight by
 * `<layer>/<name>`, null where there is none. Null where the topology has no layers.
 */
export function layerSteps(topology: unknown, weightOf: StepGraph["constantOf"]): StepGraph | null {
  const model = asKeras2(isObject(topology) ? (topology["model_config"] ?? topology) : null);
  if (!isObject(model) || layersIn(model).length === 0) return null;
  const constants = new Map<string, readonly number[]>();
  const { steps } = stepsOfModel(model, INPUT, (name) => weightOf(name), constants);
  return { inputName: INPUT, steps, constantOf: (name) => constants.get(name) ?? null };
}

type Constants = Map<string, readonly number[]>;

function stepsOfModel(
  model: JsonObject,
  input: string,
  weightOf: StepGraph["constantOf"],
  constants: Constants,
): { readonly steps: GraphStep[]; readonly output: string } {
  const steps: GraphStep[] = [];
  /** What each layer so far puts out */
  const outputs = new Map<string, string>();
  let last = input;
  for (const layer of layersIn(model)) {
    const config = isObject(layer["config"]) ? layer["config"] : {};
    const name = String(layer["name"] ?? config["name"]);
    if (layer["class_name"] === "InputLayer") {
      outputs.set(name, input);
      continue;
    }
    const inputs = calledWith(layer)?.map((one) => outputs.get(one) ?? one) ?? [last];
    if (layersIn(layer).length > 0) {
      const inner = stepsOfModel(layer, inputs[0]!, weightOf, constants);
      steps.push(...inner.steps);
      last = inner.output;
    } else {
      last = `${input} ${name}`;
      steps.push(
        ...stepsOfLayer(String(layer["class_name"]), config, { name, inputs, output: last }, weightOf, constants),
      );
    }
    outputs.set(name, last);
  }
  return { steps, output: last };
}

interface Place {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly output: string;
}

function stepsOfLayer(
  kind: string,
  config: JsonObject,
  { name, inputs, output }: Place,
  weightOf: StepGraph["constantOf"],
  constants: Constants,
): GraphStep[] {
  const constant = (member: string, values: readonly number[]): string => {
    const key = `${output}/${member}`;
    constants.set(key, values);
    return key;
  };
  const between = `${output}/between`;
  const own = (op: string): GraphStep[] => [{ op, inputs, outputs: [output] }];
  const weight = (member: string): readonly number[] | null => weightOf(`${name}/${member}`);
  if (kind === "Activation" && config["activation"] === "linear") return own("Identity");
  if (TRAINING_ONLY.some((one) => one === kind)) return own("Identity");
  if (kind === "Rescaling") {
    const [scale, offset] = [numbersIn(config["scale"]), numbersIn(config["offset"] ?? 0)];
    if (scale === null || offset === null) return own(kind);
    return [
      { op: "Mul", inputs: [...inputs, constant("scale", scale)], outputs: [between] },
      { op: "Add", inputs: [between, constant("offset", offset)], outputs: [output] },
    ];
  }
  if (kind === "Normalization") {
    const mean = numbersIn(config["mean"]) ?? weight("mean");
    const variance = numbersIn(config["variance"]) ?? weight("variance");
    if (mean === null || variance === null || config["invert"] === true) return own(kind);
    const deviation = variance.map((value) => Math.max(Math.sqrt(value), LEAST_DEVIATION));
    return [
      { op: "Sub", inputs: [...inputs, constant("mean", mean)], outputs: [between] },
      { op: "Div", inputs: [between, constant("deviation", deviation)], outputs: [output] },
    ];
  }
  if (kind === "BatchNormalization") {
    const [mean, variance] = [weight("moving_mean"), weight("moving_variance")];
    if (mean === null || variance === null) return own(kind);
    const values = [weight("gamma") ?? [1], weight("beta") ?? [0], mean, variance];
    const names = ["gamma", "beta", "mean", "variance"].map((member, at) => constant(member, values[at]!));
    const epsilon = isNumber(config["epsilon"]) ? config["epsilon"] : EPSILON;
    return [{ op: kind, inputs: [...inputs, ...names], outputs: [output], epsilon }];
  }
  return own(kind);
}

/** Of a model, also one that stands as a layer */
function layersIn(model: JsonObject): JsonObject[] {
  const config = model["config"];
  const layers: unknown = isObject(config) ? config["layers"] : config;
  return Array.isArray(layers) ? layers.filter(isObject) : [];
}

/** The layers whose outputs a layer of a functional model takes in its first call: `[[[name, call, place, arguments], …]]`; null in a sequence. */
function calledWith(layer: JsonObject): string[] | null {
  const calls = layer["inbound_nodes"];
  const first: unknown = Array.isArray(calls) ? calls[0] : null;
  return Array.isArray(first)
    ? first.map((tensor: unknown) => String(Array.isArray(tensor) ? tensor[0] : tensor))
    : null;
}

/** A number, or an array of numbers however deep */
function numbersIn(value: unknown): number[] | null {
  const list: unknown[] = Array.isArray(value) ? value.flat(Number.POSITIVE_INFINITY) : [value];
  return list.length > 0 && list.every(isNumber) ? list : null;
}
