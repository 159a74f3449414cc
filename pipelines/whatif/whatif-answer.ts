import { DigestSet } from "../../operators/topk/digest-set.js";
import type { Ranking } from "../../operators/select/ranking.js";
import type { ChosenClass } from "../../operators/version/choose-rows.js";
import type { Selection } from "../../schemas/dataset.js";
import type { VersionRows } from "./whatif-overlap.js";

/** What a version would be under one setting. */
export interface SettingAnswer {
  readonly k: Selection["k"];
  readonly p: number;
  readonly temperature: number;
  readonly rows: number;
  readonly images: number;
  readonly classes: number;
  /** Classes with K rows, repeats not counted */
  readonly full: number;
  /** Classes with fewer, the emptiest first */
  readonly starving: readonly { readonly label: string; readonly rows: number }[];
  /**
   * Probabilities of the classes' last rows: the lowest, and the median over classes with rows. null without rows, and where something
   * else than probability ranks.
   */
  readonly cutoff: { readonly lowest: number; readonly median: number } | null;
  /** Share of the rows that the newest version has too; null without rows or without a version */
  readonly overlap: number | null;
  /** What was read: exact either way */
  readonly from: "top-M" | "full softmax";
}

interface AnswerOf {
  readonly k: Selection["k"];
  /** [L] */
  readonly wanted: Int32Array;
  readonly select: Selection;
  readonly temperature: number;
  readonly ranked: Ranking;
  /** What each class is known by to the newest version, [L] */
  readonly keys: readonly string[];
  readonly from: "top-M" | "full softmax";
  readonly before: VersionRows | null;
}

export function answerOf(chosen: readonly ChosenClass[], about: AnswerOf): SettingAnswer {
  const { k, wanted, select, temperature, ranked, keys, from, before } = about;
  const images = new DigestSet();
  const starving: { label: string; rows: number }[] = [];
  const last: number[] = [];
  let rows = 0;
  let distinct = 0;
  let common = 0;
  for (const one of chosen) {
    const label = ranked.labels[one.class]!;
    const { rows: entries, repeat } = one.entries();
    const first = repeat.indexOf(1);
    const count = first < 0 ? entries.count : first;
    rows += entries.count;
    distinct += count;
    if (count < wanted[one.class]!) starving.push({ label, rows: count });
    // Of a class that people alone filled there is no cut-off.
    if (count > 0 && !one.isByLabel(count - 1)) last.push(Math.exp(entries.keys[count - 1]!));
    const digests = digestsOf(entries.identity.subarray(0, 4 * count));
    const has = before?.of(keys[one.class]!);
    for (let at = 0; at < digests.length; at += 16) {
      images.add(digests, at);
      if (has?.(digests, at) === true) common++;
    }
  }
  last.sort((a, b) => a - b);
  return {
    k,
    p: select.p,
    temperature,
    rows,
    images: images.size,
    classes: chosen.length,
    full: chosen.length - starving.length,
    starving: starving.sort((a, b) => a.rows - b.rows),
    cutoff:
      ranked.byProbability && last.length > 0 ? { lowest: last[0]!, median: last[Math.floor(last.length / 2)]! } : null,
    overlap: before === null || distinct === 0 ? null : common / distinct,
    from,
  };
}

/** The first 128 bits of digests as bytes, from big-endian words. */
function digestsOf(identity: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(4 * identity.length);
  const view = new DataView(bytes.buffer);
  identity.forEach((word, index) => {
    view.setUint32(4 * index, word);
  });
  return bytes;
}
