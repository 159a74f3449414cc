import type { ClassMap } from "./class-map.js";
import { logSigmoid } from "../topk/rank-rows.js";

/**
 * The `width` best of the version's classes for one image, from all of its logits: log-probability descending, then the
 * greatest member's logit descending, then that member's number ascending, which is the archive's order where classes
 * stand for themselves; then the keys' bits are the archive's too. A class of several has the sum of their probabilities;
 * of a multi-label teacher, whose classes are independent, the probability that at least one of them is shown.
 */
export class MappedScores {
  readonly #map: ClassMap;
  readonly #temperature: number;
  readonly #multiLabel: boolean;
  /** z = logit / temperature, [C] */
  readonly #scaled: Float64Array;
  /** Greatest member's z, and which it is, [L] */
  readonly #greatest: Float64Array;
  readonly #member: Int32Array;
  readonly #keys: Float64Array;

  constructor(map: ClassMap, temperature: number, multiLabel: boolean) {
    this.#map = map;
    this.#multiLabel = multiLabel;
    this.#temperature = temperature;
    this.#scaled = new Float64Array(map.classOf.length);
    this.#greatest = new Float64Array(map.labels.length);
    this.#member = new Int32Array(map.labels.length);
    this.#keys = new Float64Array(map.labels.length);
  }

  /** `logits` is [C]. Writes classes and keys from `to` on; NaN keys where a logit is no finite number. */
  write(logits: Float32Array, classes: Int32Array, keys: Float64Array, to: number, width: number): void {
    const z = this.#scaled;
    let best = 0;
    for (let index = 0; index < z.length; index++) {
      z[index] = logits[index]! / this.#temperature;
      if (logits[index]! > logits[best]!) best = index;
    }
    this.#fillKeys(best);
    let filled = 0;
    for (let index = 0; index < this.#keys.length; index++) {
      if (filled === width && !this.#isBefore(index, classes[to + width - 1]!)) continue;
      let at = filled < width ? filled++ : width - 1;
      for (; at > 0 && this.#isBefore(index, classes[to + at - 1]!); at--) classes[to + at] = classes[to + at - 1]!;
      classes[to + at] = index;
    }
    for (let rank = 0; rank < width; rank++) keys[to + rank] = this.#keys[classes[to + rank]!]!;
  }

  /** The terms are summed in the order of `rankRows`, so that a class that stands for itself gets the same bits. */
  #fillKeys(best: number): void {
    const z = this.#scaled;
    const top = z[best]!;
    const bestClass = this.#map.classOf[best]!;
    let rest = 0;
    let outside = 0;
    for (let index = 0; index < z.length; index++) {
      if (index === best) continue;
      const share = Math.exp(z[index]! - top);
      rest += share;
      if (this.#map.classOf[index] !== bestClass || bestClass < 0) outside += share;
    }
    const logTotal = Math.log1p(rest);
    for (const [index, members] of this.#map.members.entries()) {
      let first = members[0]!;
      for (const member of members) if (z[member]! > z[first]!) first = member;
      const most = z[first]!;
      this.#greatest[index] = most;
      this.#member[index] = first;
      if (this.#multiLabel) {
        this.#keys[index] = members.length === 1 ? logSigmoid(most) : logAnyOf(z, members);
        continue;
      }
      let sum = 0;
      for (const member of members) sum += Math.exp(z[member]! - most);
      // Near certainty only what is outside tells images apart; elsewhere the difference of logarithms is exact enough.
      this.#keys[index] = index === bestClass ? 0 - Math.log1p(outside / sum) : most - top + Math.log(sum) - logTotal;
    }
  }

  #isBefore(a: number, b: number): boolean {
    if (this.#keys[a] !== this.#keys[b]) return this.#keys[a]! > this.#keys[b]!;
    if (this.#greatest[a] !== this.#greatest[b]) return this.#greatest[a]! > this.#greatest[b]!;
    return this.#member[a]! < this.#member[b]!;
  }
}

/** ln(1 - the product of all 1 - p), p the sigmoid of z: precise near 0 and near 1 */
function logAnyOf(z: Float64Array, members: Int32Array): number {
  let none = 0;
  for (const member of members) none += logSigmoid(-z[member]!);
  return none < -Math.LN2 ? Math.log1p(-Math.exp(none)) : Math.log(-Math.expm1(none));
}
