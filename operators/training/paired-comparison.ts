import { SeededRandom } from "./seeded-random.js";

/** Two models on the same images. Shares and differences are of accuracy, in [-1, 1]. */
export interface PairedComparison {
  readonly count: number;
  /** Images that only the first has right, and only the second */
  readonly gained: number;
  readonly lost: number;
  /** Accuracy of the first less that of the second */
  readonly difference: number;
  /** Bootstrap interval of `difference`, at `confidence` */
  readonly interval: { readonly low: number; readonly high: number; readonly confidence: number };
  /** Exact McNemar test, two-sided: the probability of a difference at least this large between models that are equally good */
  readonly p: number;
}

export interface CompareOptions {
  /** Of the interval, in (0, 1) */
  readonly confidence: number;
  /** Of the resamples: the same seed gives the same interval */
  readonly seed: number;
}

/** Resamples of the bootstrap: its ends then vary by less than a tenth of the interval's width */
const RESAMPLES = 2000;

/** `first` and `second` say of each image whether it was right, in one order; at least one image. */
export function comparePaired(
  first: readonly boolean[],
  second: readonly boolean[],
  { confidence, seed }: CompareOptions,
): PairedComparison {
  const count = first.length;
  if (count === 0 || second.length !== count) {
    throw new RangeError(`expected answers to the same images, at least one, found ${count} and ${second.length}`);
  }
  let gained = 0;
  let lost = 0;
  first.forEach((right, at) => {
    if (right && !second[at]!) gained++;
    if (!right && second[at]!) lost++;
  });
  return {
    count,
    gained,
    lost,
    difference: (gained - lost) / count,
    interval: { ...bootstrapInterval({ count, gained, lost }, confidence, seed), confidence },
    p: mcnemarExact(gained, lost),
  };
}

/** Two-sided p of the exact McNemar test: `gained` and `lost` are as likely as heads and tails. */
export function mcnemarExact(gained: number, lost: number): number {
  const all = gained + lost;
  const least = Math.min(gained, lost);
  // Of ln C(all, k) - all ln 2, term by term: neither the coefficient nor the power fits a double where there are thousands.
  let logTerm = -all * Math.LN2;
  let sum = Math.exp(logTerm);
  for (let k = 1; k <= least; k++) {
    logTerm += Math.log((all - k + 1) / k);
    sum += Math.exp(logTerm);
  }
  return Math.min(1, 2 * sum);
}

/** Wilson's interval of a share of `right` among `count`; `count` at least 1. */
export function wilsonInterval(right: number, count: number, confidence: number): { low: number; high: number } {
  const z = normalQuantile((1 + confidence) / 2);
  const share = right / count;
  const scale = 1 + (z * z) / count;
  const middle = (share + (z * z) / (2 * count)) / scale;
  const half = (z * Math.sqrt((share * (1 - share)) / count + (z * z) / (4 * count * count))) / scale;
  return { low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}

/** Standard normal, for a share above a half, by bisection of its distribution (Abramowitz and Stegun 26.2.17, to 7.5e-8). */
function normalQuantile(share: number): number {
  let [low, high] = [0, 10];
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (normalBelow(middle) < share) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

function normalBelow(z: number): number {
  const t = 1 / (1 + 0.2316419 * z);
  const terms = [0.31938153, -0.356563782, 1.781477937, -1.821255978, 1.330274429];
  const sum = terms.reduceRight((inner, term) => t * (term + inner), 0);
  return 1 - (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * sum;
}

/** Percentiles of the mean difference over images drawn with replacement. */
function bootstrapInterval(
  { count, gained, lost }: { readonly count: number; readonly gained: number; readonly lost: number },
  confidence: number,
  seed: number,
): { low: number; high: number } {
  const random = new SeededRandom(seed, "bootstrap");
  const means = new Float64Array(RESAMPLES);
  for (let resample = 0; resample < RESAMPLES; resample++) {
    let sum = 0;
    for (let draw = 0; draw < count; draw++) {
      // Which of the three kinds an image is of is all that its place decides.
      const place = random.below(count);
      if (place < gained) sum++;
      else if (place < gained + lost) sum--;
    }
    means[resample] = sum / count;
  }
  means.sort();
  return { low: quantile(means, (1 - confidence) / 2), high: quantile(means, (1 + confidence) / 2) };
}

/** Between neighbours in a straight line; `sorted` ascending. */
function quantile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (at - below) * (sorted[above]! - sorted[below]!);
}
