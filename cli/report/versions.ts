import { driftLine } from "./drift.js";
import type { VersionList } from "../../schemas/api/versions.js";
import type { LateRecord } from "../../pipelines/versions/late.js";
import type { VerifyReport } from "../../pipelines/versions/versions.js";
import { canonicalSelection } from "../../schemas/dataset.js";
import { archivedOffsets, unreadOffsets } from "../../schemas/frontier.js";
import { keys } from "../../schemas/keys.js";
import type { Manifest } from "../../schemas/manifest.js";
import { countText, counted } from "../../schemas/counted.js";
import { bytesText, tableText } from "../wording.js";
import { offsetLines } from "./offsets.js";
import { classesText } from "./published.js";

export function listText(versions: VersionList["versions"]): string {
  if (versions.length === 0) return "No versions yet: `sluice ingest` publishes the first.";
  return tableText(
    ["dataset", "version", "id", "rows", "images", "created", "by", ""],
    versions.map(({ dataset, number, id, rows, images, createdAt, trigger, incomplete }) => [
      dataset,
      number,
      id.slice(0, 12),
      rows,
      images,
      createdAt,
      trigger,
      incomplete ? "incomplete" : "",
    ]),
  );
}

/** `limit`: classes printed, the emptiest first */
export function manifestText(manifest: Manifest, place: string, limit: number): string {
  const { dataset, number, id, select, teacher, totals, provenance, files } = manifest;
  const { records } = totals;
  const labelled = provenance.labels.reduce((sum, { end }) => sum + end, 0);
  const classes = manifest.classes.toSorted((a, b) => a.count - b.count || a.class - b.class);
  const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  return [
    `Dataset ${dataset}, version ${number}`,
    `  id          ${id}`,
    `  rows        ${countText(totals.rows)} of ${counted(totals.images, "image")}, ${classesText(manifest)}`,
    `  selection   ${Object.entries(canonicalSelection(select) as object)
      .map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`)
      .join(", ")}`,
    `  teacher     ${teacher.name} (${teacher.digest.slice(0, 12)}), temperature ${teacher.temperature}`,
    `  records     ${countText(records.in)} in = ${countText(records.scored)} scored + ${countText(records.copied)} copied + ${countText(records.quarantined)} quarantined + ${countText(records.lost)} lost`,
    ...offsetLines({
      emptyOffsets: archivedOffsets(provenance.frontier) - records.in,
      unreadOffsets: unreadOffsets(provenance.frontier),
    }),
    ...(labelled === 0 ? [] : [`  labels      ${countText(labelled)} heeded`]),
    ...leftOutLines(manifest),
    `  engine      ${provenance.engines.map(({ name, version, backend, device }) => `${name} ${version} on ${backend} (${device})`).join("; ")}`,
    ...provenance.lost.map(
      ({ partition, start, end, reason }) => `  lost        [${start}, ${end}) of partition ${partition}: ${reason}`,
    ),
    `  created     ${provenance.createdAt}, by ${provenance.trigger}, code ${provenance.codeVersion}${provenance.incomplete ? ", incomplete: gaps in the archive were left out" : ""}`,
    `  parent      ${provenance.parent === null ? "none" : `version ${provenance.parent.number}`}`,
    `  bytes       ${counted(files.length, "file")}, ${bytesText(sizeBytes)}${totals.bytesAbsent === 0 ? "" : `; ${counted(totals.bytesAbsent, "row")} without image bytes`}`,
    `  manifest    ${place}/${keys.manifest(dataset, number)}`,
    "",
    tableText(
      ["class", "label", "rows", "best", "worst", ""],
      classes
        .slice(0, limit)
        .map((one) => [
          String(one.class),
          one.label,
          one.count,
          probabilityText(one.best),
          probabilityText(one.worst),
          one.starving ? "starving" : "",
        ]),
    ),
    ...(classes.length > limit ? [`… and ${countText(classes.length - limit)} more (--classes)`] : []),
  ].join("\n");
}

/** How the stream drifted, what was kept out, and that deeper rows stand in the places; nothing where nothing was. */
function leftOutLines({ classes, guard, provenance }: Manifest): string[] {
  const sum = (name: "near" | "guarded"): number => classes.reduce((all, one) => all + (one[name] ?? 0), 0);
  const [near, guarded] = [sum("near"), sum("guarded")];
  const sets = (guard?.sets ?? []).map(({ name, images }) => `${name} (${counted(images, "image")})`).join(", ");
  const deeper = provenance.readDeeper ?? 0;
  const { drift } = provenance;
  return [
    ...(drift === undefined ? [] : [`  drift       ${driftLine(drift)}`]),
    ...(near === 0 ? [] : [`  near        ${counted(near, "near duplicate")} of better images left out`]),
    ...(sets === "" ? [] : [`  guard       ${sets}: ${counted(guarded, "image")} kept out`]),
    ...(deeper === 0
      ? []
      : [
          `  deeper      the archive was read ${deeper === 1 ? "once" : `${deeper} times`} beyond the reserve (a larger \`reserve\` saves that)`,
        ]),
  ];
}

export function lateText(late: readonly LateRecord[], manifest: Manifest, most: number): string {
  const name = `${manifest.dataset}/${manifest.number}`;
  if (late.length === 0) return `Nothing came for version ${name} after it was cut.`;
  const changing = late.filter(({ changes }) => changes.length > 0);
  return [
    `${counted(late.length, "image")} came for version ${name} after it was cut; ${countText(changing.length)} would change it.`,
    ...[...changing, ...late.filter(({ changes }) => changes.length === 0)]
      .slice(0, most)
      .map(
        ({ uri, eventTimeMs, changes }) =>
          `  ${new Date(eventTimeMs).toISOString()}  ${uri}  ${changes.length === 0 ? "changes nothing" : `changes ${changes.join(", ")}`}`,
      ),
    ...(late.length > most ? [`  … and ${countText(late.length - most)} more (--list, --json)`] : []),
  ].join("\n");
}

/** Past this many, findings are counted; `--json` has more. */
const FINDINGS_PRINTED = 50;

export function verifyText(report: VerifyReport, name: string): string {
  const { findings, findingCount, checked, manifest, redacted, lostSince } = report;
  const read = `${counted(checked.files, "file")}, ${counted(checked.rows, "row")}, ${counted(checked.images, "image")} read`;
  if (findingCount === 0) {
    const records =
      manifest === null || lostSince.length > 0
        ? ""
        : `; ${manifest.totals.records.in === 1 ? "1 record adds" : `${countText(manifest.totals.records.in)} records add`} up with the archive`;
    const erased = redacted === 0 ? "" : `; redacted: ${countText(redacted)}`;
    return [`Version ${name} is what it says: ${read}${records}${erased}.`, ...lostSince.map(lostSinceText)].join("\n");
  }
  return [
    `Version ${name} is not what it says: ${counted(findingCount, "finding")} (${read}).`,
    ...findings
      .slice(0, FINDINGS_PRINTED)
      .map(({ where, expected, found }) => `  ${where}: expected ${expected}, found ${found}`),
    ...(findingCount > FINDINGS_PRINTED ? [`  … and ${countText(findingCount - FINDINGS_PRINTED)} more`] : []),
  ].join("\n");
}

function lostSinceText({ partition, start, end, reason, rows }: VerifyReport["lostSince"][number]): string {
  return (
    `  Offsets [${start}, ${end}) of partition ${partition} were declared lost since (${reason}): ${counted(rows, "row")} of it ${rows === 1 ? "is" : "are"} from there. ` +
    "The version stays as it is; `reproduce` and `rebuild` have them no more."
  );
}

export function probabilityText(value: number | null): string {
  return value === null ? "" : value.toPrecision(4);
}

/** What a version that verifies lacks all the same; null for nothing. */
export function absentText({ manifest }: Pick<VerifyReport, "manifest">): string | null {
  if (manifest === null || manifest.totals.bytesAbsent === 0) return null;
  const { bytesAbsent, rows } = manifest.totals;
  return (
    `${countText(bytesAbsent)} of ${counted(rows, "row")} have no image bytes: training on the shards does without them. ` +
    "If the images were moved, say where to with `sluice relocate <old> <new>`, then `sluice rebuild`."
  );
}
