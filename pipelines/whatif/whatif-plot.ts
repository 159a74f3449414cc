import { coordinate as round, escaped, legend, LEGEND_ROW, lineColour, lineStroke } from "../svg-parts.js";
import type { RefusedSetting, Whatif } from "../whatif.js";
import type { SettingAnswer } from "./whatif-answer.js";

const WIDTH = 1080;
const PANEL = { width: 280, height: 220, left: 64, gap: 72, top: 56 };

interface Curve {
  readonly name: string;
  readonly answers: readonly SettingAnswer[];
}

interface Panel {
  readonly title: string;
  readonly value: (answer: SettingAnswer) => number | null;
  readonly text: (value: number) => string;
  /** The greatest value of the axis, where it does not follow from the curves */
  readonly most?: number;
}

const PANELS: readonly Panel[] = [
  {
    title: "Fill: share of classes with K rows",
    value: ({ full, classes }) => full / classes,
    text: (value) => `${Math.round(value * 100)} %`,
    most: 1,
  },
  {
    title: "Cut-off: median probability of the last row",
    value: ({ cutoff }) => cutoff?.median ?? null,
    text: (value) => String(Number(value.toPrecision(3))),
    most: 1,
  },
  { title: "Size: rows", value: ({ rows }) => rows, text: shortNumber },
];

/** The curves over K, one for each P and temperature, as one SVG file. Settings whose K is no number have no place on it. */
export function whatifPlot({ answers }: Pick<Whatif, "answers">): string {
  const curves = curvesOf(answers.filter(isAnswer));
  const ks = curves.flatMap(({ answers: list }) => list.map(({ k }) => Number(k)));
  const legendTop = PANEL.top + PANEL.height + 64;
  const columns = 4;
  const height = legendTop + Math.max(1, Math.ceil(curves.length / columns)) * LEGEND_ROW + 16;
  const least = Math.min(...ks);
  const most = Math.max(...ks);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="12" fill="#222">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    ...(ks.length === 0
      ? [`<text x="${PANEL.left}" y="${PANEL.top}">No setting could be answered.</text>`]
      : PANELS.map((panel, index) => panelText(panel, index, curves, { least, most }))),
    ...legend(
      curves.map(({ name }) => name),
      { left: PANEL.left, top: legendTop, columns, width: 240 },
    ),
    "</svg>",
    "",
  ].join("\n");
}

function panelText(
  { title, value, text, most }: Panel,
  index: number,
  curves: readonly Curve[],
  k: { readonly least: number; readonly most: number },
): string {
  const left = PANEL.left + index * (PANEL.width + PANEL.gap);
  const bottom = PANEL.top + PANEL.height;
  const greatest =
    most ?? niceAbove(Math.max(...curves.flatMap(({ answers }) => answers.map((one) => value(one) ?? 0))));
  const x = (at: number): number =>
    k.most === k.least ? left + PANEL.width / 2 : left + ((at - k.least) / (k.most - k.least)) * PANEL.width;
  const y = (at: number): number => bottom - (greatest === 0 ? 0 : at / greatest) * PANEL.height;
  const lines = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const at = y(part * greatest);
    return (
      `<line x1="${left}" y1="${round(at)}" x2="${left + PANEL.width}" y2="${round(at)}" stroke="${part === 0 ? "#888" : "#e4e4e4"}"/>` +
      `<text x="${left - 8}" y="${round(at + 4)}" text-anchor="end" fill="#555">${text(part * greatest)}</text>`
    );
  });
  const asked = curves.flatMap(({ answers }) => answers.map((one) => Number(one.k)));
  const ticks = ticksOf(asked, x).map(
    (at) => `<text x="${round(x(at))}" y="${bottom + 18}" text-anchor="middle" fill="#555">${shortNumber(at)}</text>`,
  );
  const paths = curves.map(({ answers }, curve) => {
    const points = answers.flatMap((one) => {
      const at = value(one);
      return at === null ? [] : [`${round(x(Number(one.k)))},${round(y(at))}`];
    });
    const dots = points.map((point) => {
      const [cx, cy] = point.split(",");
      return `<circle cx="${cx}" cy="${cy}" r="2.5" fill="${lineColour(curve)}"/>`;
    });
    return `<polyline points="${points.join(" ")}" fill="none" ${lineStroke(curve)}/>${dots.join("")}`;
  });
  return [
    `<text x="${left}" y="${PANEL.top - 20}" font-weight="bold">${escaped(title)}</text>`,
    ...lines,
    ...ticks,
    `<text x="${left + PANEL.width / 2}" y="${bottom + 38}" text-anchor="middle">K, images a class</text>`,
    ...paths,
  ].join("\n");
}

/** By P and temperature, in the order of their first answers; K ascending. */
function curvesOf(answers: readonly SettingAnswer[]): Curve[] {
  return [...grouped(answers)].map(([name, list]) => ({
    name,
    answers: list.toSorted((a, b) => Number(a.k) - Number(b.k)),
  }));
}

function grouped(answers: readonly SettingAnswer[]): Map<string, SettingAnswer[]> {
  const groups = new Map<string, SettingAnswer[]>();
  for (const answer of answers) {
    const name = nameOf(answer);
    groups.set(name, [...(groups.get(name) ?? []), answer]);
  }
  return groups;
}

function nameOf({ p, temperature }: SettingAnswer): string {
  return `P = ${p}, temperature ${temperature}`;
}

function isAnswer(one: SettingAnswer | RefusedSetting): one is SettingAnswer {
  return "rows" in one && typeof one.k === "number";
}

/** The K that were asked for, as far as their numbers have room beside each other. */
function ticksOf(ks: readonly number[], x: (k: number) => number): number[] {
  const shown: number[] = [];
  for (const k of [...new Set(ks)].sort((a, b) => b - a)) {
    const before = shown.at(-1);
    if (before === undefined || x(before) - x(k) >= 36) shown.push(k);
  }
  return shown;
}

/** 1, 2 or 5 times a power of ten, at or above */
function niceAbove(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 4, 5, 8, 10].find((one) => one * power >= value) ?? 10);
}

function shortNumber(value: number): string {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))} M`;
  if (value >= 1e4) return `${Number((value / 1e3).toPrecision(3))} k`;
  return String(Number(value.toPrecision(4)));
}
