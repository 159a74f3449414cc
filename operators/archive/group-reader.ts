import type { Store } from "../../connectors/store/store.js";
import { noRows, rowsBetween } from "../../schemas/run-columns.js";
import { repairsOf } from "../../schemas/damage-repairs.js";
import { SluiceError, awaitedLater } from "../../schemas/errors.js";
import type { ScoredBatch } from "../../schemas/scored-batch.js";
import type { ChainLosses } from "./lost-ranges.js";
import type { RunIndex } from "./run-index.js";
import { readGroup, type GroupRange } from "./run-rows.js";
import { SegmentMemory } from "./segment-objects.js";

/** Reads the row groups of a run one after the other, the next one while the caller works on one. */
export class GroupReader {
  readonly #store: Store;
  readonly #index: RunIndex;
  #memory = new SegmentMemory();
  #memoryAhead = new SegmentMemory();
  #here: { readonly group: number; readonly batch: ScoredBatch } | null = null;
  #ahead: { readonly group: number; readonly batch: Promise<ScoredBatch> } | null = null;

  constructor(store: Store, index: RunIndex) {
    this.#store = store;
    this.#index = index;
  }

  /** Rows of a segment; groups that begin at or behind `until` are not read ahead. */
  async rowsOf(segment: number, until: number): Promise<ScoredBatch> {
    const index = this.#index;
    const group = index.groupOf(segment);
    if (group < 0) return noRows(index.rowGroups[0]?.topM ?? 1);
    if (this.#here?.group !== group) {
      this.#here = null;
      let reading: Promise<ScoredBatch>;
      if (this.#ahead?.group === group) {
        [this.#memory, this.#memoryAhead] = [this.#memoryAhead, this.#memory];
        reading = this.#ahead.batch;
      } else reading = this.#read(group, this.#memory);
      this.#ahead = null;
      this.#here = { group, batch: await reading };
      const next = group + 1;
      if (next < index.rowGroups.length && index.startOf(index.rowGroups[next]!.first) < until) {
        this.#ahead = { group: next, batch: awaitedLater(this.#read(next, this.#memoryAhead)) };
      }
    }
    const first = index.firstRowOf(segment);
    return rowsBetween(this.#here.batch, first, first + index.rowsOf(segment));
  }

  goneFile(segment: number, cause: SluiceError): SluiceError {
    const group = this.#index.groupOf(segment);
    const { key } = this.#index.group(group);
    const { start, end } = rangeOf(this.#index, group);
    const { stream, partition } = this.#index.head;
    return new SluiceError(
      "E_SEGMENT_CORRUPT",
      `Expected the rows of offsets [${start}, ${end}) of ${stream}/${partition} in ${key}, which ${this.#index.key} names, found no such object. ` +
        repairsOf(key),
      { cause, key, start, end },
    );
  }

  #read(group: number, memory: SegmentMemory): Promise<ScoredBatch> {
    return readGroup(this.#store, this.#index.group(group), rangeOf(this.#index, group), memory.room);
  }
}

/** Whether rows of a row group are declared lost. What was compacted since has lost segments, without rows, beside others. */
export function isGroupLost(index: RunIndex, group: number, losses: ChainLosses): boolean {
  const { first, segments } = index.rowGroups[group]!;
  for (let segment = first; segment < first + segments; segment++)
    if (index.rowsOf(segment) > 0 && losses.at(index.startOf(segment)) !== null) return true;
  return false;
}

/** Offsets of a row group */
export function rangeOf(index: RunIndex, group: number): GroupRange {
  const { first, segments } = index.rowGroups[group]!;
  const { stream, partition } = index.head;
  return { stream, partition, start: index.startOf(first), end: index.endOf(first + segments - 1) };
}
