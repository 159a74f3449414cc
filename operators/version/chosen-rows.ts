import { SluiceError } from "../../schemas/errors.js";
import type { LeftOut } from "../../schemas/left-out.js";
import type { ClassScores, Ranking } from "../select/ranking.js";
import type { TopkRows } from "../topk/topk.js";
import type { RowPlaces } from "./archived-rows.js";

/** What is chosen of a class, as its state has it. */
export interface ClassEntries {
  readonly class: number;
  readonly rows: TopkRows;
  /** How often each row was there before, [n] */
  readonly repeat: Uint32Array;
  /** 1 for rows behind rank K + R, whose bytes nobody promised to keep, [n]; none where left out */
  readonly deep?: Uint8Array | undefined;
  readonly leftOut?: readonly LeftOut[] | undefined;
  /** 1 for rows that are there because somebody said so, and probabilities, [n]; none where left out */
  readonly byLabel?: Uint8Array | undefined;
  readonly probability?: Float64Array | undefined;
}

/** Where the rows are archived, and how their scores are read. */
export interface RowArchive extends RowPlaces {
  readonly ranking: Ranking;
}

/** The probability of a class, from the scores of a row that ranks in it. Throws E_SEGMENT_CORRUPT. */
export function probabilityOf(scores: ClassScores, row: number, classIndex: number): number {
  for (let place = row * scores.topM; place < (row + 1) * scores.topM; place++) {
    if (scores.classes[place] === classIndex) return Math.exp(scores.keys[place]!);
  }
  throw new SluiceError(
    "E_SEGMENT_CORRUPT",
    `Expected class ${classIndex} among the best of a ranked image, found other classes: a segment was replaced after it was ranked.`,
  );
}
