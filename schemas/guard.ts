import { z } from "zod";
import { canonicalJson, sha256Hex } from "./canonical.js";
import { messageOf, SluiceError } from "./errors.js";
import { PDQ_BYTES } from "./pdq-hash.js";
import { DIGEST_BYTES } from "./scored-batch.js";
import { openSealedJson, sealJson } from "./sealed-json.js";

/** What the reference takes for the same picture: fewer than 32 bits of 256 */
export const GUARD_DISTANCE = 31;

/** Of an image: SHA-256, PDQ, and PDQ's quality */
const ENTRY_BYTES = DIGEST_BYTES + PDQ_BYTES + 1;

export const guardNameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, "expected lower-case letters, digits, dot, dash, underscore; at most 63");

const guardObjectSchema = z.strictObject({
  schemaVersion: z.literal(1),
  name: guardNameSchema,
  /** When it was said, ms since the epoch */
  atMs: z.int().nonnegative(),
  /** Where the images were read; null: the set is dropped */
  from: z.string().nullable(),
  distance: z.int().min(0).max(63),
  /** Base64 of [n x 65] bytes: SHA-256, PDQ and its quality of each image, ascending; "" for a dropped set */
  entries: z.base64(),
});

/** One evaluation set whose images enter no version; or, without `from`, that it is one no more. */
export interface GuardSet {
  readonly name: string;
  readonly atMs: number;
  readonly from: string | null;
  /** Images this near to one of it are taken for it */
  readonly distance: number;
  readonly images: number;
  /** [n x 65], see `guardEntries` */
  readonly entries: Uint8Array;
}

/** What a version says of the sets that guarded it. */
export const guardedBySchema = z.strictObject({
  /** Of all of their images and distances: in the version's id */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  /** Of the row of objects that says what the sets are, those that were heeded */
  objects: z.int().positive(),
  sets: z.array(z.strictObject({ name: z.string(), images: z.int().nonnegative(), distance: z.int().nonnegative() })),
});
export type GuardedBy = z.infer<typeof guardedBySchema>;

/** Images as a set has them, in one order whatever the order they come in, each once. */
export function guardEntries(
  images: Iterable<{ readonly digest: Uint8Array; readonly hash: Uint8Array; readonly quality: number }>,
): Uint8Array {
  const entries = new Map<string, Buffer>();
  for (const { digest, hash, quality } of images)
    entries.set(Buffer.from(digest).toString("hex"), Buffer.concat([digest, hash, Uint8Array.of(quality)]));
  return Buffer.concat([...entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry));
}

/** The image of that number in a set. */
export function guardEntry(entries: Uint8Array, at: number) {
  const from = at * ENTRY_BYTES;
  return {
    digest: entries.subarray(from, from + DIGEST_BYTES),
    hash: entries.subarray(from + DIGEST_BYTES, from + DIGEST_BYTES + PDQ_BYTES),
    quality: entries[from + ENTRY_BYTES - 1]!,
  };
}

/** What the sets are, whatever they are called: null where they have no image. */
export function guardDigest(sets: readonly GuardSet[]): string | null {
  const told = sets
    .filter(({ images }) => images > 0)
    .map(({ distance, entries }) => ({ distance, images: sha256Hex(entries) }))
    .sort((a, b) => (a.images < b.images ? -1 : a.images > b.images ? 1 : a.distance - b.distance));
  return told.length === 0 ? null : sha256Hex(canonicalJson(told));
}

/** How many images entries are */
export function guardCount(entries: Uint8Array): number {
  return entries.length / ENTRY_BYTES;
}

export function encodeGuardSet({ name, atMs, from, distance, entries }: GuardSet): Uint8Array {
  return sealJson({ schemaVersion: 1, name, atMs, from, distance, entries: Buffer.from(entries).toString("base64") });
}

/** Throws E_STORE_CORRUPT. */
export function decodeGuardSet(bytes: Uint8Array, key: string): GuardSet {
  try {
    const { name, atMs, from, distance, entries: text } = guardObjectSchema.parse(openSealedJson(bytes));
    const entries = Buffer.from(text, "base64");
    if (entries.length % ENTRY_BYTES !== 0)
      throw new TypeError(`${entries.length} bytes are no whole number of images`);
    return { name, atMs, from, distance, images: guardCount(entries), entries };
  } catch (cause) {
    throw new SluiceError(
      "E_STORE_CORRUPT",
      `Expected a guarded set at ${key}, found: ${messageOf(cause)}. Restore the object from a copy.`,
      { cause, key },
    );
  }
}
