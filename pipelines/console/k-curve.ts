import { DigestSet } from "../../operators/topk/digest-set.js";
import type { SpanState } from "../../operators/topk/dataset-state.js";
import type { Ranking } from "../../operators/select/ranking.js";
import type { TopkRows } from "../../operators/topk/topk.js";
import type { Selection } from "../../schemas/dataset.js";
import type { SettingAnswer } from "../whatif/whatif-answer.js";
import type { VersionRows } from "../whatif/whatif-overlap.js";

/** Ranks looked at between two breaths of the process: a class wall must answer meanwhile. */
const RANKS_A_TURN = 64;
const ROWS_A_TURN = 20_000;

interface Totals {
  readonly rows: number;
  readonly images: number;
  readonly common: number;
}

export interface CurveOptions {
  readonly state: SpanState;
  readonly ranked: Ranking;
  /** A class's standing rows; keys of those that people placed are infinite */
  readonly listOf: (classIndex: number) => TopkRows;
  /** What each class is known by to the newest version, [L] */
  readonly keys: readonly string[];
  readonly before: VersionRows | null;
  readonly p: number;
  readonly temperature: number;
  /** K as declared, and of each class by it, [L] */
  readonly k: Selection["k"];
  readonly quota: Int32Array;
}

interface CurveClass {
  /** Of its standing rows, the first 16 bytes each */
  readonly digests: Uint8Array;
  readonly keys: Float64Array;
  readonly has: ((digests: Uint8Array, at: number) => boolean) | undefined;
  /** Whether these are all that ever came */
  readonly complete: boolean;
}

/**
 * What a version would be for every K up to the depth of a state, where each class is chosen for itself: rows are prefixes of
 * the classes' rankings, so one walk over the ranks answers for all K. The same figures as `whatif` gives one by one.
 */
export class KCurve {
  /** The greatest K that is exact; Infinity where every class has all that ever came */
  readonly exactTo: number;
  /** What a version would be by each class's own K as declared; null where more of the archive would have to be read */
  readonly standing: SettingAnswer | null;
  readonly #options: CurveOptions;
  /** Rank keys of each class's standing rows, [L][n] */
  readonly #keys: readonly Float64Array[];
  /** By K, from 0 */
  readonly #totals: readonly Totals[];

  private constructor(
    options: CurveOptions,
    keys: readonly Float64Array[],
    totals: readonly Totals[],
    exactTo: number,
    own: Totals | null,
  ) {
    this.#options = options;
    this.#keys = keys;
    this.#totals = totals;
    this.exactTo = exactTo;
    const { k, quota } = options;
    this.standing = own === null ? null : this.#answer(k, (index) => quota[index]!, own);
  }

  static async make(options: CurveOptions): Promise<KCurve> {
    const { state, listOf, keys: names, before } = options;
    const kept = state.topk.kept;
    const classes = [...state.topk.counts()].map((known, index): CurveClass => {
      const { count, identity, keys } = listOf(index);
      const digests = new Uint8Array(16 * count);
      const view = new DataView(digests.buffer);
      identity.subarray(0, 4 * count).forEach((word, at) => {
        view.setUint32(4 * at, word);
      });
      const has = before?.of(names[index]!);
      return { digests, keys: keys.subarray(0, count), has, complete: known < kept[index]! };
    });
    const exactTo = classes.reduce(
      (least, { keys, complete }) => (complete ? least : Math.min(least, keys.length)),
      Number.POSITIVE_INFINITY,
    );
    const deepest = classes.reduce((most, { keys }) => Math.max(most, keys.length), 0);
    const images = new DigestSet();
    const totals: Totals[] = [{ rows: 0, images: 0, common: 0 }];
    let [rows, common] = [0, 0];
    for (let rank = 0; rank < Math.min(deepest, exactTo); rank++) {
      for (const { digests, keys, has } of classes) {
        if (rank >= keys.length) continue;
        rows++;
        images.add(digests, 16 * rank);
        if (has?.(digests, 16 * rank) === true) common++;
      }
      totals.push({ rows, images: images.size, common });
      if (rank % RANKS_A_TURN === 0) await new Promise(setImmediate);
    }
    return new KCurve(
      options,
      classes.map(({ keys }) => keys),
      totals,
      exactTo,
      await ownTotals(classes, options.quota),
    );
  }

  /** The greatest K that still changes anything, as far as it is known */
  get depth(): number {
    return this.#totals.length - 1;
  }

  /** As `whatif` answers for one K; null where more of the archive would have to be read. */
  at(k: number): SettingAnswer | null {
    if (k > this.exactTo) return null;
    return this.#answer(k, () => k, this.#totals[Math.min(k, this.depth)]!);
  }

  #answer(k: Selection["k"], kOf: (classIndex: number) => number, { rows, images, common }: Totals): SettingAnswer {
    const { ranked, before, p, temperature, state } = this.#options;
    const starving: { label: string; rows: number }[] = [];
    const last: number[] = [];
    this.#keys.forEach((keys, index) => {
      const wanted = kOf(index);
      const count = Math.min(wanted, keys.length);
      if (count < wanted) starving.push({ label: ranked.labels[index]!, rows: count });
      // Of a class that people alone filled there is no cut-off.
      if (count > 0 && Number.isFinite(keys[count - 1]!)) last.push(Math.exp(keys[count - 1]!));
    });
    last.sort((a, b) => a - b);
    return {
      k,
      p,
      temperature,
      rows,
      images,
      classes: state.topk.kept.length,
      full: this.#keys.length - starving.length,
      starving: starving.sort((a, b) => a.rows - b.rows),
      cutoff:
        ranked.byProbability && last.length > 0
          ? { lowest: last[0]!, median: last[Math.floor(last.length / 2)]! }
          : null,
      overlap: before === null || rows === 0 ? null : common / rows,
      from: ranked.needs,
    };
  }

  /** Some K from 1 to the depth, denser where they are small, for drawing. */
  samples(most: number): number[] {
    const { depth } = this;
    const all = Array.from({ length: most }, (_, at) => Math.round(depth ** ((at + 1) / most)));
    const even = Array.from({ length: most }, (_, at) => Math.round((depth * (at + 1)) / most));
    return [...new Set([...all, ...even])].filter((k) => k > 0).sort((a, b) => a - b);
  }
}

/** What a version would have where each class has a K of its own; null where a list does not go so far. */
async function ownTotals(classes: readonly CurveClass[], quota: Int32Array): Promise<Totals | null> {
  if (classes.some(({ keys, complete }, index) => !complete && keys.length < quota[index]!)) return null;
  const images = new DigestSet();
  let [rows, common, looked] = [0, 0, 0];
  for (const [index, { digests, keys, has }] of classes.entries()) {
    const count = Math.min(quota[index]!, keys.length);
    rows += count;
    for (let at = 0; at < 16 * count; at += 16) {
      images.add(digests, at);
      if (has?.(digests, at) === true) common++;
    }
    looked += count;
    if (looked > ROWS_A_TURN) {
      looked = 0;
      await new Promise(setImmediate);
    }
  }
  return { rows, images: images.size, common };
}
