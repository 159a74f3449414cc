import { paneOf } from "../../operators/select/windows.js";
import type { Keeper } from "../../operators/archive/archive.js";
import type { Dataset } from "../../schemas/dataset.js";
import type { ClassFill } from "../../schemas/progress.js";
import type { Fill } from "./downstream.js";

/** Reads as infinity for every class: typed arrays give undefined out of range, which no key is greater than. */
const NOTHING = new Float64Array(0);

/** A dataset as a keeper of bytes, by the thresholds of its panes; null where a pane has none. */
export function keeperOf(
  dataset: Dataset,
  known: Omit<Keeper, "dataset" | "p" | "thresholdsFor">,
  thresholdsOf: (pane: number) => Float64Array | null,
): Keeper {
  return {
    ...known,
    dataset: dataset.name,
    p: dataset.select.p,
    thresholdsFor: (eventTimeMs) => {
      const pane = paneOf(dataset.window, eventTimeMs);
      // Out of the window altogether: no version can hold it.
      return pane === null ? NOTHING : thresholdsOf(pane);
    },
  };
}

/** Distinct images of one pane by class, and how many each class wants; [L] each. */
export interface PaneCounts {
  readonly counts: ArrayLike<number> & Iterable<number>;
  readonly quota: ArrayLike<number>;
}

/** `panes`: dataset after dataset, each from its newest pane on. */
export function fillOf(panes: Iterable<PaneCounts>): Fill {
  let kept = 0;
  let fill: ClassFill | undefined;
  for (const { counts, quota } of panes) {
    let full = 0;
    [...counts].forEach((count, index) => {
      kept += Math.min(count, quota[index]!);
      if (count >= quota[index]!) full++;
    });
    fill ??= { full, starving: counts.length - full, classes: counts.length };
  }
  return { kept, fill };
}
