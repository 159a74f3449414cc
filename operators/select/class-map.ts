import type { Selection } from "../../schemas/dataset.js";
import type { ClassNames } from "../../schemas/class-names.js";
import { SluiceError } from "../../schemas/errors.js";
import { labelIndex } from "./label-index.js";

/** How the teacher's C classes become the version's L classes. */
export interface ClassMap {
  /** [L] */
  readonly labels: readonly string[];
  /** The teacher's classes that each stands for, ascending, [L] */
  readonly members: readonly Int32Array[];
  /** The version's class of each of the teacher's, -1 for those left out, [C] */
  readonly classOf: Int32Array;
  /** Some class stands for more than one */
  readonly merges: boolean;
}

/**
 * Reads a label map. Classes are in the order of their first members among the teacher's, whatever the order of the map:
 * the classes' numbers are part of a version's id. Throws E_SELECTION for labels that are unknown, ambiguous or named twice.
 */
export function classMap(map: Readonly<Record<string, readonly string[]>>, teacher: ClassNames): ClassMap {
  const classOf = new Int32Array(teacher.labels.length).fill(-1);
  const names = Object.keys(map);
  const found = names.map((label, at) => {
    const members = map[label]!.map((member) => {
      const index = labelIndex(teacher, member, `select.labels.${label}`);
      if (classOf[index] !== -1) {
        throw new SluiceError(
          "E_SELECTION",
          `Expected each of the teacher's labels once in select.labels, found "${member}" in "${names[classOf[index]!]!}" and in "${label}".`,
          { label: member },
        );
      }
      classOf[index] = at;
      return index;
    });
    return { label, members: Int32Array.from(members).sort() };
  });
  found.sort((a, b) => a.members[0]! - b.members[0]!);
  found.forEach(({ members }, index) => {
    for (const member of members) classOf[member] = index;
  });
  return {
    labels: found.map(({ label }) => label),
    members: found.map(({ members }) => members),
    classOf,
    merges: found.some(({ members }) => members.length > 1),
  };
}

/** The classes of a selection: those of its label map, or the teacher's. Throws E_SELECTION. */
export function selectedClasses({ labels }: Pick<Selection, "labels">, teacher: ClassNames): ClassMap {
  return labels === undefined ? sameClasses(teacher.labels) : classMap(labels, teacher);
}

/** What the classes of a selection are called: a label map gives them names of their own. Throws E_SELECTION. */
export function selectedNames({ labels }: Pick<Selection, "labels">, teacher: ClassNames): ClassNames {
  return labels === undefined ? teacher : { labels: classMap(labels, teacher).labels };
}

/** Every class stands for itself. */
export function sameClasses(labels: readonly string[]): ClassMap {
  const each = Int32Array.from(labels, (_, index) => index);
  return { labels, members: labels.map((_, index) => each.subarray(index, index + 1)), classOf: each, merges: false };
}
