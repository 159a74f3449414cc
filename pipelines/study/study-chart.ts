import type { MeanInterval } from "../../operators/training/student-interval.js";
import { coordinate as at, escaped, legend, LEGEND_ROW, lineColour, lineStroke } from "../svg-parts.js";
import { percentText, type StudyRow } from "./study-summary.js";

const SIZE = { width: 860, left: 64, right: 24, top: 24, plot: 300 } as const;
const LEGEND_COLUMNS = 3;

/** Numbers so unequal are drawn on a scale of equal ratios */
const UNEQUAL = 8;

interface Drawn extends StudyRow {
  readonly accuracy: MeanInterval;
}

/** Accuracy over a study's axis with its intervals, a line a series; what all are compared with as levels. One SVG, without anything from outside. */
export function studyChart(rows: readonly StudyRow[], axis: string): string {
  const drawn = rows.filter((row): row is Drawn => row.accuracy !== null);
  const series = [...new Set(drawn.map((row) => row.series))];
  const bottom = SIZE.top + SIZE.plot;
  const legendTop = bottom + 64;
  const height = legendTop + Math.ceil(series.length / LEGEND_COLUMNS) * LEGEND_ROW;
  const place = placesOf(drawn);
  const scale = scaleOf(drawn);
  const y = (share: number): number => bottom - ((share - scale.low) / (scale.high - scale.low)) * SIZE.plot;
  const right = SIZE.width - SIZE.right;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE.width} ${height}" width="${SIZE.width}" height="${height}" font-family="sans-serif" font-size="12" fill="#222" role="img" aria-label="accuracy over ${escaped(axis)}">`,
    `<rect width="${SIZE.width}" height="${height}" fill="#fff"/>`,
    ...scale.ticks.map(
      (share) =>
        `<line x1="${SIZE.left}" y1="${at(y(share))}" x2="${right}" y2="${at(y(share))}" stroke="#e4e4e4"/>` +
        `<text x="${SIZE.left - 8}" y="${at(y(share) + 4)}" text-anchor="end" fill="#555">${Number((100 * share).toFixed(1))} %</text>`,
    ),
    ...place.ticks.map(
      ({ text, x }) => `<text x="${at(x)}" y="${bottom + 18}" text-anchor="middle" fill="#555">${escaped(text)}</text>`,
    ),
    `<text x="${at((SIZE.left + right) / 2)}" y="${bottom + 40}" text-anchor="middle">${escaped(axis)}</text>`,
    ...series.map((name, index) =>
      seriesText(
        drawn.filter((row) => row.series === name),
        index,
        place.x,
        y,
      ),
    ),
    ...legend(series, { left: SIZE.left, top: legendTop, columns: LEGEND_COLUMNS, width: 264 }),
    "</svg>",
    "",
  ].join("\n");
}

function seriesText(
  rows: readonly Drawn[],
  index: number,
  x: (row: Drawn) => number,
  y: (share: number) => number,
): string {
  const colour = lineColour(index);
  const level = rows.find((row) => row.x === null);
  if (level !== undefined) {
    const top = at(y(level.accuracy.mean));
    return `<line x1="${SIZE.left}" y1="${top}" x2="${SIZE.width - SIZE.right}" y2="${top}" stroke="${colour}" stroke-dasharray="4 4"><title>${titleOf(level)}</title></line>`;
  }
  const points = rows.map((row) => `${at(x(row))},${at(y(row.accuracy.mean))}`);
  const marks = rows.map((row) => {
    const { mean, halfWidth } = row.accuracy;
    const bar = Number.isNaN(halfWidth)
      ? ""
      : `<line x1="${at(x(row))}" y1="${at(y(mean - halfWidth))}" x2="${at(x(row))}" y2="${at(y(mean + halfWidth))}" stroke="${colour}"/>`;
    return `${bar}<circle cx="${at(x(row))}" cy="${at(y(mean))}" r="3.5" fill="${colour}"><title>${titleOf(row)}</title></circle>`;
  });
  return `<polyline points="${points.join(" ")}" fill="none" ${lineStroke(index)}/>${marks.join("")}`;
}

function titleOf({ label, accuracy }: Drawn): string {
  return escaped(`${label}: ${percentText(accuracy)} %`);
}

/** Where the axis has each row: numbers at their size, by ratios where they are very unequal; names beside each other. */
function placesOf(rows: readonly Drawn[]): { x: (row: Drawn) => number; ticks: { text: string; x: number }[] } {
  const values = [...new Set(rows.flatMap(({ x }) => (x === null ? [] : [x])))];
  const numbers = values.filter((value) => typeof value === "number").sort((a, b) => a - b);
  const [left, right] = [SIZE.left + 32, SIZE.width - SIZE.right - 32];
  const [least, most] = [numbers[0] ?? 0, numbers.at(-1) ?? 0];
  const isNamed = numbers.length < values.length || most === least;
  const byRatio = least > 0 && most / least >= UNEQUAL;
  const share = (value: number | string): number => {
    if (isNamed || typeof value === "string")
      return values.length === 1 ? 0.5 : values.indexOf(value) / (values.length - 1);
    return byRatio ? Math.log(value / least) / Math.log(most / least) : (value - least) / (most - least);
  };
  const x = (value: number | string): number => left + share(value) * (right - left);
  return {
    x: (row) => x(row.x ?? 0),
    ticks: values.map((value) => ({ text: String(value), x: x(value) })),
  };
}

/** Steps of the accuracy axis that people read easily */
const STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2];
const MOST_TICKS = 8;

function scaleOf(rows: readonly Drawn[]): { low: number; high: number; ticks: number[] } {
  const ends = rows.flatMap(({ accuracy: { mean, halfWidth } }) => {
    const half = Number.isNaN(halfWidth) ? 0 : halfWidth;
    return [Math.max(0, mean - half), Math.min(1, mean + half)];
  });
  const [least, most] = ends.length === 0 ? [0, 1] : [Math.min(...ends), Math.max(...ends)];
  const step = STEPS.find((one) => (most - least) / one <= MOST_TICKS - 2) ?? 0.2;
  const low = Math.floor(least / step) * step;
  const steps = Math.max(1, Math.ceil((most - low) / step - 1e-9));
  return {
    low,
    high: low + steps * step,
    ticks: Array.from({ length: steps + 1 }, (_, index) => low + index * step),
  };
}
