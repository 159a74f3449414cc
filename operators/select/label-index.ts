import { counted } from "../../schemas/counted.js";
import { classNumber, type ClassNames } from "../../schemas/class-names.js";
import { SluiceError } from "../../schemas/errors.js";

/** Names that an error lists, at most */
const LISTED = 5;

/**
 * The class that a name means: `#12` is always the class of that number; else a label or, where no class is called so now, a
 * label that it had before. Unicode's ways of writing the same characters are one. Throws E_SELECTION for what names no class, or several,
 * saying `where` it was asked for.
 */
export function labelIndex(names: ClassNames, name: string, where: string): number {
  const { labels } = names;
  const found = classesNamed(names, name);
  if (found.length === 1) return found[0]!;
  if (found.length > 1) {
    throw new SluiceError(
      "E_SELECTION",
      `Expected the name of one class in ${where}, found "${name}", which ${found.length} classes have: ${listOf(labels, found)}. ` +
        `Name it by its number: ${found
          .slice(0, LISTED)
          .map((index) => `#${index}`)
          .join(" or ")}.`,
      { label: name, where, classes: found },
    );
  }
  throw new SluiceError(
    "E_SELECTION",
    `Expected one of ${counted(labels.length, "label")} in ${where}, found "${name}". ${similarTo(labels, name)} A number, such as #0, names a class too.`,
    { label: name, where },
  );
}

/**
 * The classes that a name means, see `labelIndex`: several where they share it. `number` says which of several; where it is
 * none of them, as under another teacher, it says nothing.
 */
export function classesNamed(names: ClassNames, name: string, number?: number): number[] {
  const byNumber = classNumber(name, names.labels.length);
  if (byNumber !== null) return [byNumber];
  for (const labels of [names.labels, ...(names.formerLabels ?? [])]) {
    const found = equalTo(labels, name);
    if (found.length > 0) return number !== undefined && found.includes(number) ? [number] : found;
  }
  return [];
}

function equalTo(labels: readonly string[], name: string): number[] {
  const exact = indicesOf(labels, (label) => label === name);
  if (exact.length > 0) return exact;
  const composed = name.normalize("NFC");
  return indicesOf(labels, (label) => label.normalize("NFC") === composed);
}

function indicesOf(labels: readonly string[], wanted: (label: string) => boolean): number[] {
  return labels.flatMap((label, index) => (wanted(label) ? [index] : []));
}

function similarTo(labels: readonly string[], name: string): string {
  const small = name.trim().toLowerCase();
  const similar =
    small === "" ? [] : indicesOf(labels, (label) => label.toLowerCase().includes(small) || small === label.trim());
  return similar.length > 0
    ? `Similar: ${listOf(labels, similar)}.`
    : `They begin with ${listOf(labels, [...labels.keys()])}.`;
}

function listOf(labels: readonly string[], indices: readonly number[]): string {
  const some = indices.slice(0, LISTED).map((index) => `#${index} ${labels[index]!.slice(0, 60)}`);
  return `${some.join(", ")}${indices.length > LISTED ? ` and ${indices.length - LISTED} more` : ""}`;
}
