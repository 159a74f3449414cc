import type { VersionDiff } from "../../pipelines/versions/versions.js";
import type { DiffReason } from "../../schemas/api/versions.js";
import { countText, counted } from "../../schemas/counted.js";
import { tableText } from "../wording.js";
import { probabilityText } from "./versions.js";

/** Classes with another name that a line lists */
const RENAMED_PRINTED = 5;

export function diffText(diff: VersionDiff): string {
  const { before, after, totals } = diff;
  const renamed = diff.classes.filter(
    (one) => one.class !== null && one.classBefore !== null && one.label !== one.labelBefore,
  );
  const renamedText =
    renamed.length === 0
      ? []
      : [
          `${counted(renamed.length, "class", "classes")} with another name: ${renamed
            .slice(0, RENAMED_PRINTED)
            .map((one) => `#${one.class} ${one.labelBefore} -> ${one.label}`)
            .join(", ")}${renamed.length > RENAMED_PRINTED ? " …" : ""}`,
        ];
  if (diff.same) {
    const same = `Versions ${before.number} and ${after.number} have the same rows: id ${before.id}`;
    return [same, ...renamedText].join("\n");
  }
  const reasons = reasonsText(diff);
  const changed = diff.classes.filter(({ added, removed, moved }) => added + removed + moved > 0);
  return [
    `From version ${before.number} (${before.id.slice(0, 12)}) to ${after.number} (${after.id.slice(0, 12)}):`,
    `${counted(totals.added, "row")} added, ${countText(totals.removed)} removed, ${countText(totals.moved)} at another rank, ${countText(totals.kept)} as they were`,
    ...reasons,
    ...renamedText,
    ...diff.parameters.map(({ name, before: had, after: has }) => `${name}: ${had} -> ${has}`),
    ...(changed.length === 0
      ? []
      : [
          "",
          tableText(
            ["class", "label", "rows before", "after", "added", "removed", "moved", "cut-off before", "after"],
            changed.map((one) => [
              one.class === null ? "" : String(one.class),
              one.label,
              one.rowsBefore,
              one.rowsAfter,
              one.added,
              one.removed,
              one.moved,
              probabilityText(one.cutoffBefore),
              probabilityText(one.cutoffAfter),
            ]),
          ),
        ]),
  ].join("\n");
}

/** What the reasons are called in a sentence */
const REASON_WORDS: Readonly<Record<DiffReason, string>> = {
  new: "new images",
  label: "people said so",
  erased: "erased",
  room: "room below",
  "pushed-out": "pushed out by better ones",
  parameters: "other parameters",
  teacher: "another teacher",
  rank: "images above it came or left",
  duplicate: "near duplicates of better ones",
  guard: "guarded images",
};

/** `entered: 3 new images, 1 room below`, over all classes */
function reasonsText({ classes }: VersionDiff): string[] {
  return (["entered", "left"] as const).flatMap((side) => {
    const counts = new Map<DiffReason, number>();
    for (const { reasons } of classes)
      for (const { reason, count } of reasons[side]) counts.set(reason, (counts.get(reason) ?? 0) + count);
    const words = [...counts]
      .sort((a, b) => b[1] - a[1])
      .map(([reason, count]) => `${REASON_WORDS[reason]} ${countText(count)}`);
    return words.length === 0 ? [] : [`${side}: ${words.join(", ")}`];
  });
}
