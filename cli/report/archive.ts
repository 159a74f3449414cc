import type { ArchiveReport } from "../../pipelines/versions/verify-archive.js";
import { plural } from "../wording.js";

/** What a verification of the archive found, for people. */
export function archiveText(report: ArchiveReport): string {
  const { chains, runs, segments, rows, labels, versions, damaged } = report;
  const read =
    `Read ${plural(chains, "chain")}: ${plural(segments, "segment")} (${plural(runs, "run")} and the tail), ${plural(rows, "row")}; ` +
    `${plural(labels, "label")}, ${plural(versions, "manifest")}.`;
  if (damaged.length === 0) return `${read} All is as it was written.`;
  const lines = damaged.map(({ message, versions: made }) => {
    const affected = made.length === 0 ? "no version was made from it" : `versions made from it: ${made.join(", ")}`;
    return `  ${message}\n    ${affected}`;
  });
  return [read, `${plural(damaged.length, "part")} not as written:`, ...lines].join("\n");
}
