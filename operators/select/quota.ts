import type { Selection } from "../../schemas/dataset.js";
import type { ClassNames } from "../../schemas/class-names.js";
import { SluiceError } from "../../schemas/errors.js";
import type { RecordCounts } from "../../schemas/segment.js";
import { labelIndex } from "./label-index.js";

/**
 * K of each class, [L]. `names`: of the version's classes. `records`: what the frontier covers. |U| are the images scored (copies of
 * an earlier image's scores do not count); `"most"` gives the greatest K that there may be, which states are sized by.
 * By share, K = round(share x |U| / L), at least 1 and at most `most`. Throws E_SELECTION for an unknown label, or one named twice.
 * Source: Yalniz et al. 2019, section 3: K follows |U|.
 */
export function quota(
  k: Selection["k"],
  names: ClassNames,
  records: Pick<RecordCounts, "scored"> | "most",
): Int32Array {
  const { labels } = names;
  const each = new Int32Array(labels.length);
  if (typeof k === "number") return each.fill(k);
  if ("share" in k) {
    if (records === "most") return each.fill(k.most);
    return each.fill(Math.min(k.most, Math.max(1, Math.round((k.share * records.scored) / labels.length))));
  }
  each.fill(k.default);
  const named = new Set<number>();
  for (const [label, one] of Object.entries(k.classes)) {
    const index = labelIndex(names, label, "select.k.classes");
    if (named.has(index)) {
      throw new SluiceError("E_SELECTION", `Expected each class once in select.k.classes, found "${label}" again.`, {
        label,
      });
    }
    named.add(index);
    each[index] = one;
  }
  return each;
}
