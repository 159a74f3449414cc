import { guardEntry, type GuardSet } from "../../schemas/guard.js";
import { hashWords, HASH_WORDS, NearIndex } from "./near-index.js";

/** Below it the reference advises not to trust a hash: such pictures are compared by their bytes alone. */
export const TRUSTED_QUALITY = 50;

/** The image of a guarded set that a candidate is, or is a near duplicate of. */
export interface GuardPartner {
  readonly set: string;
  /** 64 hexadecimal digits */
  readonly sha256: string;
  readonly distance: number;
}

interface Member {
  readonly set: GuardSet;
  readonly at: number;
}

/** Tells which candidates are images of guarded sets: by their digests, and by their hashes within each set's distance. */
export class GuardedImages {
  readonly #exact = new Map<string, Member>();
  readonly #near: { readonly index: NearIndex; readonly set: GuardSet; readonly at: number[] }[] = [];

  constructor(sets: readonly GuardSet[]) {
    for (const set of sets) {
      const index = new NearIndex(set.distance, set.images);
      const at: number[] = [];
      for (let image = 0; image < set.images; image++) {
        const { digest, hash, quality } = guardEntry(set.entries, image);
        const sha256 = Buffer.from(digest).toString("hex");
        if (!this.#exact.has(sha256)) this.#exact.set(sha256, { set, at: image });
        if (quality < TRUSTED_QUALITY) continue;
        index.add(hashWords(hash), 0);
        at.push(image);
      }
      this.#near.push({ index, set, at });
    }
  }

  /** null: none of them. `sha256`: 64 hexadecimal digits; the hash lies at `row` of `words`. */
  partnerOf(sha256: string, words: Uint32Array, row: number, quality: number): GuardPartner | null {
    const same = this.#exact.get(sha256);
    if (same !== undefined) return { set: same.set.name, sha256, distance: 0 };
    if (quality < TRUSTED_QUALITY) return null;
    for (const { index, set, at } of this.#near) {
      const found = index.first(words, row * HASH_WORDS);
      if (found === null) continue;
      const { digest } = guardEntry(set.entries, at[found.at]!);
      return { set: set.name, sha256: Buffer.from(digest).toString("hex"), distance: found.distance };
    }
    return null;
  }
}
