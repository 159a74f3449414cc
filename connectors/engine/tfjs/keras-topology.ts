import { isNumber, isObject, type JsonObject } from "../teacher/cards/told-card.js";

/** What a layer does only while it is trained: then, pixels pass as they are. */
export const TRAINING_ONLY = [
  "RandomFlip",
  "RandomRotation",
  "RandomZoom",
  "RandomTranslation",
  "RandomContrast",
  "RandomBrightness",
  "RandomHeight",
  "RandomWidth",
  "RandomShear",
  "RandomPerspective",
  "RandomElasticTransform",
  "RandomHue",
  "RandomSaturation",
  "RandomSharpness",
  "RandomColorJitter",
  "RandomColorDegeneration",
  "RandomGrayscale",
  "RandomInvert",
  "RandomPosterization",
  "RandomGaussianBlur",
  "RandomErasing",
  "RandAugment",
  "AugMix",
  "MixUp",
  "CutMix",
] as const;

/** Names of activations whose meaning is not TensorFlow.js's of that name; see keras-activations.ts */
export const ACTIVATIONS = {
  hardSigmoidOfKeras3: "hardSigmoidOfKeras3",
  hardSwish: "hardSwish",
  leakyRelu: "leakyRelu",
  exponential: "exponential",
} as const;
const RENAMED: Readonly<Record<string, string>> = {
  silu: "swish",
  hard_silu: ACTIVATIONS.hardSwish,
  hard_swish: ACTIVATIONS.hardSwish,
  leaky_relu: ACTIVATIONS.leakyRelu,
};
/** Numbers of half the width: TensorFlow.js counts in float32 whatever a layer says. */
const OTHER_FLOATS = /^(mixed_b?float16|b?float16|float64)$/;

/**
 * A model's topology as Keras 2 writes it, which TensorFlow.js reads, of what Keras 3 writes: `batch_shape`, data types as objects, ends and
 * calls of layers by `keras_history`, members that were renamed. What matters only to a training is left out. What Keras 2 has written scores the same.
 */
export function asKeras2(topology: unknown): unknown {
  const version = isObject(topology) ? topology["keras_version"] : undefined;
  const models = new Set<unknown>();
  collectModels(topology, models);
  return translated(topology, { isKeras3: typeof version === "string" && Number.parseInt(version, 10) >= 3, models });
}

interface Translation {
  readonly isKeras3: boolean;
  /** Names of models that stand as layers */
  readonly models: ReadonlySet<unknown>;
}

function collectModels(value: unknown, models: Set<unknown>): void {
  if (Array.isArray(value)) for (const one of value) collectModels(one, models);
  if (!isObject(value)) return;
  const { config } = value;
  if (isObject(config) && Array.isArray(config["layers"])) models.add(config["name"]);
  for (const one of Object.values(value)) collectModels(one, models);
}

/** `[layer, call, place]`. A model's own ends are the first of its calls to Keras 2, and none to Keras 3. */
function asCalled(history: readonly unknown[], { models }: Translation): unknown[] {
  const [layer, call, place] = history;
  return [layer, isNumber(call) && models.has(layer) ? call + 1 : call, place];
}

function translated(value: unknown, how: Translation): unknown {
  if (Array.isArray(value)) return value.map((one: unknown) => translated(one, how));
  if (!isObject(value)) return value;
  if (isArray(value)) return value["config"]["value"];
  const made: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value)) {
    if (key === "batch_shape") made["batch_input_shape"] = inner;
    else if (key === "dtype") made[key] = typeName(inner);
    else if (key === "inbound_nodes" && Array.isArray(inner))
      made[key] = inner.map((call: unknown) => callOf(call, how));
    else if ((key === "input_layers" || key === "output_layers") && Array.isArray(inner))
      made[key] = endsOf(inner, how);
    else if (/_(regularizer|constraint)$/.test(key)) made[key] = null;
    else if (/_initializer$/.test(key) && isObject(inner)) made[key] = { class_name: "Zeros", config: {} };
    else if (key === "activation" && typeof inner === "string") made[key] = activationName(inner, how);
    else made[key] = translated(inner, how);
  }
  return layerOf(made);
}

/** `{class_name: "__numpy__", config: {value: [0.5], dtype: "float32"}}` */
function isArray(value: JsonObject): value is { readonly config: JsonObject } {
  return (
    (value["class_name"] === "__numpy__" || value["class_name"] === "__tensor__") &&
    isObject(value["config"]) &&
    "value" in value["config"]
  );
}

/** `{class_name: "DTypePolicy", config: {name: "float32"}}` */
function typeName(value: unknown): unknown {
  const name = isObject(value) && isObject(value["config"]) ? value["config"]["name"] : value;
  return typeof name === "string" && OTHER_FLOATS.test(name) ? "float32" : name;
}

/** One end as `[layer, call, place]`, or a list of such */
function endsOf(ends: readonly unknown[], how: Translation): unknown {
  const all = typeof ends[0] === "string" ? [ends] : ends;
  return how.isKeras3 ? all.map((end) => (Array.isArray(end) ? asCalled(end as unknown[], how) : end)) : all;
}

/** Keras 3 counts its hard sigmoid as relu6(x + 3) / 6, Keras 2 and TensorFlow.js as 0.2 x + 0.5. */
function activationName(name: string, { isKeras3 }: Translation): string {
  if (name === "hard_sigmoid" && isKeras3) return ACTIVATIONS.hardSigmoidOfKeras3;
  return RENAMED[name] ?? name;
}

/**
 * A layer of which TensorFlow.js reads other members than Keras writes, or none: it would go on without them. One that it cannot do gets a name that it
 * does not know, and is refused by it.
 */
function layerOf(layer: Record<string, unknown>): Record<string, unknown> {
  const { class_name: name, config } = layer;
  if (!isObject(config)) return layer;
  if (name === "LeakyReLU" && isNumber(config["negative_slope"]))
    return { ...layer, config: { ...config, alpha: config["negative_slope"] } };
  const lacking = lackingIn(String(name), config);
  // The library writes names with `_` in camel case.
  return lacking === null ? layer : { ...layer, class_name: `${String(name)} with ${lacking.replaceAll("_", " ")}` };
}

/** The member of a layer that TensorFlow.js passes over; null where there is none. */
function lackingIn(name: string, config: JsonObject): string | null {
  if (/^(Separable|Depthwise)?Conv[12]D/.test(name) && isNumber(config["groups"]) && config["groups"] > 1)
    return "groups";
  if (name !== "Resizing") return null;
  const asked = ["crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias"].find((member) => config[member] === true);
  const { interpolation = "bilinear" } = config;
  return asked ?? (/^(bilinear|nearest)$/.test(String(interpolation)) ? null : String(interpolation));
}

/** `{args: [tensor or tensors], kwargs}` as [[layer, call, place, kwargs], …] */
function callOf(call: unknown, how: Translation): unknown {
  if (!isObject(call) || !Array.isArray(call["args"])) return translated(call, how);
  return call["args"].flat().flatMap((tensor: unknown) => {
    const history = isObject(tensor) && isObject(tensor["config"]) ? tensor["config"]["keras_history"] : null;
    return Array.isArray(history) ? [[...asCalled(history as unknown[], how), {}]] : [];
  });
}
