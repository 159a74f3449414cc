import { z } from "zod";
import { messageOf, SluiceError } from "./errors.js";

const sha256Text = z.string().regex(/^[0-9a-f]{64}$/);

/** An image that would have stood in a class, and does not. */
export const leftOutSchema = z.strictObject({
  sha256: sha256Text,
  /** `near`: a near duplicate of a better image; `guard`: of an image of a guarded set, or that image */
  by: z.enum(["near", "guard"]),
  /** The guarded set, null for a near duplicate */
  set: z.string().nullable(),
  /** The image that it is like */
  partner: sha256Text,
  /** Bits of PDQ that differ */
  distance: z.int().nonnegative(),
});
export type LeftOut = z.infer<typeof leftOutSchema>;

const leftOutLineSchema = leftOutSchema.extend({ class: z.int().nonnegative() });
export type LeftOutLine = z.infer<typeof leftOutLineSchema>;

/** A version's list of what it left out: a JSON object a line. */
export const LEFT_OUT_FILE = "left-out.jsonl";

export function leftOutLine(line: LeftOutLine): string {
  const { class: index, sha256, by, set, partner, distance } = line;
  return `${JSON.stringify({ class: index, sha256, by, set, partner, distance })}\n`;
}

/** Throws E_VERSION_CORRUPT, naming `key`. */
export function readLeftOutLines(text: string, key: string): LeftOutLine[] {
  try {
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => leftOutLineSchema.parse(JSON.parse(line)));
  } catch (cause) {
    throw new SluiceError(
      "E_VERSION_CORRUPT",
      `Expected what a version left out at ${key}, found lines that do not read as that: ${messageOf(cause)}. Restore the object from a copy.`,
      { cause, key },
    );
  }
}
