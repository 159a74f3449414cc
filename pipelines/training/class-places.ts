import { namesBeside } from "../../schemas/class-names.js";
import { SluiceError } from "../../schemas/errors.js";
import type { ModelCard } from "../../schemas/model-card.js";

/**
 * Where a model has each of some classes, [labels]. Classes of one name are told apart by their order: the second "crane" of the one is that of the other.
 * Throws E_TRAIN_DATA where the model's classes are others.
 */
export function classPlaces(card: Pick<ModelCard, "labels" | "name">, labels: readonly string[]): number[] {
  assertSameClasses(labels, card);
  const left = new Map<string, number[]>();
  card.labels.forEach((label, at) => {
    left.set(label, [...(left.get(label) ?? []), at]);
  });
  return labels.map((label) => left.get(label)!.shift()!);
}

/** Throws E_TRAIN_DATA where a model has other classes than these. */
export function assertSameClasses(labels: readonly string[], card: Pick<ModelCard, "labels" | "name">): void {
  const other = namesBeside(labels, card.labels)[0] ?? namesBeside(card.labels, labels)[0];
  if (other === undefined) return;
  throw new SluiceError(
    "E_TRAIN_DATA",
    `Expected models of the same ${labels.length} classes to compare, found ${card.labels.length} of model ${card.name}, such as ${other} that only one of them has. A dataset that maps classes (select.labels) trains students that no teacher can be compared with.`,
  );
}
