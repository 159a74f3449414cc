import { counted } from "../../schemas/counted.js";
import type { StudyResults } from "./run-study.js";
import { escaped } from "../svg-parts.js";
import { studyChart } from "./study-chart.js";
import { percentText, studyRows, type StudyRow } from "./study-summary.js";

/** What was studied, for the page's head */
export interface StudiedImages {
  readonly labelled: string;
  readonly unlabelled: string;
  readonly test: string;
}

const HEADS = ["", "accuracy, %", "over labels alone", "tail recall, %", "rows", "lowest probability", "seeds"];

/** Studies with their tables and charts as one page that needs nothing beside it. */
export function studyPage(studies: readonly StudyResults[], images: StudiedImages): string {
  const [first] = studies;
  const title = studies.length === 1 ? `Study: ${first?.name ?? ""}` : "Studies";
  return [
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title>`,
    `<meta name="viewport" content="width=device-width, initial-scale=1"><style>${STYLE}</style></head><body>`,
    `<h1>${escaped(title)}</h1>`,
    `<p>Labelled: ${escaped(images.labelled)}. Unlabelled: ${escaped(images.unlabelled)}. Test: ${escaped(images.test)}. ` +
      `${counted(first?.seeds.length ?? 0, "seed")}; means with their 95 % intervals by Student's t, gains paired by seed.</p>`,
    ...studies.map(sectionText),
    "</body></html>",
    "",
  ].join("\n");
}

function sectionText(study: StudyResults): string {
  const rows = studyRows(study);
  return [
    `<section><h2>${escaped(study.name)}</h2><p>${escaped(study.question)}</p>`,
    `<figure>${studyChart(rows, study.axis)}</figure>`,
    `<table><thead><tr>${HEADS.map((head) => `<th scope="col">${escaped(head)}</th>`).join("")}</tr></thead><tbody>`,
    ...rows.map((row) => `<tr><th scope="row">${escaped(row.label)}</th>${cellsOf(row)}</tr>`),
    "</tbody></table></section>",
  ].join("\n");
}

function cellsOf({ accuracy, gain, tailRecall, rows, cutOff }: StudyRow): string {
  return [
    percentText(accuracy),
    percentText(gain, true),
    percentText(tailRecall),
    rows === null ? "" : String(Math.round(rows)),
    cutOff === null ? "" : cutOff.toPrecision(3),
    String(accuracy?.count ?? 0),
  ]
    .map((text) => `<td>${escaped(text)}</td>`)
    .join("");
}

const STYLE = [
  "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}",
  "table{border-collapse:collapse;font-variant-numeric:tabular-nums}",
  "th,td{padding:.25rem .75rem;border-bottom:1px solid #ddd;text-align:right}",
  "th[scope=row],thead th:first-child{text-align:left;font-weight:normal}",
  "figure{margin:1rem 0;overflow-x:auto}svg{max-width:100%;height:auto}",
].join("");
