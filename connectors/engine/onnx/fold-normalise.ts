import { channelsOf, type ModelCard } from "../../../schemas/model-card.js";
import { inputDims } from "../pool/model-runner.js";
import { encodeOperator, type OnnxOperator, type OnnxTensor } from "./operators.js";
import { bytes, fieldsOf, integer, message, text, type Field } from "./protobuf.js";

/** A model that takes pixels: u8, [n x height x width x channels], as they come. */
export interface FoldedModel {
  readonly model: Uint8Array;
  readonly inputName: string;
  /** What the model took before it was folded */
  readonly dims: readonly (number | null)[];
}

/** Field numbers of onnx.proto3 */
const MODEL = { graph: 7, opset: 8 };
const OPSET = { domain: 1, version: 2 };
const GRAPH = { operator: 1, constant: 5, input: 11, sparseConstant: 15 };
const TENSOR = { name: 8, dataLocation: 14 };
const END = { name: 1, type: 2 };
const FLOAT = 1;
const UINT8 = 2;
/** Since then operators stretch [1 x C x 1 x 1] over an image by themselves. */
const LEAST_OPSET = 7;

/**
 * Puts the card's normalisation in front of a model: transposed, cast, times 1 / (255 std), minus mean / std, which the library does with
 * vectors where JavaScript goes value by value. Null where the model is not such that this surely means the same: its tensors
 * normalised elsewhere, as always. Values differ from `toTensor`'s by float32 rounding, two in their last bits.
 */
export function foldNormalise(model: Uint8Array, card: Pick<ModelCard, "input" | "normalise">): FoldedModel | null {
  const { layout, colour } = card.input;
  // In this layout, turning the colours round would take a pass value by value.
  if (layout === "NHWC" && colour === "bgr") return null;
  try {
    const parts = [...fieldsOf(model)];
    const graphs = parts.filter(({ number }) => number === MODEL.graph);
    if (graphs.length !== 1 || opsetOf(parts) < LEAST_OPSET) return null;
    const fields = [...fieldsOf(graphs[0]!.content)];
    const input = onlyInput(fields);
    if (input === null) return null;
    const inputName = "sluice/pixels";
    const graph = [
      ...operatorsBefore(card, inputName, input.name).map((operator) =>
        bytes(GRAPH.operator, encodeOperator(operator, operator.output)),
      ),
      ...fields.filter((field) => field !== input.field).map(({ encoded }) => encoded),
      bytes(GRAPH.input, pixelsEnd(card, inputName, input.batch)),
    ];
    const folded = parts.map((part) => (part === graphs[0] ? bytes(MODEL.graph, Buffer.concat(graph)) : part.encoded));
    return { model: Buffer.concat(folded), inputName, dims: input.dims };
  } catch (error) {
    // No message of that kind: loading it says what it is.
    if (error instanceof RangeError) return null;
    throw error;
  }
}

function operatorsBefore(
  { input, normalise }: Pick<ModelCard, "input" | "normalise">,
  from: string,
  to: string,
): OnnxOperator[] {
  const channels = channelsOf(input);
  const isPlanar = input.layout === "NCHW";
  const perChannel = (name: string, of: (mean: number, std: number) => number): OnnxOperator => {
    const values = Float32Array.from({ length: channels }, (_, channel) =>
      of(normalise.mean[channel] ?? normalise.mean[0]!, normalise.std[channel] ?? normalise.std[0]!),
    );
    const tensor: OnnxTensor = { name, dims: isPlanar ? [1, channels, 1, 1] : [channels], values };
    return { op: "Constant", inputs: [], output: name, attributes: { value: { tensor } } };
  };
  const operators = [
    perChannel("sluice/scale", (_, std) => 1 / (255 * std)),
    perChannel("sluice/shift", (mean, std) => -mean / std),
  ];
  let at = from;
  const then = (op: string, inputs: readonly string[], output: string, attributes = {}): void => {
    operators.push({ op, inputs: [at, ...inputs], output, attributes });
    at = output;
  };
  if (isPlanar) then("Transpose", [], "sluice/planes", { perm: [0, 3, 1, 2] });
  if (input.colour === "bgr") {
    const tensor: OnnxTensor = { name: "sluice/order", dims: [3], values: BigInt64Array.of(2n, 1n, 0n) };
    operators.push({ op: "Constant", inputs: [], output: tensor.name, attributes: { value: { tensor } } });
    then("Gather", [tensor.name], "sluice/turned", { axis: 1 });
  }
  then("Cast", [], "sluice/values", { to: FLOAT });
  then("Mul", ["sluice/scale"], "sluice/scaled");
  then("Add", ["sluice/shift"], to);
  return operators;
}

/** The version of the standard operators that the model was exported for */
function opsetOf(model: readonly Field[]): number {
  for (const { number, content } of model) {
    if (number !== MODEL.opset) continue;
    const fields = [...fieldsOf(content)];
    const domain = fields.find((field) => field.number === OPSET.domain)?.content ?? new Uint8Array(0);
    if (domain.length === 0) return fields.find((field) => field.number === OPSET.version)?.value ?? 0;
  }
  return 0;
}

interface Input {
  readonly field: Field;
  readonly name: string;
  readonly dims: readonly (number | null)[];
  /** The batch's dimension as the model has it */
  readonly batch: Uint8Array;
}

/** The model's one float32 input of four dimensions; null for any other, and where constants lie outside the file. */
function onlyInput(graph: readonly Field[]): Input | null {
  const constants = new Set<string>();
  for (const { number, content } of graph) {
    if (number === GRAPH.sparseConstant) return null;
    if (number !== GRAPH.constant) continue;
    for (const field of fieldsOf(content)) {
      if (field.number === TENSOR.name) constants.add(textOf(field.content));
      if (field.number === TENSOR.dataLocation && field.value !== 0) return null;
    }
  }
  // Old models list their constants among the inputs.
  const inputs = graph.filter(({ number, content }) => number === GRAPH.input && !constants.has(nameOf(content)));
  const [field] = inputs;
  if (field === undefined || inputs.length !== 1) return null;
  const tensor = within(within(field.content, END.type), 1);
  const type = [...fieldsOf(tensor)].find(({ number }) => number === 1)?.value;
  const dims = [...fieldsOf(within(tensor, 2))].filter(({ number }) => number === 1).map(({ content }) => content);
  if (type !== FLOAT || dims.length !== 4) return null;
  return { field, name: nameOf(field.content), dims: dims.map(dimOf), batch: dims[0]! };
}

/** A dimension's number; null where it is symbolic or left open */
function dimOf(dim: Uint8Array): number | null {
  return [...fieldsOf(dim)].find(({ number }) => number === 1)?.value ?? null;
}

/** A ValueInfoProto of the pixels. */
function pixelsEnd(card: Pick<ModelCard, "input">, name: string, batch: Uint8Array): Uint8Array {
  const [, ...sides] = inputDims({ input: { ...card.input, layout: "NHWC" } }, 1);
  const shape = message(bytes(1, batch), ...sides.map((side) => bytes(1, integer(1, side))));
  return message(text(END.name, name), bytes(END.type, bytes(1, message(integer(1, UINT8), bytes(2, shape)))));
}

function within(content: Uint8Array, number: number): Uint8Array {
  return [...fieldsOf(content)].find((field) => field.number === number)?.content ?? new Uint8Array(0);
}

const nameOf = (end: Uint8Array): string => textOf(within(end, END.name));

function textOf(content: Uint8Array): string {
  return Buffer.from(content.buffer, content.byteOffset, content.length).toString();
}
