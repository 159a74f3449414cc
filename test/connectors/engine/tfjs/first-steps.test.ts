import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { normaliseOfSteps } from "../../../../connectors/engine/model-file/inner-normalise.js";
import { inferCard } from "../../../../connectors/engine/teacher/infer-card.js";
import type { ToldNormalise } from "../../../../connectors/engine/teacher/model-shapes.js";
import { graphSteps } from "../../../../connectors/engine/tfjs/graph-steps.js";
import { layerSteps } from "../../../../connectors/engine/tfjs/layer-steps.js";
import { openEngine } from "../../../../connectors/engine/open.js";
import { engineSchema } from "../../../../schemas/config.js";
import { withFolder } from "../../../conformance/engine.js";
import { writeSmallTeacher } from "../../../fixtures/models.js";
import { normaliseOf, SMALL_NET, smallNetProbabilities } from "../../../fixtures/small-net.js";

const BYTES = { mean: [0], std: [1 / 255] };
const UNIT = { mean: [0], std: [1] };
const MEAN = [0.485, 0.456, 0.406];
const DEVIATION = [0.229, 0.224, 0.225];
type Constants = Readonly<Record<string, readonly number[]>>;

describe("what a graph model does to its input", () => {
  /** Each step takes what the one before gives, and the constants that it names. */
  function inside(constants: Constants, ...steps: readonly (readonly [string, ...string[]])[]): ToldNormalise | null {
    const node = steps.map(([op, ...more], at) => ({
      name: `s${at}`,
      op,
      input: [at === 0 ? "image" : `s${at - 1}:0`, ...more, "^image"],
    }));
    const topology = { node: [{ name: "image", op: "Placeholder" }, ...node, { name: "c", op: "Const" }] };
    const graph = graphSteps(topology, (name) => constants[name] ?? null);
    return graph === null ? null : normaliseOfSteps(graph);
  }

  test("Keras's own preprocessing and layers, as tensorflowjs_converter writes them", () => {
    const over = DEVIATION.map((one) => 1 / one);
    const of: Constants = { half: [127.5], one: [1], recip: [1 / 255], mean: MEAN, over };
    assert.deepEqual(inside(of, ["RealDiv", "half"], ["Sub", "one"], ["Conv2D"])?.normalise, BYTES);
    assert.deepEqual(inside(of, ["Cast"], ["Mul", "recip"], ["Conv2D"])?.normalise, BYTES);
    assert.deepEqual(inside(of, ["Sub", "mean"], ["Mul", "over"], ["Conv2D"])?.normalise, UNIT);
    assert.match(inside(of, ["Sub", "mean"], ["Mul", "over"])!.from, /subtracts \[0\.485, 0\.456, 0\.406\]/);
    assert.equal(inside(of, ["Conv2D", "mean"], ["Sub", "one"]), null);
    assert.equal(inside(of, ["Mul", "unknown"]), null);
  });

  test("a batch normalisation, whole or in parts", () => {
    const of: Constants = {
      one: [1],
      zero: [0],
      mean: [120, 116, 104],
      variance: [3364],
      factor: [1 / 58],
      shift: [-2],
    };
    assert.deepEqual(inside(of, ["FusedBatchNormV3", "one", "zero", "mean", "variance"])?.normalise, BYTES);
    assert.deepEqual(inside(of, ["Mul", "factor"], ["AddV2", "shift"])?.normalise, BYTES);
  });

  test("channels that are taken apart and put together in another order", () => {
    const slice = (name: string): object => ({ name, op: "StridedSlice", input: ["image", "begin"] });
    const shifted = (...parts: readonly string[]): ToldNormalise | null => {
      const node = [
        { name: "image", op: "Placeholder" },
        ...["r", "g", "b"].map(slice),
        { name: "turned", op: "Pack", input: parts },
        { name: "shifted", op: "BiasAdd", input: ["turned", "means"] },
        { name: "elsewhere", op: "Mul", input: ["r", "g"] },
      ];
      const meeting = parts.length === 3 ? node.slice(0, -1) : node;
      const graph = graphSteps({ node: meeting }, (name) => (name === "means" ? [-103.939, -116.779, -123.68] : null));
      return normaliseOfSteps(graph!);
    };
    assert.deepEqual(shifted("b", "g", "r")?.normalise, BYTES);
    assert.equal(shifted("b", "g"), null);
  });
});

describe("what the first layers of a layers model do", () => {
  const layer = (name: string, config: object = {}): object => ({ class_name: name, config: { name, ...config } });
  const weights: Constants = {
    "Normalization/mean": [123.7],
    "Normalization/variance": [3364],
    "BatchNormalization/moving_mean": MEAN,
    "BatchNormalization/moving_variance": DEVIATION.map((one) => one ** 2),
  };
  const sequence = (...layers: readonly object[]): object => ({
    class_name: "Sequential",
    config: { name: "s", layers },
  });
  const inside = (model: object): ToldNormalise | null => {
    const graph = layerSteps({ model_config: model }, (name) => weights[name] ?? null);
    return graph === null ? null : normaliseOfSteps(graph);
  };
  const input = layer("InputLayer");

  test("rescaling, normalisation by its values or its weights, one behind the other, and a batch normalisation", () => {
    const own = layer("Normalization", { mean: [[[MEAN]]], variance: [[[DEVIATION.map((one) => one ** 2)]]] });
    const rescaled = layer("Rescaling", { scale: 1 / 255 });
    const of = (...layers: readonly object[]): unknown =>
      inside(sequence(input, ...layers, layer("Conv2D")))?.normalise;
    assert.deepEqual(of(layer("Rescaling", { scale: 1 / 127.5, offset: -1 })), BYTES);
    assert.deepEqual(of(own), UNIT);
    assert.deepEqual(of(layer("RandomFlip"), rescaled, own), BYTES);
    assert.deepEqual(of(layer("Normalization")), BYTES);
    assert.deepEqual(of(layer("BatchNormalization", { epsilon: 1e-5 })), UNIT);
    assert.equal(of(layer("Conv2D"), rescaled), undefined);
    assert.equal(of(layer("Normalization", { mean: MEAN, variance: DEVIATION, invert: true })), undefined);
  });

  test("of a model within the model, and of a functional one, where every layer says what it takes", () => {
    const inner = sequence(input, layer("RandomFlip"), layer("Rescaling", { scale: 1 / 255 }));
    assert.deepEqual(inside(sequence(input, inner, layer("Conv2D")))?.normalise, BYTES);
    const called = (name: string, config: object, from: string): object => ({
      ...layer(name, config),
      name,
      inbound_nodes: [[[from, 0, 0, {}]]],
    });
    const functional = (...layers: readonly object[]): object => ({
      class_name: "Functional",
      config: { name: "f", layers },
    });
    const rescaling = called("Rescaling", { scale: 1 / 255 }, "InputLayer");
    assert.deepEqual(inside(functional(input, rescaling, called("Conv2D", {}, "Rescaling")))?.normalise, BYTES);
    // A second branch takes pixels as they come: what the first one does is not all of it.
    assert.equal(inside(functional(input, rescaling, called("Conv2D", {}, "InputLayer"))), null);
  });
});

/** The small net's graph behind `(image - mean) / deviation` of bytes, and its input of `dtype`, in a folder of its own. */
async function writeNormalising(folder: string, dtype: "DT_FLOAT" | "DT_INT32"): Promise<string> {
  await writeSmallTeacher(folder, "tfjs-graph");
  const json = JSON.parse(await readFile(join(folder, "model.json"), "utf8")) as {
    modelTopology: { node: { name: string; op: string; input?: string[]; attr?: object }[] };
    signature: { inputs: { image: { dtype: string } } };
    weightsManifest: { paths: string[]; weights: object[] }[];
  };
  const attr = { T: { type: "DT_FLOAT" } };
  const three = { dtype: "DT_FLOAT", tensorShape: { dim: [{ size: "3" }] } };
  const constants = ["own/mean", "own/std"];
  const { modelTopology, weightsManifest, signature } = json;
  for (const one of modelTopology.node) if (one.input?.[0] === "image") one.input[0] = "normal";
  const image = modelTopology.node.find(({ name }) => name === "image")!;
  image.attr = { ...image.attr, dtype: { type: dtype } };
  signature.inputs.image.dtype = dtype;
  modelTopology.node.push(
    ...constants.map((name) => ({
      name,
      op: "Const",
      attr: { dtype: { type: "DT_FLOAT" }, value: { tensor: three } },
    })),
    { name: "floats", op: "Cast", input: ["image"], attr: { SrcT: { type: dtype }, DstT: { type: "DT_FLOAT" } } },
    { name: "centred", op: "Sub", input: ["floats", "own/mean"], attr },
    { name: "normal", op: "RealDiv", input: ["centred", "own/std"], attr },
  );
  weightsManifest.push({
    paths: ["own.bin"],
    weights: constants.map((name) => ({ name, shape: [3], dtype: "float32" })),
  });
  const bare = join(folder, "bare");
  await mkdir(bare);
  const { mean, std } = normaliseOf(SMALL_NET);
  await writeFile(join(bare, "model.json"), JSON.stringify(json));
  await writeFile(join(bare, "weights.bin"), await readFile(join(folder, "weights.bin")));
  await writeFile(join(bare, "own.bin"), Float32Array.from([...mean, ...std].map((value) => value * 255)));
  return bare;
}

for (const [dtype, said] of [
  ["DT_FLOAT", /the model itself subtracts \[127\.5, 102, 76\.5\]/],
  ["DT_INT32", /the model takes bytes/],
] as const) {
  test(`a graph model of ${dtype} that normalises by itself scores as one that is given normalised pixels`, async () => {
    await withFolder(async (folder) => {
      const bare = await writeNormalising(folder, dtype);
      const { card, assumptions } = await inferCard(join(bare, "model.json"));
      assert.deepEqual(card.normalise, BYTES);
      assert.match(assumptions.join("\n"), said);
      assert.match(assumptions.join("\n"), /10 probabilities \(a softmax in the model\)/);
      const pixels = Uint8Array.from({ length: 16 * 16 * 3 }, (_, at) => (at * 37) % 256);
      const engine = await openEngine({ card, folder: bare }, engineSchema.parse({ workers: 1, batch: 1 }));
      try {
        const scores = await engine.score({ count: 1, pixels });
        smallNetProbabilities({}, pixels, 1).forEach((expected, at) => {
          assert.ok(Math.abs(Math.exp(scores[at]!) - expected) < 1e-5, `${Math.exp(scores[at]!)} for ${expected}`);
        });
      } finally {
        await engine.close();
      }
    });
  });
}
