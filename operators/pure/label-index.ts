import { SluiceError } from "../../schemas/errors.js";

/**
 * The class that a label names: the label itself or, where several classes share it, its number as `#12`.
 * Throws E_SELECTION for a label that is unknown or names several, saying `where` it was asked for.
 */
export function labelIndex(labels: readonly string[], name: string, where: string): number {
  const first = labels.indexOf(name);
  if (first >= 0) {
    const others = labels.flatMap((label, index) => (label === name ? [`#${index}`] : []));
    if (others.length === 1) return first;
    throw new SluiceError(
      "E_SELECTION",
      `Expected a label of one class in ${where}, found "${name}", which ${others.length} classes have. Name the class by its number: ${others.join(" or ")}.`,
      { label: name, where },
    );
  }
  const number = /^#(\d{1,9})$/.exec(name)?.[1];
  if (number !== undefined && Number(number) < labels.length) return Number(number);
  const likely = labels.filter((label) => label.toLowerCase().includes(name.toLowerCase())).slice(0, 3);
  throw new SluiceError(
    "E_SELECTION",
    `Expected one of ${labels.length} labels in ${where}, found "${name}". ` +
      `${
        likely.length > 0
          ? `Similar: ${likely.map((label) => `"${label}"`).join(", ")}`
          : `They begin with ${labels
              .slice(0, 5)
              .map((label) => `"${label}"`)
              .join(", ")}`
      }.`,
    { label: name, where },
  );
}
