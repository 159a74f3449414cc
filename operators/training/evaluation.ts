/** How well predictions agree with the truth. Shares are in [0, 1]. */
export interface Evaluation {
  readonly count: number;
  /** Share of all images whose class was predicted */
  readonly accuracy: number;
  /** Share of each class's images whose class was predicted; null for a class without images, [C] */
  readonly recall: readonly (number | null)[];
  /** Mean of `recall` over the classes that have images: every class counts the same */
  readonly meanRecall: number;
  /** Images of class `row` predicted as class `column`, row-major, [C x C] */
  readonly confusion: Int32Array;
}

/** `predicted` and `truth` are class indices below `classes`, [n] each, n at least 1. */
export function evaluatePredictions(predicted: Int32Array, truth: Int32Array, classes: number): Evaluation {
  if (predicted.length !== truth.length || truth.length === 0) {
    throw new RangeError(
      `expected as many predictions as labels and at least one, found ${predicted.length} and ${truth.length}`,
    );
  }
  const confusion = new Int32Array(classes * classes);
  truth.forEach((label, row) => confusion[label * classes + predicted[row]!]!++);
  const recall: (number | null)[] = [];
  let right = 0;
  for (let label = 0; label < classes; label++) {
    const row = confusion.subarray(label * classes, (label + 1) * classes);
    const images = row.reduce((sum, count) => sum + count, 0);
    right += row[label]!;
    recall.push(images === 0 ? null : row[label]! / images);
  }
  const accuracy = right / truth.length;
  return { count: truth.length, accuracy, recall, meanRecall: mean(recall)!, confusion };
}

/**
 * Mean recall over the tail: the rarer half of the classes by their number of training images (`trainingCounts`, [C]); of an odd
 * number of classes the middle one is not in it, ties go to the lower index. Null where no tail class has test images.
 */
export function tailRecall(evaluation: Evaluation, trainingCounts: ArrayLike<number>): number | null {
  return mean(tailClasses(trainingCounts).map((label) => evaluation.recall[label] ?? null));
}

/** The rarer half of the classes, ascending. */
export function tailClasses(trainingCounts: ArrayLike<number>): number[] {
  const byCount = Array.from(trainingCounts, (count, label) => ({ count, label }));
  byCount.sort((a, b) => a.count - b.count || a.label - b.label);
  return byCount
    .slice(0, Math.floor(byCount.length / 2))
    .map(({ label }) => label)
    .sort((a, b) => a - b);
}

/** The class with the greatest logit, the lower index where two are equal; `logits` is [n x classes], row-major. */
export function predictedClasses(logits: Float32Array, classes: number): Int32Array {
  const predicted = new Int32Array(logits.length / classes);
  for (let row = 0; row < predicted.length; row++) {
    let best = 0;
    for (let label = 1; label < classes; label++) {
      if (logits[row * classes + label]! > logits[row * classes + best]!) best = label;
    }
    predicted[row] = best;
  }
  return predicted;
}

/** Images a class. [classes] */
export function classCounts(labels: Int32Array, classes: number): Int32Array {
  const counts = new Int32Array(classes);
  for (const label of labels) counts[label]!++;
  return counts;
}

function mean(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}
