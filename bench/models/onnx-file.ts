import { bytes, float, integer, message, text } from "./protobuf.js";

/** A float32 or int64 constant of a model. */
export interface OnnxTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly values: Float32Array | BigInt64Array;
}

export type OnnxAttribute = number | string | readonly number[] | { readonly float: number };

/** One operator. Attributes: a number is an int, `{float}` a float, an array ints. */
export interface OnnxOperator {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
}

/** A float32 input or output. A dimension given as text is symbolic: it may have any size. */
export interface OnnxEnd {
  readonly name: string;
  readonly dims: readonly (number | string)[];
}

export interface OnnxModel {
  readonly name: string;
  readonly inputs: readonly OnnxEnd[];
  readonly outputs: readonly OnnxEnd[];
  readonly operators: readonly OnnxOperator[];
  readonly constants: readonly OnnxTensor[];
}

/** IR 8 with opset 17: read by every onnxruntime since 1.14. */
const IR_VERSION = 8;
const OPSET = 17;
const FLOAT = 1;
const INT64 = 7;
const ATTRIBUTE = { float: 1, int: 2, string: 3, ints: 7 };

/** An ONNX file (a protobuf ModelProto; field numbers from onnx.proto3). Equal models give equal bytes. */
export function encodeOnnx(model: OnnxModel): Uint8Array {
  const graph = message(
    ...model.operators.map((operator, at) => bytes(1, encodeOperator(operator, `${operator.op}_${at}`))),
    text(2, model.name),
    ...model.constants.map((constant) => bytes(5, encodeTensor(constant))),
    ...model.inputs.map((end) => bytes(11, encodeEnd(end))),
    ...model.outputs.map((end) => bytes(12, encodeEnd(end))),
  );
  return message(
    integer(1, IR_VERSION),
    text(2, "sluice"),
    bytes(7, graph),
    bytes(8, message(text(1, ""), integer(2, OPSET))),
  );
}

function encodeOperator({ op, inputs, output, attributes = {} }: OnnxOperator, name: string): Uint8Array {
  return message(
    ...inputs.map((input) => text(1, input)),
    text(2, output),
    text(3, name),
    text(4, op),
    ...Object.entries(attributes).map(([key, value]) => bytes(5, message(text(1, key), ...encodeValue(value)))),
  );
}

function encodeValue(value: OnnxAttribute): Uint8Array[] {
  if (typeof value === "number") return [integer(3, value), integer(20, ATTRIBUTE.int)];
  if (typeof value === "string") return [text(4, value), integer(20, ATTRIBUTE.string)];
  if ("float" in value) return [float(2, value.float), integer(20, ATTRIBUTE.float)];
  return [...value.map((item) => integer(8, item)), integer(20, ATTRIBUTE.ints)];
}

function encodeTensor({ name, dims, values }: OnnxTensor): Uint8Array {
  return message(
    ...dims.map((dim) => integer(1, dim)),
    integer(2, values instanceof Float32Array ? FLOAT : INT64),
    text(8, name),
    // Little-endian, as typed arrays are on every machine that Node runs on
    bytes(9, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)),
  );
}

function encodeEnd({ name, dims }: OnnxEnd): Uint8Array {
  const shape = message(
    ...dims.map((dim) => bytes(1, typeof dim === "number" ? message(integer(1, dim)) : message(text(2, dim)))),
  );
  return message(text(1, name), bytes(2, message(bytes(1, message(integer(1, FLOAT), bytes(2, shape))))));
}
