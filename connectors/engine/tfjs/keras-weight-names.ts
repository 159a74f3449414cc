import { isObject } from "../teacher/cards/told-card.js";

/**
 * Names of weights as TensorFlow.js looks for them, `<layer>/<weight>`: Keras 3 puts the names of the models around a layer before it, and calls a
 * DepthwiseConv2D's kernel just so. `topology` is any that `asKeras2` gives. Names that no rule fits stay.
 */
export function asLayerWeights(topology: unknown, names: readonly string[]): string[] {
  const kinds = new Map<string, string>();
  collectLayers(topology, kinds);
  const renamed = names.map((name) => {
    const parts = name.split("/");
    const [layer, weight] = [parts.at(-2) ?? "", parts.at(-1)!];
    const kind = kinds.get(layer);
    if (kind === undefined) return name;
    return `${layer}/${kind === "DepthwiseConv2D" && weight === "kernel" ? "depthwise_kernel" : weight}`;
  });
  return new Set(renamed).size === names.length ? renamed : [...names];
}

/** Every layer's kind by its name, at any depth of models within models */
function collectLayers(value: unknown, kinds: Map<string, string>): void {
  if (Array.isArray(value)) for (const one of value) collectLayers(one, kinds);
  if (!isObject(value)) return;
  const { class_name: kind, config } = value;
  if (typeof kind === "string" && isObject(config)) {
    const name = value["name"] ?? config["name"];
    if (typeof name === "string" && !Array.isArray(config["layers"])) kinds.set(name, kind);
  }
  for (const one of Object.values(value)) collectLayers(one, kinds);
}
