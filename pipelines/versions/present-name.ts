import { classesNamed, labelIndex } from "../../operators/select/label-index.js";
import type { ClassNames } from "../../schemas/class-names.js";
import { SluiceError } from "../../schemas/errors.js";
import type { ImageLabel } from "../../schemas/image-label.js";

export type NamedClass = Pick<Extract<ImageLabel, { class: string }>, "class" | "number">;

/**
 * What a class is called by the teachers that have it, with its number where another one of the same teacher is called so. Throws E_SELECTION for one
 * that none has, unless `anyClass`, and for what names several. `place`: the store, for messages.
 */
export function presentName(
  place: string,
  cards: readonly ClassNames[],
  named: NamedClass,
  anyClass: boolean,
): NamedClass {
  const { class: name, number } = named;
  const found = cards.map((card) => ({ card, classes: classesNamed(card, name, number) }));
  const answers = found.flatMap(({ card: { labels }, classes: [index, ...others] }): NamedClass[] => {
    if (index === undefined || others.length > 0) return [];
    const label = labels[index]!;
    const alone = labels.indexOf(label) === labels.lastIndexOf(label);
    return [{ class: label, ...(alone ? {} : { number: index }) }];
  });
  const [first] = answers;
  if (first !== undefined) {
    const other = answers.find((answer) => answer.class !== first.class || answer.number !== first.number);
    if (other === undefined) return first;
    throw new SluiceError(
      "E_SELECTION",
      `Expected "${name}" to mean one class to every teacher of ${place}, found "${first.class}" and "${other.class}". Name the class by its label.`,
    );
  }
  if (anyClass) return named;
  const several = found.find(({ classes }) => classes.length > 1);
  const only = several?.card ?? (cards.length === 1 ? cards[0] : undefined);
  if (only !== undefined) labelIndex(only, name, "a label; --any-class accepts others");
  const all = [...new Set(cards.flatMap((card) => card.labels))];
  if (all.length > 0) labelIndex({ labels: all }, name, "a label; --any-class accepts others");
  throw new SluiceError(
    "E_SELECTION",
    `Expected a class that a teacher of ${place} has, found "${name}" and ${cards.length === 0 ? "no teacher" : "no such class"}. ` +
      "Name the class by its label, or accept any with --any-class.",
  );
}
