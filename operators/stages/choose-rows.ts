import type { SpanState } from "../pure/dataset-state.js";
import { choose, choosesByClass, repeated, type Policy, type RankedList } from "../pure/selection.js";
import type { TopkRows } from "../pure/topk.js";
import type { ClassEntries } from "./chosen-rows.js";

export interface ChooseOptions {
  readonly policy: Policy & { readonly repeat: boolean };
  /** K of each class, [L] */
  readonly k: Int32Array;
  /** The same state with lists of at least `depth` rows a class, [L], read from the archive alone */
  readonly deeper: (depth: Int32Array) => Promise<SpanState>;
}

/** How much longer a list is read where it was too short to tell: a pass over the archive costs more than memory. */
const DEEPER = 4;

/** What of a class is chosen: how many rows, and the rows themselves when they are asked for. */
export interface ChosenClass {
  readonly class: number;
  readonly count: number;
  readonly entries: () => ClassEntries;
}

/**
 * Chooses a version's rows from a state. Where its lists, which end at K + R, are too short to choose among the classes
 * exactly, longer ones are read from the archive.
 */
export async function chooseRows(state: SpanState, options: ChooseOptions): Promise<ChosenClass[]> {
  const { policy, k } = options;
  if (choosesByClass(policy)) {
    return [...state.topk.counts()].map((count, index) =>
      chosenClass(index, k[index]!, policy.repeat, Math.min(count, k[index]!), null, () =>
        state.topk.rows(index, k[index]),
      ),
    );
  }
  let from = state;
  for (;;) {
    const lists = [...from.topk.counts()].map((count, index) => ({
      ...from.topk.rows(index),
      complete: count < from.topk.kept[index]!,
    })) satisfies RankedList[];
    const { rows, short } = choose(lists, k, policy);
    if (rows !== null) {
      return rows.map((places, index) =>
        chosenClass(index, k[index]!, policy.repeat, places.length, places, () => lists[index]!),
      );
    }
    const depth = from.topk.kept.slice();
    for (const index of short) depth[index] = Math.min(2 ** 29, depth[index]! * DEEPER);
    from = await options.deeper(depth);
  }
}

function chosenClass(
  index: number,
  k: number,
  repeat: boolean,
  count: number,
  chosen: Int32Array | null,
  rows: () => TopkRows,
): ChosenClass {
  const plain = chosen === null && !(repeat && count < k);
  return {
    class: index,
    count: repeat && count > 0 ? Math.max(k, count) : count,
    entries: () => {
      const all = rows();
      if (plain) return { class: index, rows: all, repeat: new Uint32Array(count) };
      const first = chosen ?? Int32Array.from({ length: count }, (_, place) => place);
      const { places, repeat: times } = repeat
        ? repeated(first, k)
        : { places: first, repeat: new Uint32Array(first.length) };
      return { class: index, rows: rowsAt(all, places), repeat: times };
    },
  };
}

function rowsAt(rows: TopkRows, places: Int32Array): TopkRows {
  const identity = new Uint32Array(4 * places.length);
  places.forEach((place, row) => {
    identity.set(rows.identity.subarray(4 * place, 4 * place + 4), 4 * row);
  });
  return {
    count: places.length,
    keys: Float64Array.from(places, (place) => rows.keys[place]!),
    identity,
    partition: Uint16Array.from(places, (place) => rows.partition[place]!),
    offset: Float64Array.from(places, (place) => rows.offset[place]!),
  };
}
