import { InvalidArgumentError } from "commander";

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** For commander: 90s, 30m, 12h, 7d or 2w as ms. */
export function durationArgument(text: string): number {
  const [, count, unit = ""] = /^(\d{1,7})([smhdw])$/.exec(text) ?? [];
  const unitMs = UNIT_MS[unit];
  if (count !== undefined && unitMs !== undefined) return Number(count) * unitMs;
  throw new InvalidArgumentError("Expected a duration such as 90s, 30m, 12h, 7d or 2w.");
}
