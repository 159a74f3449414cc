import { SluiceError } from "../../schemas/errors.js";
import { ENTRY_BYTES } from "./topk-entry.js";
import { scratchBytes } from "./topk-scratch.js";

export interface TopkParameters {
  /** L: classes are numbered [0, L) */
  readonly classes: number;
  /** K: images a class, at least 1; by class where it is an array, [L] */
  readonly k: number | Int32Array;
  /** R: images a class held beyond K, at least 0 */
  readonly reserve: number;
  /** Least rank key of an entry; by default none */
  readonly floorKey?: number | undefined;
}

/** A buffer of fewer spare entries would be cut back too often. */
const LEAST_SPARE = 32;
/** Entries of a class's first buffer, and how much larger the next one is. */
const FIRST_ENTRIES = 16;
const GROWTH = 4;
/** From this part of the whole on, a buffer is allocated whole: what has not been written yet takes no memory. */
const WHOLE_FROM = 1 / 16;

/** K of each class, [L]. Throws E_SELECTION. */
export function kByClass({ classes, k, reserve, floorKey }: TopkParameters): Int32Array {
  const refuse = (what: string): never => {
    throw new SluiceError("E_SELECTION", `${what}. Set it in the dataset's \`select\`.`, { classes, reserve });
  };
  if (!Number.isSafeInteger(classes) || classes < 1 || classes >= 2 ** 31) {
    refuse(`Expected a number of classes of at least 1, found ${classes}`);
  }
  if (!Number.isSafeInteger(reserve) || reserve < 0 || reserve >= 2 ** 30) {
    refuse(`Expected a reserve R that is an integer in [0, 2^30), found ${reserve}`);
  }
  if (Number.isNaN(floorKey)) refuse("Expected a floor that is a number, found NaN");
  if (typeof k !== "number" && k.length !== classes) {
    refuse(`Expected K for each of ${classes} classes, found ${k.length} numbers`);
  }
  const each = typeof k === "number" ? [k] : k;
  for (const one of each) {
    if (!Number.isSafeInteger(one) || one < 1 || one >= 2 ** 30) {
      refuse(`Expected a K that is an integer in [1, 2^30), found ${one}`);
    }
  }
  return typeof k === "number" ? new Int32Array(classes).fill(k) : k.slice();
}

/** Entries that the buffer of a class takes which holds `kept` = K + R images: a quarter more. */
export function bufferEntries(kept: number): number {
  return kept + Math.max(LEAST_SPARE, Math.ceil(kept / 4));
}

/** Entries to allocate for a buffer that must hold `needed`, at most `most`. */
export function grownEntries(needed: number, most: number): number {
  let entries = FIRST_ENTRIES;
  while (entries < needed) entries *= GROWTH;
  return entries > most * WHOLE_FROM ? most : entries;
}

/**
 * Bytes that a full state takes, known before anything is allocated: buffers, thresholds and working memory. A state
 * whose classes are not full takes less.
 */
export function estimateTopkBytes(parameters: TopkParameters): number {
  let buffers = 0;
  let largest = 0;
  for (const k of kByClass(parameters)) {
    const entries = bufferEntries(k + parameters.reserve);
    largest = Math.max(largest, entries);
    buffers += entries * ENTRY_BYTES;
  }
  /** thresholds as double and as identity, sizes, K, counts */
  const perClass = 8 + 16 + 4 * 5;
  return buffers + parameters.classes * perClass + scratchBytes(largest);
}
