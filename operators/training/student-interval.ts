/** A mean with half of its confidence interval's width. */
export interface MeanInterval {
  readonly count: number;
  readonly mean: number;
  /** NaN for fewer than two values */
  readonly halfWidth: number;
}

/** The mean of values (of paired differences, say) that are taken as normally distributed, with its interval by Student's t. */
export function meanInterval(values: readonly number[], confidence = 0.95): MeanInterval {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const degrees = count - 1;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / degrees;
  const halfWidth = degrees < 1 ? NaN : studentQuantile((1 + confidence) / 2, degrees) * Math.sqrt(variance / count);
  return { count, mean, halfWidth };
}

/** Halvings of where the quantile may lie: to the last bits of a double */
const HALVINGS = 200;

/** Where Student's t distribution with so many degrees of freedom has come to `probability`, [0.5, 1). */
export function studentQuantile(probability: number, degrees: number): number {
  let [low, high] = [0, 1];
  while (studentProbability(high, degrees) < probability) high *= 2;
  for (let halving = 0; halving < HALVINGS && low < high; halving++) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) break;
    if (studentProbability(middle, degrees) < probability) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Share of Student's t distribution below `t`, t at least 0. */
function studentProbability(t: number, degrees: number): number {
  return 1 - incompleteBeta(degrees / (degrees + t * t), degrees / 2, 0.5) / 2;
}

/** The regularised incomplete beta function, by its continued fraction. Source: Abramowitz and Stegun, 26.5.8. */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  // The fraction converges fast on this side only.
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x)) / a;
  let [c, d] = [1, 1 / notNothing(1 - ((a + b) * x) / (a + 1))];
  let value = d;
  for (let m = 1; m <= MOST_TERMS; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / notNothing(1 + even * d);
    c = notNothing(1 + even / c);
    value *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / notNothing(1 + odd * d);
    c = notNothing(1 + odd / c);
    const change = d * c;
    value *= change;
    if (Math.abs(change - 1) < Number.EPSILON) break;
  }
  return front * value;
}

const MOST_TERMS = 1000;
const LEAST = 1e-300;

const notNothing = (value: number): number => (Math.abs(value) < LEAST ? LEAST : value);

/** Where the series below is exact to a double */
const LARGE = 12;

/** ln of the gamma function, x > 0: Stirling's series, for small x at one that is larger. */
function logGamma(x: number): number {
  let shift = 0;
  let at = x;
  for (; at < LARGE; at++) shift += Math.log(at);
  const inverse = 1 / (at * at);
  const series = (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse * (1 / 1680 - inverse / 1188)))) / at;
  return (at - 0.5) * Math.log(at) - at + Math.log(2 * Math.PI) / 2 + series - shift;
}
