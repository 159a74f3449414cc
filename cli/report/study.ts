import type { ArmDone, PlannedArm, StudyResults } from "../../pipelines/study/run-study.js";
import { counted, countText } from "../../schemas/counted.js";
import { durationText, tableText } from "../wording.js";

type Summary = typeof import("../../pipelines/study/study-summary.js");

/** The tables of studies, and where their page is. */
export function studiesText(
  studies: readonly StudyResults[],
  { studyRows, percentText }: Pick<Summary, "studyRows" | "percentText">,
  files: readonly string[],
): string {
  return [
    ...studies.flatMap((study) => [
      `${study.name}: ${study.question}`,
      tableText(
        ["", "accuracy %", "over labels alone", "tail recall %", "rows", "lowest probability", "seeds"],
        studyRows(study).map((row) => [
          row.label,
          percentText(row.accuracy),
          percentText(row.gain, true),
          percentText(row.tailRecall),
          row.rows === null ? null : Math.round(row.rows),
          row.cutOff === null ? null : row.cutOff.toPrecision(3),
          row.accuracy?.count ?? 0,
        ]),
      ),
      "",
    ]),
    `Means over the seeds with 95 % intervals by Student's t; gains are paired by seed. Written to ${files.join(" and ")}.`,
  ].join("\n");
}

/** `3 of 28: k, K = 400, fine-tuned, seed 2: 84.9 %; about 12 min 3 s left` */
export function armText({ arm, done, total, remainingMs, result }: ArmDone): string {
  const left = remainingMs === null || done === total ? "" : `; about ${durationText(remainingMs)} left`;
  return `${countText(done)} of ${countText(total)}: ${arm.study}, ${arm.label}, seed ${arm.seed}: ${(100 * result.metrics.accuracy).toFixed(1)} %${left}`;
}

/** What would be made. `estimateMs`: null where nobody can tell yet */
export function plannedText(planned: readonly PlannedArm[], known: number, estimateMs: number | null): string {
  const missing = planned.length - known;
  return [
    tableText(
      ["study", "arm", "seed"],
      planned.map(({ study, label, seed }) => [study, label, String(seed)]),
    ),
    "",
    `${counted(planned.length, "model")}, ${known === 0 ? "none" : countText(known)} made already${missing === 0 ? "" : `; ${estimateText(estimateMs)}`}. Nothing was trained.`,
  ].join("\n");
}

function estimateText(estimateMs: number | null): string {
  return estimateMs === null
    ? "how long the others take is known once one is made"
    : `the others take about ${durationText(estimateMs)}`;
}
