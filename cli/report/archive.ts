import type { ArchiveReport } from "../../pipelines/versions/verify-archive.js";
import { counted } from "../../schemas/counted.js";

/** What a verification of the archive found, for people. */
export function archiveText(report: ArchiveReport): string {
  const { chains, runs, segments, rows, packs, images, labels, versions, damaged } = report;
  const read =
    `Read ${counted(chains, "chain")}: ${counted(segments, "segment")} (${counted(runs, "run")} and the tail), ${counted(rows, "row")}; ` +
    `${counted(images, "kept image")} in ${counted(packs, "pack")}, ${counted(labels, "label")}, ${counted(versions, "manifest")}.`;
  if (damaged.length === 0) return `${read} All is as it was written.`;
  const lines = damaged.map(({ message, versions: made }) => {
    const affected = made.length === 0 ? "no version was made from it" : `versions made from it: ${made.join(", ")}`;
    return `  ${message}\n    ${affected}`;
  });
  return [read, `${counted(damaged.length, "part")} not as written:`, ...lines].join("\n");
}
