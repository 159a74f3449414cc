import { isObject } from "../teacher/cards/told-card.js";

/** What a layer does only while it is trained: then, pixels pass as they are. */
export const TRAINING_ONLY = [
  "RandomFlip",
  "RandomRotation",
  "RandomZoom",
  "RandomTranslation",
  "RandomContrast",
  "RandomBrightness",
] as const;

/**
 * A model's topology as Keras 2 writes it, which TensorFlow.js reads, of what Keras 3 writes: `batch_shape`, data types as objects, ends and
 * calls of layers by `keras_history`. What Keras 2 has written comes back equal.
 */
export function asKeras2(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(asKeras2);
  if (!isObject(value)) return value;
  const made: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value)) {
    if (key === "batch_shape") made["batch_input_shape"] = inner;
    else if (key === "dtype") made[key] = typeName(inner);
    else if (key === "inbound_nodes" && Array.isArray(inner)) made[key] = inner.map(callOf);
    else if ((key === "input_layers" || key === "output_layers") && Array.isArray(inner))
      made[key] = typeof inner[0] === "string" ? [inner] : inner;
    else made[key] = asKeras2(inner);
  }
  return made;
}

/** `{class_name: "DTypePolicy", config: {name: "float32"}}` */
function typeName(value: unknown): unknown {
  return isObject(value) && isObject(value["config"]) ? value["config"]["name"] : value;
}

/** `{args: [tensor or tensors], kwargs}` as [[layer, call, place, kwargs], …] */
function callOf(call: unknown): unknown {
  if (!isObject(call) || !Array.isArray(call["args"])) return asKeras2(call);
  return call["args"].flat().flatMap((tensor: unknown) => {
    const history = isObject(tensor) && isObject(tensor["config"]) ? tensor["config"]["keras_history"] : null;
    return Array.isArray(history) ? [[...(history as unknown[]), {}]] : [];
  });
}
