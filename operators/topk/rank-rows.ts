/** The best M classes of each row, as the archive keeps them. */
export interface RankedRows {
  readonly count: number;
  readonly topM: number;
  /** [n x M], rank key descending, then class ascending */
  readonly classes: Int32Array;
  /** log-probabilities, [n x M] */
  readonly keys: Float64Array;
  /** before temperature, [n x M] */
  readonly logits: Float32Array;
  /** of logits / temperature, over all classes, [n] */
  readonly logSumExp: Float64Array;
  /** 0 where a logit is not a finite number: such a row has no scores, [n] */
  readonly finite: Uint8Array;
}

/**
 * Ranks `count` rows of `classCount` logits. The rank key of class i is -log1p(sum over j != i of exp(z_j - z_i)) with
 * z = logit / temperature in double, summed in the order of the classes: where the best class takes almost everything
 * it still tells images apart, which a float32 softmax (saturated at 1) does not. Of a `multiLabel` teacher each class stands for itself: the
 * key is the log-sigmoid of z.
 */
export function rankRows(
  logits: Float32Array,
  count: number,
  classCount: number,
  topM: number,
  temperature: number,
  multiLabel = false,
): RankedRows {
  const width = Math.min(topM, classCount);
  const classes = new Int32Array(count * width);
  const keys = new Float64Array(count * width);
  const kept = new Float32Array(count * width);
  const logSumExp = new Float64Array(count);
  const finite = new Uint8Array(count).fill(1);
  for (let row = 0; row < count; row++) {
    const from = row * classCount;
    const to = row * width;
    let best = -1;
    let bestLogit = Number.NEGATIVE_INFINITY;
    for (let index = 0; index < classCount; index++) {
      const logit = logits[from + index]!;
      if (!Number.isFinite(logit)) {
        best = -1;
        break;
      }
      if (logit > bestLogit) {
        bestLogit = logit;
        best = index;
      }
    }
    if (best < 0) {
      finite[row] = 0;
      continue;
    }
    const top = bestLogit / temperature;
    let rest = 0;
    for (let index = 0; index < classCount; index++) {
      if (index !== best) rest += Math.exp(logits[from + index]! / temperature - top);
    }
    const logTotal = Math.log1p(rest);
    logSumExp[row] = top + logTotal;
    selectBest(logits, from, classCount, classes, kept, to, width);
    for (let rank = 0; rank < width; rank++) {
      const z = kept[to + rank]! / temperature;
      keys[to + rank] = multiLabel ? logSigmoid(z) : z - top - logTotal;
    }
  }
  return { count, topM: width, classes, keys, logits: kept, logSumExp, finite };
}

/** ln(1 / (1 + exp(-z))) in double: -log1p(exp(-z)), by its own exponent where that overflows */
export function logSigmoid(z: number): number {
  return z < 0 ? z - Math.log1p(Math.exp(z)) : 0 - Math.log1p(Math.exp(-z));
}

/** Insertion into a sorted window of `width`: nearly all logits are turned away by one comparison. */
function selectBest(
  logits: Float32Array,
  from: number,
  classCount: number,
  classes: Int32Array,
  kept: Float32Array,
  to: number,
  width: number,
): void {
  let filled = 0;
  for (let index = 0; index < classCount; index++) {
    const logit = logits[from + index]!;
    if (filled === width && logit <= kept[to + width - 1]!) continue;
    let at = filled < width ? filled++ : width - 1;
    for (; at > 0 && kept[to + at - 1]! < logit; at--) {
      kept[to + at] = kept[to + at - 1]!;
      classes[to + at] = classes[to + at - 1]!;
    }
    kept[to + at] = logit;
    classes[to + at] = index;
  }
}
