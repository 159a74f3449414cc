import { z } from "zod";
import { counted } from "./counted.js";
import { SluiceError } from "./errors.js";

const UNITS_MS = { hour: 3_600_000, day: 86_400_000, week: 604_800_000 } as const;

/** Which versions of a dataset stay: those that any of it holds of, and always the newest and those that something names. */
export const keepSchema = z.strictObject({
  last: z.int().positive().default(1).describe("the newest so many stay"),
  youngerThanMs: z.int().positive().optional().describe("and those that were published less long ago, ms"),
});
export type KeepRule = z.infer<typeof keepSchema>;

/** `last 10, tagged, younger than 30 days` */
export function keepText({ last, youngerThanMs }: KeepRule): string {
  const young = youngerThanMs === undefined ? "" : `, younger than ${lengthText(youngerThanMs)}`;
  return `last ${last}, tagged${young}`;
}

/** The rule as a person types it; null for `all`. Throws E_USAGE. */
export function keepRule(text: string): KeepRule | null {
  const refuse = (found: string): SluiceError =>
    new SluiceError(
      "E_USAGE",
      `Expected which versions stay, such as "last 10, tagged, younger than 30 days", or "all", found ${found}.`,
    );
  const parts = text
    .toLowerCase()
    .split(/[,;]|\band\b/)
    .map((part) => part.trim().replace(/\s+/g, " "))
    .filter((part) => part !== "");
  if (parts.length === 0) throw refuse("nothing");
  if (parts.length === 1 && parts[0] === "all") return null;
  const found: { last?: number; youngerThanMs?: number } = {};
  for (const part of parts) {
    const last = /^last ([1-9]\d{0,5})$/.exec(part)?.[1];
    const [, count, unit = ""] = /^younger than ([1-9]\d{0,4}) ?(hour|day|week)s?$/.exec(part) ?? [];
    if (last !== undefined && found.last === undefined) found.last = Number(last);
    else if (count !== undefined && found.youngerThanMs === undefined)
      found.youngerThanMs = Number(count) * UNITS_MS[unit as keyof typeof UNITS_MS];
    // Tags keep a version whether a rule says so or not.
    else if (part !== "tagged") throw refuse(`"${part}"`);
  }
  return keepSchema.parse(found);
}

function lengthText(lengthMs: number): string {
  for (const unit of ["week", "day", "hour"] as const) {
    const count = lengthMs / UNITS_MS[unit];
    // Thirty days are not four weeks and two days.
    if (Number.isInteger(count) && (unit !== "week" || count < 4)) return counted(count, unit);
  }
  return `${lengthMs} ms`;
}
