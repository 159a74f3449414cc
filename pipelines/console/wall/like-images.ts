import { TRUSTED_QUALITY } from "../../../operators/select/guarded-images.js";
import type { RowHashes } from "../../../operators/select/left-out-rows.js";
import { HASH_WORDS, NearIndex } from "../../../operators/select/near-index.js";

/** Bits of PDQ, of 256, up to which its makers take two pictures for the same */
export const LIKE_DISTANCE = 31;

/** Images that look the same, by their places: each group from its best on, groups in the order of their best. */
export function likeImages({ words, quality }: RowHashes, places: readonly number[], distance: number): number[][] {
  const index = new NearIndex(distance, Math.max(1, places.length));
  const groups: number[][] = [];
  for (const place of places) {
    // Of a picture without structure the hash says nothing.
    if (quality[place]! < TRUSTED_QUALITY) continue;
    const near = index.first(words, HASH_WORDS * place);
    if (near !== null) {
      groups[near.at]!.push(place);
      continue;
    }
    index.add(words, HASH_WORDS * place);
    groups.push([place]);
  }
  return groups.filter(({ length }) => length > 1);
}
