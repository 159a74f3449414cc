import type { MeasuredReading, ReadingsCheck } from "../../pipelines/training/check-readings.js";
import { counted } from "../../schemas/counted.js";
import { tableText } from "../wording.js";
import { skippedText } from "./trained.js";

/** How often each reading of a model is right on labelled images, and what to do. */
export function readingsText(check: ReadingsCheck, written: boolean): string[] {
  const { images, classes, chance, questions, skipped, warnings } = check;
  return [
    `Right on ${counted(images, "labelled image")} of ${counted(classes, "class", "classes")} (always the commonest: ${percent(chance)}):`,
    ...questions.flatMap(({ about, readings }) => [
      "",
      tableText([about, "right", "", "say"], [...readings].sort(byAccuracy).map(rowOf)),
    ]),
    ...skippedText(skipped),
    "",
    ...warnings,
    conclusion(check, written),
  ];
}

function conclusion({ finding, accuracy, flags, labels }: ReadingsCheck, written: boolean): string {
  const best = percent(accuracy.best);
  const said = flags.length === 0 ? "--take best" : `${flags.join(" ")}, or --take best`;
  if (finding === "chance") {
    return "No reading is better than guessing: are these the model's classes, in the order of its outputs (--labels), and what it was trained for? Without --on the card is written unchecked.";
  }
  if (finding === "open" && !written) return `No file says how pixels look. Right most often (${best}): say ${said}.`;
  if (finding === "another" && !written) {
    return `Another reading than the assumed one is clearly better: ${best} instead of ${percent(accuracy.assumed)}. Say ${said}; or say the assumed one with its flags.`;
  }
  if (finding !== "stands") return `Taken: the reading that is right most often, ${best}.`;
  const names =
    labels === null || !written ? "" : " --take best gives the classes the names of the set's, in this order.";
  return `Nothing is clearly better than what the card has (${percent(accuracy.assumed)}).${names}`;
}

function byAccuracy(one: MeasuredReading, other: MeasuredReading): number {
  return (other.accuracy ?? -1) - (one.accuracy ?? -1);
}

function rowOf({ name, accuracy, failure, isAssumed, flags }: MeasuredReading): string[] {
  const outcome = failure === null ? percent(accuracy) : "does not run";
  return [name, outcome, isAssumed ? "assumed" : "", flags.join(" ")];
}

function percent(share: number | null): string {
  return share === null ? "" : `${(share * 100).toFixed(1)} %`;
}
