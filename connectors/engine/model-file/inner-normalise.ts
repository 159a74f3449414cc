import type { ToldNormalise } from "../teacher/model-shapes.js";
import { ONNX_TYPE, type OnnxGraph } from "./read-onnx.js";

/** The operators of a model of any format, called as ONNX calls them. */
export interface StepGraph {
  readonly inputName: string;
  readonly steps: readonly GraphStep[];
  /** The values of a small constant; null for any other name */
  readonly constantOf: (name: string) => readonly number[] | null;
}

export interface GraphStep {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Of a BatchNormalization */
  readonly epsilon?: number | undefined;
}

/** value = factor * pixel + shift, one a channel or one for all */
interface Affine {
  readonly factor: readonly number[];
  readonly shift: readonly number[];
}

/** What moves values and changes none */
const MOVES = new Set(["Cast", "Identity", "Transpose", "Gather", "Squeeze", "Unsqueeze", "Reshape", "Dropout"]);
const TAKES_CHANNELS = new Set(["Gather", "Slice"]);
const MEETS = new Set(["Concat", "ConcatV2", "Pack"]);
const BYTES = { mean: [0], std: [1 / 255] };
const UNIT = { mean: [0], std: [1] };

/** What an input of whole numbers tells. */
export const TAKES_BYTES: ToldNormalise = { normalise: BYTES, from: "the model takes bytes" };

/** `normaliseOfSteps` of an ONNX model. */
export function innerNormalise({ inputs, operators, constantOf }: OnnxGraph): ToldNormalise | null {
  const [input] = inputs;
  if (input === undefined || inputs.length !== 1) return null;
  if (input.type === ONNX_TYPE.uint8) return TAKES_BYTES;
  const steps = operators.map((step): GraphStep => ({ ...step, epsilon: step.attribute("epsilon")?.float }));
  return normaliseOfSteps({ inputName: input.name, steps, constantOf });
}

/**
 * What a model does to its input before anything else, where that is a normalisation: then pixels must go in without one. What it subtracts and
 * divides by tells whether it takes 0 to 255 or 0 to 1. Null where it does nothing, or nothing that tells.
 */
export function normaliseOfSteps(graph: StepGraph): ToldNormalise | null {
  let at = graph.inputName;
  let affine: Affine | null = null;
  for (;;) {
    const users = graph.steps.filter(({ inputs }) => inputs.includes(at));
    const step = users.length === 1 ? users[0]! : whereChannelsMeet(users, graph);
    if (step === null) break;
    const isMove = MOVES.has(step.op) || users.length > 1;
    const own = isMove ? null : affineOf(step, at, graph);
    if (own === null && !isMove) break;
    if (own !== null) affine = affine === null ? own : then(affine, own);
    at = step.outputs[0]!;
  }
  return affine === null ? null : toldBy(affine);
}

/** Where channels that were taken apart are put together again, as models do that turn their order; null where they are not, or not at once. */
function whereChannelsMeet(users: readonly GraphStep[], { steps }: StepGraph): GraphStep | null {
  const parts = new Set(users.flatMap(({ outputs }) => outputs));
  const meeting = steps.filter(({ inputs }) => inputs.some((name) => parts.has(name)));
  const isTurned = users.length > 1 && users.every(({ op }) => TAKES_CHANNELS.has(op));
  return isTurned && meeting.length === 1 && MEETS.has(meeting[0]!.op) ? meeting[0]! : null;
}

/** A tensor's centre and deviation, in the input's own values, say what these are. */
function toldBy({ factor, shift }: Affine): ToldNormalise | null {
  const width = Math.max(factor.length, shift.length);
  const each = Array.from({ length: width }, (_, at) => {
    const own = factor[at] ?? factor[0]!;
    return { mean: -(shift[at] ?? shift[0]!) / own, std: 1 / Math.abs(own) };
  });
  if (each.some(({ mean, std }) => !Number.isFinite(mean) || !Number.isFinite(std))) return null;
  const words = `the model itself subtracts ${shown(each.map(({ mean }) => mean))} and divides by ${shown(each.map(({ std }) => std))}`;
  if (each.some(({ mean, std }) => Math.abs(mean) > 2 || std > 10)) return { normalise: BYTES, from: words };
  if (each.every(({ mean, std }) => mean > 0.05 && mean <= 1 && std <= 1.5)) return { normalise: UNIT, from: words };
  return null;
}

function affineOf(step: GraphStep, at: string, graph: StepGraph): Affine | null {
  if (step.op === "BatchNormalization") return batchNormalisation(step, at, graph);
  if (step.inputs.length !== 2) return null;
  const first = step.inputs[0] === at;
  const values = perChannel(graph.constantOf(step.inputs[first ? 1 : 0]!));
  if (values === null) return null;
  switch (step.op) {
    case "Mul":
      return { factor: values, shift: [0] };
    case "Div":
      return first ? { factor: values.map((value) => 1 / value), shift: [0] } : null;
    case "Add":
      return { factor: [1], shift: values };
    case "Sub":
      return first ? { factor: [1], shift: values.map((value) => -value) } : { factor: [-1], shift: values };
    default:
      return null;
  }
}

function batchNormalisation(step: GraphStep, at: string, graph: StepGraph): Affine | null {
  const [input, ...rest] = step.inputs;
  if (input !== at) return null;
  const [scale, shift, mean, variance] = rest.map((name) => perChannel(graph.constantOf(name)));
  if (scale == null || shift == null || mean == null || variance == null) return null;
  const { epsilon = 1e-5 } = step;
  const factor = scale.map((value, channel) => value / Math.sqrt((variance[channel] ?? variance[0]!) + epsilon));
  return { factor, shift: factor.map((value, channel) => (shift[channel] ?? 0) - value * (mean[channel] ?? 0)) };
}

function then(first: Affine, second: Affine): Affine {
  const width = Math.max(first.factor.length, first.shift.length, second.factor.length, second.shift.length);
  const of = (values: readonly number[], at: number): number => values[at] ?? values[0]!;
  const each = Array.from({ length: width }, (_, at) => at);
  return {
    factor: each.map((at) => of(first.factor, at) * of(second.factor, at)),
    shift: each.map((at) => of(first.shift, at) * of(second.factor, at) + of(second.shift, at)),
  };
}

/** One value, or three; null for what is no constant of a channel. */
function perChannel(values: readonly number[] | null): readonly number[] | null {
  if (values === null || values.length === 0) return null;
  if (values.every((value) => value === values[0])) return [values[0]!];
  return values.length === 3 ? values : null;
}

function shown(values: readonly number[]): string {
  const words = values.map((value) => String(Number(value.toPrecision(4)) + 0));
  return new Set(words).size === 1 ? words[0]! : `[${words.join(", ")}]`;
}
