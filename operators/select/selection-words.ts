import { counted } from "../../schemas/counted.js";
import { kText } from "../../schemas/manifest.js";
import type { Selection } from "../../schemas/dataset.js";
import { conditionWords } from "./row-conditions.js";

/** What a selection does, in words: `For each class the 1000 images …`. `k`: K of each class, [L]. */
export function selectionWords(selection: Selection, k: ArrayLike<number>, teacher: string): string {
  const { p, floor, order, balanced, overlap, decay, repeat, labels, seed, where } = selection;
  const random = order === "random";
  const words = conditionWords(where);
  const total = Array.from(k).reduce((sum, one) => sum + one, 0);
  const chosen = random ? "images drawn at random" : `images that the teacher ${teacher} gave the highest probability`;
  const subject = balanced
    ? `For each of ${k.length} classes the ${kText(k)} ${chosen}`
    : `Of ${k.length} classes together ${counted(total, "row")} (image, class) ${random ? "drawn at random" : `that the teacher ${teacher} gave the highest probability`}`;
  const clauses = [
    `each image standing for its ${p} best ${p === 1 ? "class" : "classes"} only`,
    ...(overlap === "best" ? ["and staying in one class"] : []),
    ...(random ? [`in the order of seed ${seed ?? 0}, by the scores of the teacher ${teacher}`] : []),
    ...(floor > 0 ? [`none below a probability of ${floor}`] : []),
    ...(words.length === 0 ? [] : [`only of images with ${words.join("; ")}`]),
    ...(decay === undefined ? [] : [`an image weighing twice as much as one ${decay.halfLifeMs} ms older`]),
    ...(labels === undefined ? [] : ["the classes made from the teacher's by a label map"]),
    ...(repeat ? ["the rows of scarce classes repeated (column `repeat`)"] : []),
  ];
  return `${subject}, ${clauses.join(", ")}.`;
}
