import type { TeacherComparison } from "../../pipelines/teachers/compare-teachers.js";
import type { ListedTeacher } from "../../pipelines/teachers/list-teachers.js";
import { counted, countText } from "../../schemas/counted.js";
import { tableText } from "../wording.js";

const STATES = {
  stands: "stands",
  next: "is to follow",
  former: "stood before",
  scored: "has scored",
  store: "in the store",
} as const;

export function teacherListText(teachers: readonly ListedTeacher[]): string {
  if (teachers.length === 0)
    return "No teacher yet: `sluice ingest photographs/ --teacher model.onnx` takes up the first.";
  return tableText(
    ["teacher", "digest", "", "offsets", "trained from", "accuracy", "than its teacher", "gate"],
    teachers.map(({ digest, name, state, offsets, training, evaluation }) => [
      name,
      digest.slice(0, 12),
      STATES[state],
      offsets,
      trainedFrom(training),
      evaluation === null ? "" : percent(evaluation.model.metrics.accuracy),
      evaluation?.comparison == null ? "" : `${signed(evaluation.comparison.difference)} points`,
      evaluation?.verdict == null ? "" : evaluation.verdict.passes ? "passed" : "not passed",
    ]),
  );
}

function trainedFrom(training: ListedTeacher["training"]): string {
  if (training === null) return "";
  const { version, labelled } = training.inputs;
  const images = `labelled images ${labelled.slice(0, 12)}`;
  if (version === null) return images;
  return `${version.dataset}/${training.versionNumber ?? "?"} by ${version.teacher.slice(0, 12)}, ${images}`;
}

/** Past this many classes, those that changed most are printed. */
const CLASSES_PRINTED = 20;

export function comparedTeachersText(
  { both, same, classes }: TeacherComparison,
  { first, second, labels }: { readonly first: string; readonly second: string; readonly labels: readonly string[] },
): string {
  if (both === 0) return `Both have scored no record of the stream yet: \`sluice teacher shadow ${second}\` does.`;
  const rows = classes.map((one, at) => ({ label: labels[at]!, ...one, churn: churnOf(one) }));
  rows.sort((a, b) => b.churn - a.churn || b.first + b.second - a.first - a.second);
  const shown = rows.slice(0, CLASSES_PRINTED);
  const table = tableText(
    ["class", first, second, "both", "came", "went", "churn"],
    shown.map((row) => [
      row.label,
      row.first,
      row.second,
      row.both,
      row.second - row.both,
      row.first - row.both,
      percent(row.churn),
    ]),
  );
  const others = rows.length > shown.length ? [`… and ${countText(rows.length - shown.length)} that changed less`] : [];
  return [
    `Both have scored ${counted(both, "record")}; they agree on the best class of ${percent(same / both)}.`,
    table,
    ...others,
  ].join("\n");
}

/** Share of the images that either has in a class, of those that only one has there. */
function churnOf({ first, second, both }: TeacherComparison["classes"][number]): number {
  const either = first + second - both;
  return either === 0 ? 0 : (either - both) / either;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function signed(share: number): string {
  return `${share > 0 ? "+" : ""}${(share * 100).toFixed(1)}`;
}
