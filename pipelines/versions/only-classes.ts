import { classMap, selectedNames } from "../../operators/select/class-map.js";
import { labelIndex } from "../../operators/select/label-index.js";
import { uniqueName, type ClassNames } from "../../schemas/class-names.js";
import type { Selection } from "../../schemas/dataset.js";

/** The selection of some of its classes only, each with its own K. `classes` names them. Throws E_SELECTION, saying `where`. */
export function onlyClasses(
  select: Selection,
  teacher: ClassNames,
  classes: readonly string[],
  where: string,
): Selection {
  const names = selectedNames(select, teacher);
  const members = select.labels === undefined ? null : classMap(select.labels, teacher).members;
  const chosen = new Set(classes.map((name) => labelIndex(names, name, where)));
  const keyOf = (index: number): string => uniqueName(names.labels, index);
  const labels = Object.fromEntries(
    [...chosen].map((index) => [keyOf(index), Array.from(members?.[index] ?? [index], (member) => `#${member}`)]),
  );
  const { k } = select;
  if (typeof k === "number" || !("classes" in k)) return { ...select, labels };
  const own = Object.entries(k.classes).flatMap(([name, one]) => {
    const index = labelIndex(names, name, "select.k.classes");
    return chosen.has(index) ? [[keyOf(index), one] as const] : [];
  });
  return { ...select, labels, k: { ...k, classes: Object.fromEntries(own) } };
}
