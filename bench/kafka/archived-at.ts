import type { Said } from "./say.js";

/** When so many images were archived, and how many were by then. */
export function archivedAt(
  said: readonly Said[],
  count: number,
): { readonly said: Said; readonly images: number } | undefined {
  let images = 0;
  for (const one of said) {
    if (one.event !== "segment") continue;
    if (one["others"] !== 0) throw new Error("Expected every image to be scored, found some that were not.");
    images += one["images"] as number;
    if (images >= count) return { said: one, images };
  }
  return undefined;
}
