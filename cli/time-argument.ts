import { InvalidArgumentError } from "commander";

/** A time for commander: ISO 8601, UTC where it names no zone, or ms since the epoch. */
export function timeArgument(text: string): number {
  if (/^\d{10,15}$/.test(text)) return Number(text);
  const iso = /^(\d{4}-\d{2}-\d{2})(?:T(\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?)(Z|[+-]\d{2}:\d{2})?)?$/.exec(text);
  const timeMs = iso === null ? Number.NaN : Date.parse(`${iso[1]!}T${iso[2] ?? "00:00"}${iso[3] ?? "Z"}`);
  if (Number.isFinite(timeMs)) return timeMs;
  throw new InvalidArgumentError("Expected a date (2026-11-01), a time (2026-11-01T12:00Z), or ms since the epoch.");
}
