import type { DeclaredLost } from "../../pipelines/declare-lost.js";
import type { RepairedRange } from "../../pipelines/repair-archive.js";
import type { ArchiveReport, LostOffsets } from "../../pipelines/versions/verify-archive.js";
import { counted } from "../../schemas/counted.js";

/** What a verification of the archive found, for people. */
export function archiveText(report: ArchiveReport): string {
  const { chains, runs, segments, rows, packs, images, labels, versions, damaged } = report;
  const lost = report.lost.map(lostLine);
  const read =
    `Read ${counted(chains, "chain")}: ${counted(segments, "segment")} (${counted(runs, "run")} and the tail), ${counted(rows, "row")}; ` +
    `${counted(images, "kept image")} in ${counted(packs, "pack")}, ${counted(labels, "label")}, ${counted(versions, "manifest")}.`;
  if (damaged.length === 0) {
    const rest =
      lost.length === 0 ? "All is as it was written." : "All that is not declared lost is as it was written.";
    return [`${read} ${rest}`, ...lost].join("\n");
  }
  const lines = damaged.map(({ message, versions: made }) => {
    const affected = made.length === 0 ? "no version was made from it" : `versions made from it: ${made.join(", ")}`;
    return `  ${message}\n    ${affected}`;
  });
  return [read, ...lost, `${counted(damaged.length, "part")} not as written:`, ...lines].join("\n");
}

function lostLine({
  stream,
  partition,
  start,
  end,
  records,
  reason,
  author,
  declaredMs,
  versions,
}: LostOffsets): string {
  const day = new Date(declaredMs).toISOString().slice(0, 10);
  const cutBefore = versions.length === 0 ? "" : `; versions cut over them before: ${versions.join(", ")}`;
  return `  Offsets [${start}, ${end}) of ${stream}/${partition} are declared lost, ${counted(records, "record")} (${reason}; ${author}, ${day})${cutBefore}`;
}

/** What was declared lost, or would be, for people. */
export function declaredLostText(declared: readonly DeclaredLost[], dryRun: boolean): string {
  const lines = declared.flatMap(({ chain, start, end, records, damage, versions }) => [
    `Offsets [${start}, ${end}) of ${chain.stream}/${chain.partition} ${dryRun ? "would be" : "are"} declared lost: ${counted(records, "record")}, teacher ${chain.teacher.slice(0, 12)}.`,
    `  ${damage}`,
    `  ${versions.length === 0 ? "No version was made from them." : `Versions made from them, which stay as they are: ${versions.join(", ")}.`}`,
  ]);
  const next = dryRun
    ? "Nothing was declared. A restored copy of the object is better; a declaration is never taken back. With --yes it is made."
    : "Cuts, status and verify count them as lost from now on. Processes that run are to be started again.";
  return [...lines, next].join("\n");
}

const FROM = {
  rows: "made again from its rows",
  copy: "made again from segments that still lay there",
  log: "scored again from the log",
} as const;

/** What was made again, or could be, for people. */
export function repairedText(ranges: readonly RepairedRange[], dryRun: boolean): string {
  const lines = ranges.flatMap(({ chain, start, end, needsRows, from, isSame, damage, versions }) => {
    const place = `Offsets [${start}, ${end}) of ${chain.stream}/${chain.partition}, teacher ${chain.teacher.slice(0, 12)}`;
    const cut =
      versions.length === 0 ? "no version was made from them" : `versions made from them: ${versions.join(", ")}`;
    if (from === null) {
      const how = needsRows
        ? "would be made again from segments that still lie there, or scored again from the log"
        : "what lies beside their rows would be made again from these";
      return [`${place}: ${how}; ${cut}.`, `  ${damage}`];
    }
    const bits =
      isSame === true
        ? "every bit is as it was written"
        : `last bits of scores may be others than before: \`sluice reproduce\` may give these another id (${cut})`;
    return [`${place}: ${FROM[from]}; ${bits}.`];
  });
  const next = dryRun
    ? "Nothing was changed. A restored copy of the object is better where there is one. With --yes it is done."
    : "`sluice archive verify` reads all of it. Processes that run are to be started again.";
  return [...lines, next].join("\n");
}
