import { kByClass, type TopkParameters } from "./topk-size.js";

/**
 * Thresholds guessed from a sample, for a caller that can read a stream twice. Without them the first K + R candidates of a
 * class all enter its state, and in random order K (1 + ln(n / K)) of n do; with them little more than K + R do. A guess
 * may be too high: then the class ends with fewer than K + R images, `mayLack` says so, and it is read again
 * without one. A class that is full is exact, since whatever was left out is strictly below all that it holds.
 */

/** Standard deviations of the number of best images in a sample that a guess stays below its mean. */
const SPREAD = 4;

/**
 * Parameters of a state that is given `share` (0 to 1) of the stream, taken from all over it: its thresholds, once it
 * has been settled by `counts`, are the guess.
 */
export function sampleParameters(parameters: TopkParameters, share: number): TopkParameters {
  const k = kByClass(parameters).map((k) => {
    const expected = (k + parameters.reserve) * share;
    return Math.ceil(expected + SPREAD * Math.sqrt(expected)) + SPREAD;
  });
  return { ...parameters, k, reserve: 0 };
}

/**
 * Whether a class that ended with `count` images may lack some that were left out because `guess`, its guessed
 * threshold, was too high.
 */
export function mayLack(parameters: TopkParameters, kept: number, count: number, guess: number): boolean {
  return count < kept && guess > (parameters.floorKey ?? -Infinity);
}
