import type { ErasedImagesReport } from "../../pipelines/erase.js";
import { counted } from "../../schemas/counted.js";

/** As the members of a `--json` result. */
export function erasedObject({ refused, ...rest }: ErasedImagesReport, changed: boolean): object {
  return {
    changed,
    ...rest,
    refused: refused.map(({ code, message, context }) => ({ key: context["key"] ?? null, code, message })),
  };
}

/** Names printed of a list; `--json` has all. */
const PRINTED = 20;

/** The same for people. */
export function erasedText(done: ErasedImagesReport, changed: boolean): string {
  const { images, rows, packs, versions, logRecords, logsAside, uris, kept, cut, purged, waiting, refused } = done;
  const lines: string[] = [];
  const before = images.filter(({ recorded }) => recorded === "before").length;
  const fresh = images.length - before;
  if (fresh > 0) lines.push(`${changed ? "Recorded" : "Would record"} ${counted(fresh, "image")} as erased, for ever.`);
  if (before > 0) lines.push(`${counted(before, "image")} ${before === 1 ? "was" : "were"} recorded before.`);
  for (const { sha256 } of images.filter(({ isKnown }) => !isKnown).slice(0, PRINTED))
    lines.push(`  ${sha256} is not in the archive: the record stands, so that it is not stored when it comes.`);
  const took: string[] = [];
  if (rows > 0) took.push(`${counted(rows, "record")} of the archive`);
  if (packs.images > 0)
    took.push(`${counted(packs.images, "kept copy", "kept copies")} in ${counted(packs.packs, "pack")}`);
  for (const one of versions)
    took.push(
      `${counted(one.rows, "row")} of version ${one.dataset}/${one.number} (${counted(one.files.length, "file")} written anew)`,
    );
  if (logRecords !== null && logRecords > 0) took.push(`${counted(logRecords, "record")} of the log`);
  for (const folder of logsAside) took.push(`the damaged log that was put aside in ${folder}`);
  if (took.length > 0) lines.push(`${changed ? "Took out" : "Would take out"}:`, ...took.map((one) => `  ${one}`));
  else lines.push("Nothing leads to an erased image.");
  if (purged !== null) lines.push(`Removed ${counted(purged, "old version")} of objects that the bucket kept.`);
  for (const { topic, partition, offsets } of cut)
    lines.push(`Deleted the records of ${topic}/${partition} up to offset ${offsets[1]}.`);
  for (const one of kept) {
    const until =
      one.untilMs === null
        ? "retention never lets it go by age"
        : `retention keeps it until ${new Date(one.untilMs).toISOString()} at the latest`;
    const may = one.mayGo
      ? "--cut-topic deletes all up to there"
      : "what is before it is not archived yet, so that it cannot be cut";
    lines.push(
      `${one.topic}/${one.partition} has ${counted(one.records, "record")} still, the last at offset ${one.offsets[1]}: ${until}; ${may}.`,
    );
  }
  if (uris.length > 0) {
    lines.push(
      `Files that are not Sluice's to delete, where ${images.length === 1 ? "the image" : "images"} came from:`,
      ...uris.slice(0, PRINTED).map((uri) => `  ${uri}`),
      ...(uris.length > PRINTED ? [`  … and ${uris.length - PRINTED} more (--json)`] : []),
    );
  }
  lines.push(
    "Out of reach: copies that somebody made of versions, exports of the quarantine, students that were trained, backups.",
  );
  for (const key of waiting.slice(0, PRINTED))
    lines.push(`A process may be at work on ${key} yet: run \`sluice erase --yes\` again later.`);
  for (const { message } of refused.slice(0, PRINTED))
    lines.push(`Cannot be read, and may have an image still: ${message}`);
  if (!changed) lines.push("Nothing was changed. --yes does it; it cannot be undone.");
  return lines.join("\n");
}
