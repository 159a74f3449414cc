import { canonicalJson, sha256Hex, type Json } from "../../schemas/canonical.js";
import { uniqueName, type ClassNames } from "../../schemas/class-names.js";
import { canonicalSelection, reserveOf, type Dataset, type Selection } from "../../schemas/dataset.js";
import { classMap, selectedNames } from "./class-map.js";
import { classesNamed, labelIndex } from "./label-index.js";

/**
 * A selection with its classes by number: what a version's id and a state's parameters are made of, so that what classes are called
 * changes neither. A label map is the members of its classes, in their order. Throws E_SELECTION.
 */
export function numberedSelection(select: Selection, names: ClassNames): Json {
  const members = canonicalSelection(select) as Record<string, Json>;
  const { k, labels } = select;
  return {
    ...members,
    ...(labels === undefined ? {} : { labels: classMap(labels, names).members.map((of) => [...of]) }),
    ...(typeof k === "number" || !("classes" in k)
      ? {}
      : { k: { default: k.default, classes: byNumber(k.classes, selectedNames(select, names)) } }),
  };
}

function byNumber(classes: Readonly<Record<string, number>>, names: ClassNames): Record<string, number> {
  return Object.fromEntries(
    Object.entries(classes).map(([label, k]) => [`#${labelIndex(names, label, "select.k.classes")}`, k]),
  );
}

/**
 * The selection with classes that are named as they were called before named as they are called now, by number where that is not
 * clear: what stands in a manifest needs no earlier names to be read. Throws E_SELECTION.
 */
export function presentSelection(select: Selection, names: ClassNames): Selection {
  const { k, labels } = select;
  const present = ({ labels, formerLabels }: ClassNames, name: string, where: string): string =>
    classesNamed({ labels }, name).length === 1
      ? name
      : uniqueName(labels, labelIndex({ labels, formerLabels }, name, where));
  return {
    ...select,
    ...(labels === undefined
      ? {}
      : {
          labels: Object.fromEntries(
            Object.entries(labels).map(([label, members]) => [
              label,
              members.map((member) => present(names, member, `select.labels.${label}`)),
            ]),
          ),
        }),
    ...(typeof k === "number" || !("classes" in k)
      ? {}
      : {
          k: {
            ...k,
            classes: Object.fromEntries(
              Object.entries(k.classes).map(([label, one]) => [
                present(selectedNames(select, names), label, "select.k.classes"),
                one,
              ]),
            ),
          },
        }),
  };
}

/**
 * Names the state that a dataset's top-K keeps under a teacher whose classes have these names: a checkpoint made under one digest
 * is never used under another. 64 hexadecimal digits. Throws E_SELECTION.
 */
export function parametersDigest(dataset: Dataset, teacher: string, stream: string, names: ClassNames): string {
  return sha256Hex(
    canonicalJson({
      select: numberedSelection(dataset.select, names),
      reserve: reserveOf(dataset),
      window: dataset.window,
      teacher,
      stream,
    }),
  );
}
