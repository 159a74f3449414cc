import { z } from "zod";
import { messageOf, SluiceError } from "./errors.js";
import { keys } from "./keys.js";
import { manifestSchema, type Manifest } from "./manifest.js";
import { openSealedJson, sealJson } from "./sealed-json.js";

const count = z.int().nonnegative();

/** Says which files of a version are others than its manifest says, since images were erased from it. */
export const redactionSchema = z.strictObject({
  schemaVersion: z.literal(1),
  dataset: z.string(),
  number: z.int().positive(),
  /** From 1; each replaces what the manifest and those before say */
  redaction: z.int().positive(),
  /** ISO 8601, UTC */
  createdAt: z.string(),
  /** SHA-256 of all images that are erased from the version by now, ascending */
  erased: z.array(z.string().regex(/^[0-9a-f]{64}$/)),
  /** Files that were written anew, at the keys that they had */
  files: manifestSchema.shape.files,
  /** Rows whose image bytes are not in the version */
  bytesAbsent: count,
});
export type Redaction = z.infer<typeof redactionSchema>;

export function encodeRedaction(redaction: Redaction): Uint8Array {
  return sealJson(redactionSchema.parse(redaction), 2);
}

/** Throws E_VERSION_CORRUPT, naming the object. */
export function decodeRedaction(bytes: Uint8Array, dataset: string, number: number, redaction: number): Redaction {
  const key = keys.redaction(dataset, number, redaction);
  try {
    const found = redactionSchema.parse(openSealedJson(bytes));
    if (found.dataset === dataset && found.number === number && found.redaction === redaction) return found;
    throw new TypeError(`it is redaction ${found.redaction} of ${found.dataset}/${found.number}`);
  } catch (error) {
    throw new SluiceError(
      "E_VERSION_CORRUPT",
      `Expected at ${key} which files of version ${dataset}/${number} are without erased images, found other bytes: ${messageOf(error)}. Restore the object from a copy.`,
      { cause: error, key },
    );
  }
}

/** The manifest as it holds with its redactions: files with the sizes and digests that they have now. */
export function redactedManifest(manifest: Manifest, redactions: readonly Redaction[]): Manifest {
  const last = redactions.at(-1);
  if (last === undefined) return manifest;
  const anew = new Map(redactions.flatMap(({ files }) => files.map((file) => [file.key, file])));
  return {
    ...manifest,
    files: manifest.files.map((file) => anew.get(file.key) ?? file),
    totals: { ...manifest.totals, bytesAbsent: last.bytesAbsent },
  };
}
