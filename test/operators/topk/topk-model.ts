import type { CandidateBatch } from "../../../schemas/candidate-batch.js";
import type { TopkRows } from "../../../operators/topk/topk.js";

/** One candidate as a row: what the tests think in. */
export interface Seen {
  readonly class: number;
  readonly key: number;
  readonly identity: readonly [number, number, number, number];
  readonly partition: number;
  readonly offset: number;
}

export type Best = Omit<Seen, "class">;

export function batchOf(seen: readonly Seen[]): CandidateBatch {
  return {
    count: seen.length,
    classes: Int32Array.from(seen, (one) => one.class),
    keys: Float64Array.from(seen, (one) => one.key),
    identity: Uint32Array.from(seen.flatMap((one) => one.identity)),
    partition: Uint16Array.from(seen, (one) => one.partition),
    offset: Float64Array.from(seen, (one) => one.offset),
  };
}

/** Sorts everything there ever was: greatest key, then lowest identity, then first place; one row an image. */
export function sortEverything(seen: readonly Seen[], classIndex: number, most: number, floorKey = -Infinity): Best[] {
  const sorted = seen
    .filter((one) => one.class === classIndex && one.key >= floorKey)
    .map(({ key, identity, partition, offset }) => ({ key: key === 0 ? 0 : key, identity, partition, offset }))
    .sort(
      (a, b) => b.key - a.key || compare(a.identity, b.identity) || a.partition - b.partition || a.offset - b.offset,
    );
  const images = new Set<string>();
  const best: Best[] = [];
  for (const one of sorted) {
    if (images.has(one.identity.join())) continue;
    images.add(one.identity.join());
    best.push(one);
  }
  return best.slice(0, most);
}

export function rowsOf(rows: TopkRows): Best[] {
  return Array.from({ length: rows.count }, (_, i) => ({
    key: rows.keys[i]!,
    identity: [...rows.identity.subarray(4 * i, 4 * i + 4)] as [number, number, number, number],
    partition: rows.partition[i]!,
    offset: rows.offset[i]!,
  }));
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (let word = 0; word < a.length; word++) if (a[word] !== b[word]) return a[word]! - b[word]!;
  return 0;
}
