import type { AddedTeacher } from "../../pipelines/add-teacher.js";
import type { CalibratedTeacher } from "../../pipelines/calibrate-teacher.js";
import { shownName } from "../../pipelines/shown-name.js";
import { countText, plural, tableText } from "../wording.js";
import { skippedText } from "./trained.js";

/** What was inferred, how it ran, and what it said of the images. */
export function addedText({ card, cardPath, assumptions, engine, tried, skipped }: AddedTeacher): string {
  const padded = engine.batchInvariant === "padded" ? `; batches are padded to ${engine.batch}` : "";
  return [
    `Teacher ${card.name} (${card.format}, ${countText(card.labels.length)} classes) runs on ${engine.name} ${engine.version}, ${engine.backend}, ${engine.device}${padded}.`,
    ...assumptions.map((line) => `  ${line}`),
    ...(tried.length === 0
      ? ["", "Tried on noise only. Look at what it says of images: --try <folder>."]
      : ["", triedTable(tried)]),
    ...skippedText(skipped),
    "",
    `Card written to ${cardPath}.`,
  ].join("\n");
}

function triedTable(tried: AddedTeacher["tried"]): string {
  const head = ["image", "best class", "", "second", "", "third", ""];
  const rows = tried.map(({ uri, best }) => {
    const cells = best.flatMap(({ label, probability }) => [label, `${(probability * 100).toFixed(1)} %`]);
    return [shownName(uri), ...cells, ...Array<string>(6 - cells.length).fill("")];
  });
  return tableText(head, rows);
}

/** Likelihood and calibration error before and after. */
export function calibratedText(calibrated: CalibratedTeacher, isWritten: boolean): string {
  const { card, cardPath, count, accuracy, before, after, digests, skipped, warning } = calibrated;
  const row = (name: string, one: CalibratedTeacher["before"]): string[] => [
    name,
    String(one.temperature),
    one.nll.toFixed(4),
    one.ece.toFixed(4),
  ];
  return [
    `Teacher ${card.name} on ${plural(count, "labelled image")}, ${(accuracy * 100).toFixed(1)} % right:`,
    tableText(["", "temperature", "NLL", "ECE"], [row("before", before), row("after", after)]),
    ...skippedText(skipped),
    ...(warning === null ? [] : ["", warning]),
    "",
    isWritten
      ? `Written to ${cardPath}. The teacher's digest is now ${digests.after.slice(0, 12)} (was ${digests.before.slice(0, 12)}): what it scored before stays under the old one.`
      : `Not written (--dry-run): ${cardPath} keeps temperature ${before.temperature}.`,
  ].join("\n");
}
