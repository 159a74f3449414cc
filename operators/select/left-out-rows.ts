import type { LeftOut } from "../../schemas/left-out.js";
import type { Selection } from "../../schemas/dataset.js";
import type { GuardedImages } from "./guarded-images.js";
import { TRUSTED_QUALITY } from "./guarded-images.js";
import { HASH_WORDS, NearIndex } from "./near-index.js";

/** What of a list's images is compared: row for row of the list. */
export interface RowHashes {
  /** SHA-256, [n x 32] */
  readonly digest: Uint8Array;
  /** PDQ as words, [n x 8] */
  readonly words: Uint32Array;
  /** PDQ's quality, [n] */
  readonly quality: Uint8Array;
}

export interface LeavingOut {
  readonly near: NonNullable<Selection["near"]> | null;
  readonly guard: GuardedImages | null;
  /** Whether an image meets what is asked of other teachers' scores, by its SHA-256; null: nothing is asked */
  readonly meets?: ((sha256: string) => boolean) | null;
}

/** A taken row, as a partner of what is left out. */
interface Taken {
  readonly list: number;
  readonly place: number;
}

/**
 * Tells, going down the ranks, which rows are left out: images of guarded sets, and near duplicates of images that were taken before them. An image that is
 * left out leaves out no other one. What is told of a row depends on the rows taken before it alone.
 */
export class LeftOutRows {
  /** By list, in the order in which they were met */
  readonly found: readonly LeftOut[][];
  readonly #hashes: readonly RowHashes[];
  readonly #rules: LeavingOut;
  /** One a list, or one for all */
  readonly #indexes: readonly NearIndex[];
  readonly #taken: readonly Taken[][];
  readonly #images = new Set<string>();

  /** `expected`: rows of each list that will be taken, [L] */
  constructor(hashes: readonly RowHashes[], rules: LeavingOut, expected: ArrayLike<number>) {
    this.#hashes = hashes;
    this.#rules = rules;
    this.found = hashes.map(() => []);
    const { near } = rules;
    const all = hashes.reduce((sum, { quality }, list) => sum + Math.min(quality.length, expected[list] ?? 0), 0);
    const one = near?.within === "version" ? new NearIndex(near.distance, all) : null;
    this.#indexes = hashes.map(
      ({ quality }, list) =>
        one ?? new NearIndex(near?.distance ?? 0, near === null ? 1 : Math.min(quality.length, expected[list] ?? 0)),
    );
    const shared: Taken[] = [];
    this.#taken = hashes.map(() => (one === null ? [] : shared));
  }

  /** Whether a row is left out: asked for each row in the order of the ranks. */
  isOut(list: number, place: number): boolean {
    const { near, guard } = this.#rules;
    const { words, quality } = this.#hashes[list]!;
    const sha256 = this.#digestAt(list, place);
    // Most of all images may be so: they are not listed.
    if (this.#rules.meets?.(sha256) === false) return true;
    const guarded = guard?.partnerOf(sha256, words, place, quality[place]!) ?? null;
    if (guarded !== null) {
      const { set, sha256: partner, distance } = guarded;
      this.found[list]!.push({ sha256, by: "guard", set, partner, distance });
      return true;
    }
    if (near === null || quality[place]! < TRUSTED_QUALITY) return false;
    // It stands in another class already: what is near to it was left out there.
    if (near.within === "version" && this.#images.has(sha256)) return false;
    const found = this.#indexes[list]!.first(words, HASH_WORDS * place);
    if (found === null) return false;
    const better = this.#taken[list]![found.at]!;
    const partner = this.#digestAt(better.list, better.place);
    this.found[list]!.push({ sha256, by: "near", set: null, partner, distance: found.distance });
    return true;
  }

  /** Says that a row is taken. */
  take(list: number, place: number): void {
    const { near } = this.#rules;
    const { words, quality } = this.#hashes[list]!;
    if (near === null || quality[place]! < TRUSTED_QUALITY) return;
    if (near.within === "version") {
      const sha256 = this.#digestAt(list, place);
      if (this.#images.has(sha256)) return;
      this.#images.add(sha256);
    }
    this.#indexes[list]!.add(words, HASH_WORDS * place);
    this.#taken[list]!.push({ list, place });
  }

  #digestAt(list: number, place: number): string {
    const { digest } = this.#hashes[list]!;
    return Buffer.from(digest.buffer, digest.byteOffset + 32 * place, 32).toString("hex");
  }
}
