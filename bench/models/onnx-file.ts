import {
  encodeOperator,
  encodeTensor,
  type OnnxOperator,
  type OnnxTensor,
} from "../../connectors/engine/onnx/operators.js";
import { bytes, integer, message, text } from "../../connectors/engine/onnx/protobuf.js";

export type { OnnxOperator, OnnxTensor };

/** An input or output. A dimension given as text is symbolic: it may have any size. */
export interface OnnxEnd {
  readonly name: string;
  /** TensorProto.DataType; float32 where it is absent */
  readonly type?: number;
  readonly dims: readonly (number | string)[];
}

export interface OnnxModel {
  readonly name: string;
  readonly inputs: readonly OnnxEnd[];
  readonly outputs: readonly OnnxEnd[];
  readonly operators: readonly OnnxOperator[];
  readonly constants: readonly OnnxTensor[];
  /** metadata_props */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** IR 8 with opset 17: read by every onnxruntime since 1.14. */
const IR_VERSION = 8;
const OPSET = 17;
const FLOAT = 1;

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
    ...Object.entries(model.metadata ?? {}).map(([key, value]) => bytes(14, message(text(1, key), text(2, value)))),
  );
}

function encodeEnd({ name, dims, type = FLOAT }: OnnxEnd): Uint8Array {
  const shape = message(
    ...dims.map((dim) => bytes(1, typeof dim === "number" ? message(integer(1, dim)) : message(text(2, dim)))),
  );
  return message(text(1, name), bytes(2, message(bytes(1, message(integer(1, type), bytes(2, shape))))));
}
