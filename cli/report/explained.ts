import { saidText } from "../../pipelines/versions/change-reasons.js";
import type { Fate, ImageLife, Sighting } from "../../schemas/api/images.js";
import { bytesText, tableText } from "../wording.js";

/** Sightings that are printed; `--json` has all */
const SIGHTINGS_PRINTED = 5;

/** All that is known of an image, for people. */
export function explainText(life: Omit<ImageLife, "bytes">): string {
  const { sha256, sightings, quarantine, labels, fates } = life;
  const newest = new Map<string, Sighting>();
  for (const one of sightings) newest.set(one.teacher, one);
  return [
    `Image ${sha256}`,
    ...sightings.slice(0, SIGHTINGS_PRINTED).map(seenText),
    ...(sightings.length > SIGHTINGS_PRINTED ? [`  … seen ${sightings.length} times in all (--json)`] : []),
    ...[...newest.values()].map(scoredText),
    ...quarantine.map(({ code, reason }) => `  refused   ${code}: ${reason}`),
    ...labels.map((label) => `  said      ${saidText(label)}, ${new Date(label.timeMs).toISOString()}`),
    "",
    fates.length === 0
      ? "No version was made under a teacher that scored it."
      : tableText(["version", "class", "rank", "K", "probability", "cut-off", "why"], fates.map(fateRow)),
  ].join("\n");
}

function seenText({ uri, eventTimeMs, width, height, sizeBytes, bytes, copied }: Sighting): string {
  const scores = copied ? ", scores copied" : "";
  return `  seen      ${uri}, ${new Date(eventTimeMs).toISOString()}, ${width} x ${height}, ${bytesText(sizeBytes)}, bytes ${bytes}${scores}`;
}

function scoredText({ teacherName, teacher, scores }: Sighting): string {
  const best = scores.map(({ label, probability }) => `${label} ${probability.toPrecision(4)}`).join(", ");
  return `  scored    by ${teacherName} (${teacher.slice(0, 12)}): ${best}`;
}

function fateRow({ dataset, number, label, rank, k, probability, cutoff, because }: Fate): (string | number | null)[] {
  return [
    `${dataset}/${number}`,
    label,
    rank === null ? "out" : String(rank),
    k,
    probability === null ? "" : probability.toPrecision(4),
    cutoff === null ? "" : cutoff.toPrecision(4),
    because,
  ];
}
