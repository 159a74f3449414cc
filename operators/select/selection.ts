import type { Selection } from "../../schemas/dataset.js";
import type { LeftOutRows } from "./left-out-rows.js";
import { DigestSet } from "../topk/digest-set.js";

/** A class's images, rank ascending: key descending, then identity ascending. */
export interface RankedList {
  readonly count: number;
  /** [n] */
  readonly keys: Float64Array;
  /** first 128 bits of the digest as big-endian words, [n x 4] */
  readonly identity: Uint32Array;
  /** Every image that may be chosen in this class is in the list; otherwise those behind its last are not known. */
  readonly complete: boolean;
}

export type Policy = Pick<Selection, "balanced" | "overlap" | "near">;

/** What is chosen of each class, or which lists end too early to tell. */
export type Choice =
  | { readonly rows: readonly Int32Array[]; readonly short: null }
  | { readonly rows: null; readonly short: readonly number[] };

/** Whether what is chosen of a class depends on that class alone. */
export function choosesByClass({ balanced, overlap, near }: Policy): boolean {
  return balanced && overlap === "all" && near?.within !== "version";
}

/**
 * Chooses among the lists of all classes, [L]: for each class the places in its list, ascending. `k`: K of each class, [L].
 *
 * Balanced: each class its best `k`. Otherwise: the best rows of all classes together, as many as the K of all classes
 * add up to. What `leftOut` tells of is passed over, and deeper rows move up. With `overlap: best` rows are gone through by key descending, then identity, then class: a row is
 * taken if there is room and its image is not taken, so that deeper rows move up.
 *
 * Where a list that is not complete ends while its class has room, what lies behind could be chosen: then the classes
 * in question are returned, for deeper lists to be read.
 */
export function choose(
  lists: readonly RankedList[],
  k: Int32Array,
  policy: Policy,
  leftOut: LeftOutRows | null = null,
): Choice {
  if (!choosesByClass(policy)) return chooseTogether(lists, k, policy, leftOut);
  return leftOut === null ? chooseEach(lists, k) : chooseEachLeavingOut(lists, k, leftOut);
}

/** Each class by itself: what is left out gives its place to the next. */
function chooseEachLeavingOut(lists: readonly RankedList[], k: Int32Array, leftOut: LeftOutRows): Choice {
  const short: number[] = [];
  const rows = lists.map(({ count, complete }, index) => {
    const places: number[] = [];
    for (let place = 0; place < count && places.length < k[index]!; place++) {
      if (leftOut.isOut(index, place)) continue;
      leftOut.take(index, place);
      places.push(place);
    }
    if (places.length < k[index]! && !complete) short.push(index);
    return Int32Array.from(places);
  });
  return short.length > 0 ? { rows: null, short } : { rows, short: null };
}

function chooseEach(lists: readonly RankedList[], k: Int32Array): Choice {
  const short = lists.flatMap(({ count, complete }, index) => (count < k[index]! && !complete ? [index] : []));
  if (short.length > 0) return { rows: null, short };
  const first = (count: number): Int32Array => Int32Array.from({ length: count }, (_, place) => place);
  return { rows: lists.map(({ count }, index) => first(Math.min(count, k[index]!))), short: null };
}

function chooseTogether(
  lists: readonly RankedList[],
  k: Int32Array,
  { balanced, overlap }: Policy,
  leftOut: LeftOutRows | null,
): Choice {
  const taken: number[][] = lists.map(() => []);
  const images = overlap === "best" ? new DigestSet() : null;
  const digest = new Uint8Array(16);
  const view = new DataView(digest.buffer);
  let room = k.reduce((sum, one) => sum + one, 0);
  const order = new Merge(lists);
  const short: number[] = [];
  for (let from = order.next(); from >= 0 && room > 0; from = order.next()) {
    const place = order.place(from);
    const list = lists[from]!;
    const hasRoom = !balanced || taken[from]!.length < k[from]!;
    if (hasRoom && leftOut?.isOut(from, place) !== true) {
      for (let word = 0; word < 4; word++) view.setUint32(4 * word, list.identity[4 * place + word]!);
      if (images === null || images.add(digest, 0)) {
        leftOut?.take(from, place);
        taken[from]!.push(place);
        room--;
      }
    }
    // What lies behind an incomplete list's end would come now, before the rows of other classes that follow.
    const ends = place === list.count - 1 && !list.complete;
    // From there on the choice is in doubt, and goes on only to find the other lists that may be too short.
    if (ends && (balanced ? taken[from]!.length < k[from]! : room > 0)) short.push(from);
  }
  lists.forEach((list, index) => {
    if (list.count === 0 && !list.complete && k[index]! > 0) short.push(index);
  });
  if (short.length > 0) return { rows: null, short };
  return { rows: taken.map((places) => Int32Array.from(places)), short: null };
}

/**
 * Adds repeats to what is chosen of one class: its rows over again, in their order, until there are `k`. Nothing can be
 * repeated where nothing is chosen. Returns the places, and how often each was there before.
 */
export function repeated(places: Int32Array, k: number): { places: Int32Array; repeat: Uint32Array } {
  const count = places.length === 0 ? 0 : Math.max(k, places.length);
  return {
    places: Int32Array.from({ length: count }, (_, row) => places[row % places.length]!),
    repeat: Uint32Array.from({ length: count }, (_, row) => Math.floor(row / places.length)),
  };
}

/** Goes through several ranked lists as one: a binary heap of the lists' heads. */
class Merge {
  readonly #lists: readonly RankedList[];
  /** Where each list's head is, [L] */
  readonly #head: Int32Array;
  /** Lists with rows left; each one's head is not after those of its two children */
  readonly #heap: number[] = [];
  #current = -1;

  constructor(lists: readonly RankedList[]) {
    this.#lists = lists;
    this.#head = new Int32Array(lists.length);
    lists.forEach(({ count }, index) => {
      if (count > 0) this.#heap.push(index);
    });
    for (let at = (this.#heap.length >> 1) - 1; at >= 0; at--) this.#sink(at);
  }

  /** The list that the next row comes from, -1 after the last. */
  next(): number {
    if (this.#current >= 0) this.#advance();
    this.#current = this.#heap[0] ?? -1;
    return this.#current;
  }

  /** Place of the row that `next` named */
  place(list: number): number {
    return this.#head[list]!;
  }

  #advance(): void {
    const list = this.#heap[0]!;
    this.#head[list] = this.#head[list]! + 1;
    if (this.#head[list] === this.#lists[list]!.count) {
      const last = this.#heap.pop()!;
      if (this.#heap.length === 0) return;
      this.#heap[0] = last;
    }
    this.#sink(0);
  }

  #sink(from: number): void {
    const heap = this.#heap;
    for (let at = from; ;) {
      const left = 2 * at + 1;
      if (left >= heap.length) return;
      const child = left + 1 < heap.length && this.#isBefore(heap[left + 1]!, heap[left]!) ? left + 1 : left;
      if (!this.#isBefore(heap[child]!, heap[at]!)) return;
      [heap[at], heap[child]] = [heap[child]!, heap[at]!];
      at = child;
    }
  }

  #isBefore(a: number, b: number): boolean {
    const left = this.#lists[a]!;
    const right = this.#lists[b]!;
    const i = this.#head[a]!;
    const j = this.#head[b]!;
    if (left.keys[i] !== right.keys[j]) return left.keys[i]! > right.keys[j]!;
    for (let word = 0; word < 4; word++) {
      const x = left.identity[4 * i + word]!;
      const y = right.identity[4 * j + word]!;
      if (x !== y) return x < y;
    }
    return a < b;
  }
}
