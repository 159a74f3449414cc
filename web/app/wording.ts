import type { Window } from "../../schemas/dataset.ts";

const GROUPED = new Intl.NumberFormat("en");

export const countText = (value: number): string => GROUPED.format(value);

export function plural(count: number, one: string, several = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : several}`;
}

/** A probability with as many digits as tell it from 1 or 0 */
export function probabilityText(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (value > 0.9995 && value < 1) return value.toFixed(Math.min(9, 1 + Math.ceil(-Math.log10(1 - value))));
  if (value !== 0 && value < 0.0005) return value.toExponential(1);
  return value.toFixed(3);
}

export function shareText(value: number | null): string {
  return value === null ? "–" : `${(100 * value).toFixed(value === 1 || value === 0 ? 0 : 1)} %`;
}

export function rateText(perSecond: number | null): string {
  if (perSecond === null) return "–";
  return `${perSecond >= 10 ? countText(Math.round(perSecond)) : perSecond.toFixed(1)}/s`;
}

export function bytesText(value: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let [left, at] = [value, 0];
  for (; left >= 1000 && at < units.length - 1; at++) left /= 1000;
  return `${left >= 100 || at === 0 ? Math.round(left) : left.toFixed(1)} ${units[at]!}`;
}

export function agoText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

export function timeText(ms: number): string {
  return new Date(ms)
    .toISOString()
    .replace("T", " ")
    .replace(/\.\d+Z$/, " UTC");
}

const SPANS = { day: 86_400_000, hour: 3_600_000, min: 60_000, s: 1000, ms: 1 } as const;

/** A length of time as people say it: `day`, `7 days`, `90 min` */
function spanText(ms: number): string {
  const units = Object.entries(SPANS);
  const [unit, size] = units.find(([, one]) => ms % one === 0) ?? ["ms", 1];
  const count = ms / size;
  return count === 1 ? unit : `${countText(count)} ${unit}${unit === "day" || unit === "hour" ? "s" : ""}`;
}

/** The window that versions are chosen from, in a few words */
export function windowText(window: Window): string {
  if (window.kind === "global")
    return window.startMs === undefined ? "all that came" : `since ${timeText(window.startMs)}`;
  if (window.kind === "tumbling") return `each ${spanText(window.sizeMs)}`;
  return `${spanText(window.sizeMs)}, every ${spanText(window.everyMs)}`;
}

/** A word as a shell takes it */
export function shellWord(word: string): string {
  return /^[A-Za-z0-9_.,:=@/#-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
