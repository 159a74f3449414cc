import { counted } from "../../schemas/counted.js";
/** How far probabilities can be believed, on images whose class is known. */
export interface Calibration {
  readonly temperature: number;
  /** Mean negative log-likelihood of the true classes, nats */
  readonly nll: number;
  /** Expected calibration error: mean distance of the best class's probability from the share of right answers, over 15 bins of it */
  readonly ece: number;
}

/** Bins of equal width, as Guo et al. 2017, "On Calibration of Modern Neural Networks", have them */
const BINS = 15;
/** Outside of this range a set says no more than "sharper" or "flatter": it is too small, or the teacher is always right or never. */
export const TEMPERATURE_RANGE = { least: 0.05, most: 20 } as const;
/** Halvings of that range on the scale of 1/T: to 1e-14 of it */
const STEPS = 50;

/** `logits` is [n x classes], row-major; `labels` [n]; both finite. */
export function calibrationAt(
  logits: Float32Array,
  labels: Int32Array,
  classes: number,
  temperature: number,
): Calibration {
  assertRows(logits, labels, classes);
  const bins = Array.from({ length: BINS }, () => ({ confidence: 0, right: 0 }));
  let sum = 0;
  eachRow(logits, labels, classes, (row, label) => {
    const { best, greatest, logTotal } = softmaxOf(row, 1 / temperature);
    sum += logTotal + greatest - row[label]! / temperature;
    const confidence = Math.exp(-logTotal);
    const bin = bins[Math.min(BINS - 1, Math.floor(confidence * BINS))]!;
    bin.confidence += confidence;
    bin.right += best === label ? 1 : 0;
  });
  const gap = bins.reduce((total, { confidence, right }) => total + Math.abs(confidence - right), 0);
  return { temperature, nll: sum / labels.length, ece: gap / labels.length };
}

/**
 * The temperature with the least negative log-likelihood, within TEMPERATURE_RANGE: the likelihood is concave in 1/T, so that the sign of
 * its slope leads there.
 */
export function fitTemperature(logits: Float32Array, labels: Int32Array, classes: number): number {
  assertRows(logits, labels, classes);
  let [low, high] = [1 / TEMPERATURE_RANGE.most, 1 / TEMPERATURE_RANGE.least];
  for (let step = 0; step < STEPS; step++) {
    const middle = (low + high) / 2;
    if (slope(logits, labels, classes, middle) < 0) low = middle;
    else high = middle;
  }
  return 2 / (low + high);
}

/** d NLL / d(1/T), of all rows together: the mean logit under the model less that of the truth. */
function slope(logits: Float32Array, labels: Int32Array, classes: number, inverse: number): number {
  let sum = 0;
  eachRow(logits, labels, classes, (row, label) => {
    const { greatest, logTotal } = softmaxOf(row, inverse);
    let mean = 0;
    for (const logit of row) mean += Math.exp(logit * inverse - greatest - logTotal) * logit;
    sum += mean - row[label]!;
  });
  return sum;
}

function softmaxOf(row: Float32Array, inverse: number): { best: number; greatest: number; logTotal: number } {
  let best = 0;
  for (let at = 1; at < row.length; at++) if (row[at]! > row[best]!) best = at;
  const greatest = row[best]! * inverse;
  let total = 0;
  for (const logit of row) total += Math.exp(logit * inverse - greatest);
  return { best, greatest, logTotal: Math.log(total) };
}

function eachRow(
  logits: Float32Array,
  labels: Int32Array,
  classes: number,
  visit: (row: Float32Array, label: number) => void,
): void {
  labels.forEach((label, at) => {
    visit(logits.subarray(at * classes, (at + 1) * classes), label);
  });
}

function assertRows(logits: Float32Array, labels: Int32Array, classes: number): void {
  if (labels.length > 0 && logits.length === labels.length * classes) return;
  throw new RangeError(
    `expected ${counted(labels.length, "row")} of ${classes} logits and at least one, found ${logits.length}`,
  );
}
