import { fromHalf } from "./half-floats.js";
import { fieldsOf, type Field } from "../onnx/protobuf.js";

/** What an ONNX file says without being run. */
export interface OnnxFile {
  readonly irVersion: number;
  /** By domain; "" is the standard's */
  readonly opsets: ReadonlyMap<string, number>;
  /** metadata_props: what the exporter wrote beside the graph */
  readonly metadata: ReadonlyMap<string, string>;
  readonly graph: OnnxGraph;
  /** The files of tensors that lie outside, as the model names them, each once, in their order */
  readonly externalFiles: readonly string[];
}

export interface OnnxGraph {
  /** Without those that have a constant of the same name: old exporters list constants among the inputs */
  readonly inputs: readonly OnnxInput[];
  readonly outputNames: readonly string[];
  readonly operators: readonly OnnxStep[];
  /** The values of a constant of at most `MOST_VALUES` numbers that lies in the file; null for any other */
  readonly constantOf: (name: string) => readonly number[] | null;
}

export interface OnnxInput {
  readonly name: string;
  /** TensorProto.DataType; 0 where it is no tensor */
  readonly type: number;
  /** null where it is symbolic or left open */
  readonly dims: readonly (number | null)[];
}

/** One operator of the graph. */
export interface OnnxStep {
  readonly op: string;
  /** "" is the standard's */
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attribute: (name: string) => OnnxValue | null;
}

export interface OnnxValue {
  readonly float: number;
  readonly int: number;
  readonly ints: readonly number[];
}

/** TensorProto.DataType */
export const ONNX_TYPE = { float32: 1, uint8: 2, int32: 6, int64: 7, float16: 10, float64: 11 } as const;
/** A normalisation has three values or one; a table of 256 a channel is the most that is looked at. */
const MOST_VALUES = 768;
/** Where onnxruntime itself keeps what a program holds in memory: no file */
const IN_MEMORY = /_ORT_MEM_ADDR_/;

/** Field numbers of onnx.proto3 */
const MODEL = { irVersion: 1, graph: 7, opset: 8, metadata: 14, training: 20, function: 25 };
const OPSET = { domain: 1, version: 2 };
const ENTRY = { key: 1, value: 2 };
const GRAPH = { operator: 1, constant: 5, input: 11, output: 12, sparseConstant: 15 };
const OPERATOR = { input: 1, output: 2, op: 4, attribute: 5, domain: 7 };
const FUNCTION = { operator: 7, attribute: 11 };
const ATTRIBUTE = {
  name: 1,
  float: 2,
  int: 3,
  tensor: 5,
  graph: 6,
  ints: 8,
  tensors: 10,
  graphs: 11,
  sparse: 22,
  sparses: 23,
};
const TENSOR = { dims: 1, type: 2, floats: 4, int32s: 5, int64s: 7, name: 8, raw: 9, doubles: 10, external: 13 };
const SPARSE = { values: 1, indices: 2 };
const END = { name: 1, type: 2 };

/** Reads `encoded` without copying its constants. Throws RangeError where the bytes are no ModelProto. */
export function readOnnx(encoded: Uint8Array): OnnxFile {
  const fields = [...fieldsOf(encoded)];
  const graphs = allOf(fields, MODEL.graph);
  if (graphs.length === 0) throw new RangeError("no graph");
  const files = new Set<string>();
  const graph = [...fieldsOf(graphs.at(-1)!.content)];
  collectGraph(graph, files);
  for (const training of allOf(fields, MODEL.training)) {
    for (const part of fieldsOf(training.content)) {
      if (part.number <= 2) collectGraph([...fieldsOf(part.content)], files);
    }
  }
  for (const { content } of allOf(fields, MODEL.function)) {
    for (const field of fieldsOf(content)) {
      if (field.number === FUNCTION.operator) collectOperator(field.content, files);
      if (field.number === FUNCTION.attribute) collectAttribute(field.content, files);
    }
  }
  return {
    irVersion: allOf(fields, MODEL.irVersion)[0]?.value ?? 0,
    opsets: new Map(
      allOf(fields, MODEL.opset).map(({ content }) => {
        const own = [...fieldsOf(content)];
        return [textIn(own, OPSET.domain), allOf(own, OPSET.version)[0]?.value ?? 0];
      }),
    ),
    metadata: new Map(allOf(fields, MODEL.metadata).map(({ content }) => entryOf(content))),
    graph: graphOf(graph),
    externalFiles: [...files],
  };
}

function graphOf(fields: readonly Field[]): OnnxGraph {
  const constants = new Map<string, Uint8Array>();
  for (const { content } of allOf(fields, GRAPH.constant))
    constants.set(textIn(fieldsOf(content), TENSOR.name), content);
  for (const { content } of allOf(fields, GRAPH.operator)) {
    const own = [...fieldsOf(content)];
    if (textIn(own, OPERATOR.op) !== "Constant") continue;
    const tensor = allOf(own, OPERATOR.attribute)
      .flatMap((attribute) => [...fieldsOf(attribute.content)])
      .find(({ number }) => number === ATTRIBUTE.tensor);
    if (tensor !== undefined) constants.set(textIn(own, OPERATOR.output), tensor.content);
  }
  return {
    inputs: allOf(fields, GRAPH.input)
      .map(({ content }) => inputOf(content))
      .filter(({ name }) => !constants.has(name)),
    outputNames: allOf(fields, GRAPH.output).map(({ content }) => textIn(fieldsOf(content), END.name)),
    operators: allOf(fields, GRAPH.operator).map(({ content }) => stepOf(content)),
    constantOf: (name) => {
      const tensor = constants.get(name);
      return tensor === undefined ? null : valuesOf(tensor);
    },
  };
}

function inputOf(content: Uint8Array): OnnxInput {
  const fields = [...fieldsOf(content)];
  const type = [...fieldsOf(allOf(fields, END.type)[0]?.content ?? new Uint8Array(0))];
  const tensor = [...fieldsOf(allOf(type, 1)[0]?.content ?? new Uint8Array(0))];
  const shape = [...fieldsOf(allOf(tensor, 2)[0]?.content ?? new Uint8Array(0))];
  return {
    name: textIn(fields, END.name),
    type: allOf(tensor, 1)[0]?.value ?? 0,
    dims: allOf(shape, 1).map((dim) => allOf([...fieldsOf(dim.content)], 1)[0]?.value ?? null),
  };
}

function stepOf(content: Uint8Array): OnnxStep {
  const fields = [...fieldsOf(content)];
  return {
    op: textIn(fields, OPERATOR.op),
    domain: textIn(fields, OPERATOR.domain).replace(/^ai\.onnx$/, ""),
    inputs: allOf(fields, OPERATOR.input).map((field) => textOf(field.content)),
    outputs: allOf(fields, OPERATOR.output).map((field) => textOf(field.content)),
    attribute: (name) => {
      const own = allOf(fields, OPERATOR.attribute)
        .map((field) => [...fieldsOf(field.content)])
        .find((attribute) => textIn(attribute, ATTRIBUTE.name) === name);
      if (own === undefined) return null;
      const float = allOf(own, ATTRIBUTE.float)[0]?.content;
      return {
        float: float === undefined ? 0 : floatsOf(float)[0]!,
        int: allOf(own, ATTRIBUTE.int)[0]?.value ?? 0,
        ints: integersOf(allOf(own, ATTRIBUTE.ints)),
      };
    },
  };
}

function collectGraph(fields: readonly Field[], files: Set<string>): void {
  for (const { number, content } of fields) {
    if (number === GRAPH.constant) collectTensor(content, files);
    if (number === GRAPH.sparseConstant) collectSparse(content, files);
    if (number === GRAPH.operator) collectOperator(content, files);
  }
}

function collectOperator(content: Uint8Array, files: Set<string>): void {
  for (const field of fieldsOf(content))
    if (field.number === OPERATOR.attribute) collectAttribute(field.content, files);
}

function collectAttribute(content: Uint8Array, files: Set<string>): void {
  for (const field of fieldsOf(content)) {
    if (field.number === ATTRIBUTE.tensor || field.number === ATTRIBUTE.tensors) collectTensor(field.content, files);
    if (field.number === ATTRIBUTE.sparse || field.number === ATTRIBUTE.sparses) collectSparse(field.content, files);
    if (field.number === ATTRIBUTE.graph || field.number === ATTRIBUTE.graphs)
      collectGraph([...fieldsOf(field.content)], files);
  }
}

function collectSparse(content: Uint8Array, files: Set<string>): void {
  for (const { number, content: tensor } of fieldsOf(content)) {
    if (number === SPARSE.values || number === SPARSE.indices) collectTensor(tensor, files);
  }
}

function collectTensor(content: Uint8Array, files: Set<string>): void {
  for (const { number, content: entry } of fieldsOf(content)) {
    if (number !== TENSOR.external) continue;
    const [key, value] = entryOf(entry);
    if (key === "location" && !IN_MEMORY.test(value)) files.add(value);
  }
}

/** The numbers of a tensor; null where it has too many, lies outside, or is of a type that no normalisation has. */
function valuesOf(content: Uint8Array): number[] | null {
  const fields = [...fieldsOf(content)];
  const count = integersOf(allOf(fields, TENSOR.dims)).reduce((product, dim) => product * dim, 1);
  if (count > MOST_VALUES || allOf(fields, TENSOR.external).length > 0) return null;
  const type = allOf(fields, TENSOR.type)[0]?.value ?? 0;
  const raw = allOf(fields, TENSOR.raw)[0]?.content;
  const join = (number: number): Uint8Array => Buffer.concat(allOf(fields, number).map((field) => field.content));
  switch (type) {
    case ONNX_TYPE.float32:
      return floatsOf(raw ?? join(TENSOR.floats));
    case ONNX_TYPE.float64:
      return doublesOf(raw ?? join(TENSOR.doubles));
    case ONNX_TYPE.float16:
      return raw === undefined ? integersOf(allOf(fields, TENSOR.int32s)).map(fromHalf) : halvesOf(raw);
    case ONNX_TYPE.int64:
      return raw === undefined ? integersOf(allOf(fields, TENSOR.int64s)) : int64sOf(raw);
    case ONNX_TYPE.int32:
      return raw === undefined ? integersOf(allOf(fields, TENSOR.int32s)) : int32sOf(raw);
    case ONNX_TYPE.uint8:
      return raw === undefined ? integersOf(allOf(fields, TENSOR.int32s)) : [...raw];
    default:
      return null;
  }
}

/** Repeated integers: one a field, or packed into one field */
function integersOf(fields: readonly Field[]): number[] {
  return fields.flatMap((field) => {
    if (field.encoded.length === 0 || (field.encoded[0]! & 7) === 0) return [field.value];
    const values: number[] = [];
    let [value, factor] = [0, 1];
    for (const byte of field.content) {
      value += (byte & 127) * factor;
      factor *= 128;
      if (byte >= 128) continue;
      values.push(value);
      [value, factor] = [0, 1];
    }
    return values;
  });
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const every = <T>(bytes: Uint8Array, size: number, read: (view: DataView, at: number) => T): T[] => {
  const view = viewOf(bytes);
  return Array.from({ length: Math.floor(bytes.length / size) }, (_, at) => read(view, at * size));
};
const floatsOf = (bytes: Uint8Array): number[] => every(bytes, 4, (view, at) => view.getFloat32(at, true));
const doublesOf = (bytes: Uint8Array): number[] => every(bytes, 8, (view, at) => view.getFloat64(at, true));
const int64sOf = (bytes: Uint8Array): number[] => every(bytes, 8, (view, at) => Number(view.getBigInt64(at, true)));
const int32sOf = (bytes: Uint8Array): number[] => every(bytes, 4, (view, at) => view.getInt32(at, true));
const halvesOf = (bytes: Uint8Array): number[] => every(bytes, 2, (view, at) => fromHalf(view.getUint16(at, true)));

function allOf(fields: readonly Field[], number: number): Field[] {
  return fields.filter((field) => field.number === number);
}

function entryOf(content: Uint8Array): [string, string] {
  const fields = [...fieldsOf(content)];
  return [textIn(fields, ENTRY.key), textIn(fields, ENTRY.value)];
}

function textIn(fields: Iterable<Field>, number: number): string {
  for (const field of fields) if (field.number === number) return textOf(field.content);
  return "";
}

function textOf(content: Uint8Array): string {
  return Buffer.from(content.buffer, content.byteOffset, content.length).toString();
}
