import { SluiceError } from "../../../schemas/errors.js";
import type { ModelCard } from "../../../schemas/model-card.js";
import type { GraphStep } from "../model-file/inner-normalise.js";

/** What an output holds, and what tells so, in words. */
export interface ToldKind {
  readonly kind: ModelCard["output"]["kind"];
  readonly from: string;
}

/** How far a sum of float16 probabilities lies from 1, a thousand of them */
const SUM_TOLERANCE = 5e-3;
/** However many classes: sums further off are those of no rounding */
const MOST_ROUNDING = 0.25;

/** What leaves scores as they are, or moves them only */
const PASSES = new Set(
  "Identity Cast Reshape Flatten Squeeze Unsqueeze Transpose Dropout QuantizeLinear DequantizeLinear".split(" "),
);
const ENDS: Readonly<Record<string, ToldKind>> = {
  Softmax: { kind: "probabilities", from: "a softmax in the model" },
  QLinearSoftmax: { kind: "probabilities", from: "a softmax in the model" },
  LogSoftmax: { kind: "logits", from: "a log-softmax in the model: they rank as logits do" },
  Sigmoid: { kind: "sigmoid", from: "a sigmoid in the model: each class for itself" },
  HardSigmoid: { kind: "sigmoid", from: "a sigmoid in the model: each class for itself" },
  QLinearSigmoid: { kind: "sigmoid", from: "a sigmoid in the model: each class for itself" },
};
const LINEAR = new Set(
  "Gemm MatMul Add Conv GlobalAveragePool MatMulInteger QLinearMatMul QLinearAdd QGemm".split(" "),
);

/** What the last operators before an output make of it; null where they do not tell. */
export function kindFromGraph(
  operators: readonly Pick<GraphStep, "op" | "inputs" | "outputs">[],
  output: string,
): ToldKind | null {
  let name: string | undefined = output;
  while (name !== undefined) {
    const step = operators.find(({ outputs }) => outputs.includes(name!));
    if (step === undefined) return null;
    if (!PASSES.has(step.op)) {
      return (
        ENDS[step.op] ?? (LINEAR.has(step.op) ? { kind: "logits", from: "no softmax or sigmoid in the model" } : null)
      );
    }
    name = step.inputs[0];
  }
  return null;
}

/** What the rows of a few trial runs are. Throws E_IMAGE_SCORES where the first is not finite. */
export function kindFromTrials(rows: readonly Float32Array[], path: string): ToldKind {
  const first = rows[0]!;
  const at = first.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) {
    throw new SluiceError(
      "E_IMAGE_SCORES",
      `Expected finite scores from a trial run of ${path}, found ${first[at]} for class ${at}: the weights or their export are damaged.`,
      { path, class: at },
    );
  }
  const told = rows.filter((row) => row.every(Number.isFinite));
  const all = (holds: (row: Float32Array) => boolean): boolean => told.every(holds);
  const runs = told.length === 1 ? "a trial run" : `${told.length} trial runs`;
  const within = all((row) => row.every((value) => value >= 0 && value <= 1));
  if (within && all((row) => Math.abs(sumOf(row) - 1) < SUM_TOLERANCE))
    return { kind: "probabilities", from: `they summed to 1 in ${runs}` };
  if (within && all(isRounded))
    return { kind: "probabilities", from: `they summed to 1 in ${runs}, as far as 8 bits can` };
  if (all((row) => row.every((value) => value <= 0) && Math.abs(sumOf(row.map(Math.exp)) - 1) < SUM_TOLERANCE))
    return { kind: "logits", from: `logarithms of probabilities in ${runs}: they rank as logits do` };
  if (within && told.length > 1)
    return { kind: "sigmoid", from: `between 0 and 1 in ${runs}, and they did not sum to 1: each class for itself` };
  return { kind: "logits", from: `they did not sum to 1 in ${runs}` };
}

/** Multiples of 1/255 or 1/256, as a quantised softmax gives them, with a sum that is 1 but for their rounding */
function isRounded(row: Float32Array): boolean {
  const multiples = [255, 256].some((steps) =>
    row.every((value) => Math.abs(value * steps - Math.round(value * steps)) < 1e-3),
  );
  return multiples && Math.abs(sumOf(row) - 1) <= Math.min(MOST_ROUNDING, row.length / 255);
}

function sumOf(row: Float32Array): number {
  return row.reduce((total, value) => total + value, 0);
}
