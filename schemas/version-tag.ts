import { z } from "zod";
import { readSealed, sealJson } from "./sealed-json.js";

/** What a version may be called beside its number: it never looks like a number, and is not `latest`. */
export const tagNameSchema = z
  .string()
  .regex(/^(?!latest$)[a-z][a-z0-9._-]{0,62}$/, "expected a letter first, then letters, digits, dot, dash, underscore");

const versionTagSchema = z.strictObject({
  schemaVersion: z.literal(1),
  /** The version that is meant; null: the tag was dropped */
  number: z.int().positive().nullable(),
  /** When it was said, ms since the epoch */
  atMs: z.int().nonnegative(),
});

/** One object of a tag's row of them, numbered from 1: the highest stands. */
export type VersionTag = Omit<z.infer<typeof versionTagSchema>, "schemaVersion">;

export function encodeTag({ number, atMs }: VersionTag): Uint8Array {
  return sealJson({ schemaVersion: 1, number, atMs }, 2);
}

/** Throws E_STORE_CORRUPT. */
export function decodeTag(bytes: Uint8Array, key: string): VersionTag {
  const repair = "Restore the object from a copy.";
  const { number, atMs } = readSealed(versionTagSchema, bytes, { key, what: "a version's tag", repair });
  return { number, atMs };
}
