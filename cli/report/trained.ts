import type { ModelEvaluation } from "../../pipelines/train.js";
import type { TrainedStudent } from "../../pipelines/training/train-student.js";
import { shownNames } from "../../schemas/class-names.js";
import { countText, counted } from "../../schemas/counted.js";
import { tableText } from "../wording.js";

/** Rows of the confusion matrix as lists: a flat typed array says nothing in JSON. */
export function evaluationObject(evaluation: ModelEvaluation | null): object | null {
  if (evaluation === null) return null;
  const classes = evaluation.recall.length;
  const confusion = Array.from({ length: classes }, (_, row) => [
    ...evaluation.confusion.subarray(row * classes, (row + 1) * classes),
  ]);
  return { ...evaluation, confusion };
}

/** One line a model: accuracy and recalls. Models that were not evaluated are left out. */
export function evaluationTable(
  models: readonly (readonly [name: string, evaluation: ModelEvaluation | null])[],
): string {
  return tableText(
    ["", "accuracy", "mean recall", "tail recall", "test images"],
    models.flatMap(([name, evaluation]) =>
      evaluation === null
        ? []
        : [
            [
              name,
              percentText(evaluation.accuracy),
              percentText(evaluation.meanRecall),
              percentText(evaluation.tailRecall),
              countText(evaluation.count),
            ],
          ],
    ),
  );
}

/** Past this many classes, the worst are printed. */
const CLASSES_PRINTED = 20;

/** Recall by class, the worst first, with the class it is most often taken for. */
export function recallTable(
  labels: readonly string[],
  evaluation: ModelEvaluation,
  trainingCounts: readonly number[],
): string {
  const classes = labels.length;
  const names = shownNames(labels);
  const rows = names
    .map((label, index) => {
      const row = evaluation.confusion.subarray(index * classes, (index + 1) * classes);
      let mistaken: number | null = null;
      for (let other = 0; other < classes; other++) {
        if (other !== index && row[other]! > 0 && (mistaken === null || row[other]! > row[mistaken]!)) mistaken = other;
      }
      const recall = evaluation.recall[index] ?? null;
      return {
        label,
        recall,
        trained: trainingCounts[index] ?? 0,
        mistaken: mistaken === null ? "" : names[mistaken]!,
      };
    })
    .sort((a, b) => (a.recall ?? 2) - (b.recall ?? 2));
  const table = tableText(
    ["class", "labelled", "recall", "most often taken for"],
    rows
      .slice(0, CLASSES_PRINTED)
      .map(({ label, trained, recall, mistaken }) => [label, trained, percentText(recall), mistaken]),
  );
  return rows.length > CLASSES_PRINTED
    ? `${table}\n… and ${countText(rows.length - CLASSES_PRINTED)} better ones`
    : table;
}

export function skippedText(skipped: readonly { readonly uri: string; readonly code: string }[]): string[] {
  const [first] = skipped;
  return first === undefined
    ? []
    : [`Left out ${counted(skipped.length, "image")} that could not be used, such as ${first.uri} (${first.code}).`];
}

/** What the version was worth, in one sentence. */
export function gainText({ baseline, fineTuned }: TrainedStudent["evaluations"]): string {
  if (fineTuned === null)
    return "Nothing was compared: --test <folder of labelled pictures> says what the student is worth.";
  if (baseline === null) return `The student is right about ${percentText(fineTuned.accuracy)} of the test pictures.`;
  const points = (fineTuned.accuracy - baseline.accuracy) * 100;
  const gain =
    Math.abs(points) < 0.05
      ? "as many as"
      : `${Math.abs(points).toFixed(1)} points ${points > 0 ? "more than" : "fewer than"}`;
  return `The student is right about ${percentText(fineTuned.accuracy)} of the test pictures, ${gain} the same student trained on the labels alone (${percentText(baseline.accuracy)}).`;
}

function percentText(share: number | null): string {
  return share === null ? "" : `${(share * 100).toFixed(1)} %`;
}
