import { counted, countText } from "../../schemas/counted.js";
import type { EvaluationRecord, ModelMetrics } from "../../schemas/model-record.js";
import { tableText } from "../wording.js";

/** Past this many classes, those that changed most are printed. */
const CLASSES_PRINTED = 20;

/** Metrics beside the teacher's, class by class, and what the gate says. */
export function evaluatedText(evaluation: EvaluationRecord): string {
  const { model, teacher, test } = evaluation;
  const rows: [string, ModelMetrics][] = [[model.name, model.metrics]];
  if (teacher !== null) rows.push([`${teacher.name} (teacher)`, teacher.metrics]);
  const skipped = test.skipped === 0 ? "" : `, ${countText(test.skipped)} left out that cannot be used`;
  return [
    `On ${counted(test.images, "test image")}${skipped}:`,
    tableText(
      ["", "accuracy", "interval", "mean recall", "tail recall", "ECE", "NLL"],
      rows.map(([name, metrics]) => [
        name,
        percent(metrics.accuracy),
        `${percent(metrics.interval.low)} to ${percent(metrics.interval.high)}`,
        percent(metrics.meanRecall),
        percent(metrics.tailRecall),
        metrics.ece.toFixed(3),
        metrics.nll.toFixed(3),
      ]),
    ),
    "",
    classTable(evaluation),
    ...comparedText(evaluation),
  ].join("\n");
}

/** The comparison and the gate, in sentences; nothing where nothing was compared. */
export function comparedText({ comparison, verdict, rule, labels, model }: EvaluationRecord): string[] {
  if (comparison === null || verdict === null) return [];
  const untested = labels.filter((_, at) => model.metrics.recall[at] === null);
  const some = untested.slice(0, 5).join(", ");
  const { difference, interval, gained, lost, p } = comparison;
  const signed = (share: number): string => `${share > 0 ? "+" : ""}${(share * 100).toFixed(1)}`;
  const gate = `better with ${percent(rule.confidence, 0)} confidence, no class down by more than ${(rule.mostClassDrop * 100).toFixed(1)} points`;
  return [
    "",
    `Paired: ${signed(difference)} points (${percent(interval.confidence, 0)} interval ${signed(interval.low)} to ${signed(interval.high)}); ` +
      `right where the teacher is wrong ${countText(gained)} times, wrong where it is right ${countText(lost)} times; exact McNemar p = ${p.toPrecision(2)}.`,
    verdict.passes ? `Gate passed: ${gate}.` : `Gate not passed (${gate}). ${verdict.reasons.join(" ")}`,
    ...(untested.length === 0
      ? []
      : [
          `Without a test image, so that nobody knows whether they fell: ${counted(untested.length, "class")} (${some}${untested.length > 5 ? " …" : ""}).`,
        ]),
  ];
}

function classTable({ labels, model, teacher }: EvaluationRecord): string {
  const change = (at: number): number => (model.metrics.recall[at] ?? 0) - (teacher?.metrics.recall[at] ?? 0);
  const order = [...labels.keys()].sort((a, b) => change(a) - change(b));
  const half = CLASSES_PRINTED / 2;
  const shown = order.length > CLASSES_PRINTED ? [...order.slice(0, half), ...order.slice(-half)] : order;
  const table = tableText(
    ["class", "recall", ...(teacher === null ? [] : ["teacher's"])],
    shown.map((at) => [
      labels[at]!,
      percent(model.metrics.recall[at] ?? null),
      ...(teacher === null ? [] : [percent(teacher.metrics.recall[at] ?? null)]),
    ]),
  );
  return shown.length < order.length
    ? `${table}\n(the ${CLASSES_PRINTED} that changed most; --json has all ${countText(order.length)})`
    : table;
}

function percent(share: number | null, digits = 1): string {
  return share === null ? "" : `${(share * 100).toFixed(digits)} %`;
}
