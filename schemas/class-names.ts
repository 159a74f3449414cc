import { z } from "zod";

/** What a teacher's classes are called: nothing that scores depend on. */
export interface ClassNames {
  /** One name a class, in the order of the outputs; two classes may share one */
  readonly labels: readonly string[];
  /** What they were called before, the newest first */
  readonly formerLabels?: readonly (readonly string[])[] | undefined;
}

/** Names that a store was told after a teacher's first ones: the highest number stands. */
export const namedClassesSchema = z.strictObject({ schemaVersion: z.literal(1), labels: z.array(z.string()).min(2) });

/** What classes are called that nobody has named. */
export function inventedName(index: number): string {
  return `class-${index}`;
}

/** Whether nobody has named any of the classes. */
export function areInvented(labels: readonly string[]): boolean {
  return labels.every((label, index) => label === inventedName(index));
}

export function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((label, index) => label === b[index]);
}

/** The class that `#12` means, where there are so many; null for what is no number of a class. */
export function classNumber(text: string, classes: number): number | null {
  const digits = /^#(\d{1,9})$/.exec(text)?.[1];
  return digits !== undefined && Number(digits) < classes ? Number(digits) : null;
}

/**
 * What names one class and no other one: its label or, where that names none, another one, or several, its number. The
 * number names it too where the label cannot stand as a member of a JSON object (`__proto__`).
 */
export function uniqueName(labels: readonly string[], index: number): string {
  const label = labels[index]!;
  const clear = label.trim() !== "" && label !== "__proto__" && classNumber(label, labels.length) === null;
  return clear && labels.indexOf(label) === index && !labels.includes(label, index + 1) ? label : `#${index}`;
}

/** The labels as people read them: one that several classes have is followed by the class's number, `crane #134`. */
export function shownNames(labels: readonly string[]): string[] {
  const count = new Map<string, number>();
  for (const label of labels) count.set(label, (count.get(label) ?? 0) + 1);
  return labels.map((label, index) => (count.get(label) === 1 ? label : `${label} #${index}`));
}

/** Names that a list has more often than another one, in its order. */
export function namesBeside(names: readonly string[], others: readonly string[]): string[] {
  const left = new Map<string, number>();
  for (const name of others) left.set(name, (left.get(name) ?? 0) + 1);
  return names.filter((name) => {
    const count = left.get(name) ?? 0;
    left.set(name, count - 1);
    return count <= 0;
  });
}
