import { bytes, float, integer, message, text } from "./protobuf.js";

/** A float32 or int64 constant of a model. */
export interface OnnxTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly values: Float32Array | BigInt64Array;
}

export type OnnxAttribute =
  number | string | readonly number[] | { readonly float: number } | { readonly tensor: OnnxTensor };

/** One operator. Attributes: a number is an int, `{float}` a float, `{tensor}` a tensor, an array ints. */
export interface OnnxOperator {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
}

const FLOAT = 1;
const INT64 = 7;
const ATTRIBUTE = { float: 1, int: 2, string: 3, tensor: 4, ints: 7 };

/** A NodeProto (field numbers from onnx.proto3). */
export function encodeOperator({ op, inputs, output, attributes = {} }: OnnxOperator, name: string): Uint8Array {
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
  if ("tensor" in value) return [bytes(5, encodeTensor(value.tensor)), integer(20, ATTRIBUTE.tensor)];
  if ("float" in value) return [float(2, value.float), integer(20, ATTRIBUTE.float)];
  return [...value.map((item) => integer(8, item)), integer(20, ATTRIBUTE.ints)];
}

/** A TensorProto. */
export function encodeTensor({ name, dims, values }: OnnxTensor): Uint8Array {
  return message(
    ...dims.map((dim) => integer(1, dim)),
    integer(2, values instanceof Float32Array ? FLOAT : INT64),
    text(8, name),
    // Little-endian, as typed arrays are on every machine that Node runs on
    bytes(9, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)),
  );
}
