import { decayBonus } from "../../operators/select/ranking.js";
import { randomRank } from "../../operators/select/random-rank.js";
import { rowTest, type RowTest } from "../../operators/select/row-conditions.js";
import type { Selection } from "../../schemas/dataset.js";
import { ERASED_URI } from "../../schemas/erased.js";
import type { Findings } from "./findings.js";
import { conditionColumns, type ConditionFacts, type IndexColumns } from "./index-reader.js";

/** A log-probability that went through a probability and back is as near as this, relative to what it is added to. */
const NEARLY = 1e-9;
/** Below this a probability has lost digits (a subnormal double). */
const LEAST_NORMAL = 2.3e-308;

/** Checks a row's key and probability against the selection, each as far as the other tells. */
export class RowCheck {
  readonly #select: Selection;
  readonly #findings: Findings;
  readonly #floorKey: number;
  readonly #leavesOut: RowTest | null;
  /** The same of an erased row, of which neither licence nor origin is known any more */
  readonly #leavesOutErased: RowTest | null;

  constructor(select: Selection, findings: Findings) {
    this.#select = select;
    this.#findings = findings;
    this.#floorKey = select.floor > 0 ? Math.log(select.floor) : Number.NEGATIVE_INFINITY;
    this.#leavesOut = rowTest(select.where);
    this.#leavesOutErased = rowTest(select.where && { ...select.where, licence: undefined, origin: undefined });
  }

  /** Every row meets the selection's conditions, those too that people placed. */
  conditions(at: string, columns: ConditionFacts & Pick<IndexColumns, "uri">, row: number): void {
    const leavesOut = columns.uri[row] === ERASED_URI ? this.#leavesOutErased : this.#leavesOut;
    const condition = leavesOut?.(conditionColumns(columns, row), 0) ?? null;
    if (condition !== null) this.#findings.add(`${at}: ${condition}`, "what `select.where` asks for", "another value");
  }

  row(at: string, key: number, probability: number, sha256: string, eventTimeMs: number): void {
    const { floor, order, seed = 0, decay } = this.#select;
    if (order === "random") {
      this.#findings.compare(`${at}: key`, randomRank(seed, Buffer.from(sha256, "hex"), 0), key);
    } else if (decay === undefined) {
      if (key < this.#floorKey)
        this.#findings.add(`${at}: key`, `at least ${this.#floorKey}, for the floor ${floor}`, key);
      this.#findings.compare(`${at}: probability`, Math.exp(key), probability);
      return;
    } else if (probability > LEAST_NORMAL) {
      const expected = Math.log(probability) + decayBonus(decay, eventTimeMs);
      if (Math.abs(expected - key) > NEARLY * Math.max(1, Math.abs(expected))) {
        this.#findings.add(`${at}: key`, `about ${expected}, for its probability and event time`, key);
      }
    }
    if (probability < floor * (1 - NEARLY))
      this.#findings.add(`${at}: probability`, `at least ${floor}, the floor`, probability);
  }
}
