/** Something that is not as it must be. */
export interface Finding {
  /** An object's key, or the part of the manifest */
  readonly where: string;
  readonly expected: string;
  readonly found: string;
}

/** Findings kept; a version of which everything is wrong says so with its first ones and their number. */
const KEPT = 1000;

/** Collects findings. */
export class Findings {
  readonly list: Finding[] = [];
  count = 0;

  add(where: string, expected: unknown, found: unknown): void {
    this.count++;
    if (this.list.length < KEPT) this.list.push({ where, expected: text(expected), found: text(found) });
  }

  /** Adds a finding unless both are the same value, digit for digit. */
  compare(where: string, expected: unknown, found: unknown): void {
    if (!Object.is(expected, found)) this.add(where, expected, found);
  }
}

/** Values as they are in a manifest: text, numbers, null; anything else as it prints. */
function text(value: unknown): string {
  if (typeof value === "string") return value;
  return Object.is(value, -0) ? "-0" : String(value);
}
