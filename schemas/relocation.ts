import { z } from "zod";
import { readSealed, sealJson } from "./sealed-json.js";

/** Where images lie: `/absolute/path` of files and shards, or `s3://bucket/prefix`; percent-encoded, without a closing slash. */
const place = z.string().regex(/^(\/|s3:\/\/[^/])/, "expected /absolute/path or s3://bucket/prefix");

const relocationSchema = z.strictObject({
  schemaVersion: z.literal(1),
  from: place,
  to: place,
  /** When it was said, ms since the epoch */
  atMs: z.int().nonnegative(),
});

/** What lay below `from` lies below `to` now. Archived rows keep the uri that their image was seen at. */
export type Relocation = Omit<z.infer<typeof relocationSchema>, "schemaVersion">;

export function encodeRelocation(relocation: Relocation): Uint8Array {
  return sealJson({ schemaVersion: 1, ...relocation }, 2);
}

/** Throws E_STORE_CORRUPT. */
export function decodeRelocation(bytes: Uint8Array, key: string): Relocation {
  const { from, to, atMs } = readSealed(relocationSchema, bytes, { key, what: "a relocation", repair: "Restore it." });
  return { from, to, atMs };
}
