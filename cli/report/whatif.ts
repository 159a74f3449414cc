import type { Whatif } from "../../pipelines/whatif.js";
import type { Selection } from "../../schemas/dataset.js";
import { countText, counted } from "../../schemas/counted.js";
import { tableText } from "../wording.js";

/** Past this many, starving classes are counted. */
const NAMED = 3;

/** One line a setting; the reasons of those that cannot be answered below. */
export function whatifText({ answers, newest, segments, where }: Whatif, plot: string | null): string {
  const reasons = [...new Set(answers.flatMap((one) => ("refused" in one ? [one.refused] : [])))];
  return [
    tableText(
      [
        "K",
        "P",
        "temperature",
        "rows",
        "images",
        "full",
        "cut-off lowest",
        "median",
        "overlap",
        "exact from",
        "starving",
      ],
      answers.map((one) => {
        const setting = [kOf(one.k), one.p, String(one.temperature)];
        if ("refused" in one) {
          return [
            ...setting,
            null,
            null,
            null,
            null,
            null,
            null,
            `refused (${reasons.indexOf(one.refused) + 1})`,
            null,
          ];
        }
        const more = one.starving.length > NAMED ? `, and ${countText(one.starving.length - NAMED)} more` : "";
        const starving = one.starving.slice(0, NAMED).map(({ label, rows }) => `${label} ${countText(rows)}`);
        return [
          ...setting,
          one.rows,
          one.images,
          `${countText(one.full)} of ${countText(one.classes)}`,
          one.cutoff === null ? null : one.cutoff.lowest.toPrecision(3),
          one.cutoff === null ? null : one.cutoff.median.toPrecision(3),
          one.overlap === null ? null : `${(100 * one.overlap).toFixed(1)} %`,
          one.from,
          starving.join(", ") + more,
        ];
      }),
    ),
    "",
    ...reasons.map((reason, index) => `(${index + 1}) ${reason}`),
    newest === null
      ? "Overlap is with the newest version, and there is none yet."
      : `Overlap: share of the setting's rows that version ${newest.number} (${newest.id.slice(0, 12)}) has as well.`,
    ...(where.length === 0
      ? []
      : [
          `Left out by where: ${where.map(({ condition, rows }) => `${condition} ${counted(rows, "row")}`).join(", ")}.`,
        ]),
    `${counted(segments, "segment")} read; nothing was written${plot === null ? "" : ` but ${plot}`}.`,
  ].join("\n");
}

function kOf(k: Selection["k"]): string {
  if (typeof k === "number") return String(k);
  return "share" in k ? `${k.share} |U|/L` : `${k.default} …`;
}
