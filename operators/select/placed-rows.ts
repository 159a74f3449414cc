import type { TopkRows } from "../topk/topk.js";
import { identityOf } from "./retractions.js";

/** An image that a person placed in a class of a version, by its recorded occurrence there. */
export interface PlacedRow {
  readonly class: number;
  /** 64 hexadecimal digits */
  readonly sha256: string;
  /** Its rank key in the class and its probability; NaN where the teacher did not archive it there */
  readonly key: number;
  readonly probability: number;
  readonly partition: number;
  readonly offset: number;
}

/** What a class's placed rows are worth, in the order in which they stand in it. */
export interface PlacedClass {
  readonly count: number;
  readonly keys: Float64Array;
  readonly probability: Float64Array;
  has(identity: Uint32Array, at: number): boolean;
  /** The first `most` of them before other rows of the class, with keys above all others */
  before(rows: TopkRows, most: number): TopkRows;
}

/** The images that people placed in a version's classes: they stand before all others, by digest. */
export class PlacedRows {
  readonly #classes = new Map<number, PlacedClass>();

  constructor(rows: readonly PlacedRow[]) {
    const sorted = [...rows].sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
    for (const index of new Set(sorted.map((row) => row.class)))
      this.#classes.set(index, placedClass(sorted.filter((row) => row.class === index)));
  }

  of(classIndex: number): PlacedClass | null {
    return this.#classes.get(classIndex) ?? null;
  }
}

function placedClass(rows: readonly PlacedRow[]): PlacedClass {
  const identities = rows.map(({ sha256 }) => identityOf(sha256));
  const byWord = new Map<number, Uint32Array[]>();
  for (const identity of identities) byWord.set(identity[0]!, [...(byWord.get(identity[0]!) ?? []), identity]);
  return {
    count: rows.length,
    keys: Float64Array.from(rows, ({ key }) => key),
    probability: Float64Array.from(rows, ({ probability }) => probability),
    has: (identity, at) =>
      byWord.get(identity[at]!)?.some((one) => one.every((word, index) => word === identity[at + index])) === true,
    before(others, most) {
      const placed = rows.slice(0, most);
      const join = <T extends Float64Array | Uint16Array>(into: T, own: readonly number[], rest: T): T => {
        into.set(own);
        into.set(rest, own.length);
        return into;
      };
      const count = placed.length + others.count;
      const identity = new Uint32Array(4 * count);
      placed.forEach((_, row) => {
        identity.set(identities[row]!, 4 * row);
      });
      identity.set(others.identity.subarray(0, 4 * others.count), 4 * placed.length);
      return {
        count,
        identity,
        keys: join(
          new Float64Array(count),
          placed.map(() => Number.POSITIVE_INFINITY),
          others.keys.subarray(0, others.count),
        ),
        partition: join(
          new Uint16Array(count),
          placed.map(({ partition }) => partition),
          others.partition.subarray(0, others.count),
        ),
        offset: join(
          new Float64Array(count),
          placed.map(({ offset }) => offset),
          others.offset.subarray(0, others.count),
        ),
      };
    },
  };
}
