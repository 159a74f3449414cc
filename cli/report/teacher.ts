import type { AddedTeacher } from "../../pipelines/training/add-teacher.js";
import type { CalibratedTeacher } from "../../pipelines/training/calibrate-teacher.js";
import { shownName } from "../../pipelines/versions/shown-name.js";
import { counted } from "../../schemas/counted.js";
import { tableText } from "../wording.js";
import { readingsText } from "./readings.js";
import { skippedText } from "./trained.js";

/** What was inferred, what labelled images say of it, how it ran, and what it said of images. */
export function addedText(added: AddedTeacher): string {
  const { card, cardPath, assumptions, engine, tried, skipped, written, check } = added;
  const padded = engine?.batchInvariant === "padded" ? `; batches are padded to ${engine.batch}` : "";
  const runs =
    engine === null
      ? "was read so"
      : `runs on ${engine.name} ${engine.version}, ${engine.backend}, ${engine.device}${padded}`;
  return [
    `Teacher ${card.name} (${card.format}, ${counted(card.labels.length, "class", "classes")}) ${runs}${engine === null ? ":" : "."}`,
    ...assumptions.map((line) => `  ${line}`),
    ...(check === null ? [] : ["", ...readingsText(check, written)]),
    ...(tried.length > 0
      ? ["", triedTable(tried)]
      : check === null
        ? [
            "",
            "Tried on noise only. Look at what it says of images (--try <folder>), or how often it is right (--on <labelled folder>).",
          ]
        : []),
    ...skippedText(skipped),
    "",
    written ? `Card written to ${cardPath}.` : "No card was written.",
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
    `Teacher ${card.name} on ${counted(count, "labelled image")}, ${(accuracy * 100).toFixed(1)} % right:`,
    tableText(["", "temperature", "NLL", "ECE"], [row("before", before), row("after", after)]),
    ...skippedText(skipped),
    ...(warning === null ? [] : ["", warning]),
    "",
    isWritten
      ? `Written to ${cardPath}. The teacher's digest is now ${digests.after.slice(0, 12)} (was ${digests.before.slice(0, 12)}): what it scored before stays under the old one.`
      : `Not written (--dry-run): ${cardPath} keeps temperature ${before.temperature}.`,
  ].join("\n");
}
