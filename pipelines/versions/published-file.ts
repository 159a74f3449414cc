import type { AsyncBuffer } from "hyparquet";
import type { HashedObject, Store } from "../../connectors/store/store.js";
import { filesOnceNamed } from "../../operators/version/manifests.js";
import { sha256Hex } from "../../schemas/canonical.js";
import { counted } from "../../schemas/counted.js";
import { SluiceError } from "../../schemas/errors.js";
import type { Manifest, ManifestFile } from "../../schemas/manifest.js";
import { hashed, hashObject } from "./hashed-stream.js";

/** Index files up to so many bytes are read once, and held while they are decoded; larger ones are read through first, and then by ranges. */
const HELD_BYTES = 2 ** 25;

/** Whose file it is */
export type Named = Pick<Manifest, "dataset" | "number">;

/** What of an index file is held in memory while it is open. */
export function heldBytes({ sizeBytes }: Pick<ManifestFile, "sizeBytes">): number {
  return sizeBytes <= HELD_BYTES ? sizeBytes : 0;
}

/** A small file of a version. Throws E_VERSION_CORRUPT where it is another than was published, E_STORE_MISSING. */
export async function publishedFile(store: Store, version: Named, file: ManifestFile): Promise<Uint8Array> {
  const bytes = await store.get(file.key);
  await assertPublished(store, version, file, { sizeBytes: bytes.length, sha256: sha256Hex(bytes) });
  return bytes;
}

/**
 * The bytes of an index file, once they are known to be those that were published: a decoder of Parquet that is given other bytes may give
 * other rows, or none and never end. Errors as `publishedFile`.
 */
export async function publishedIndex(store: Store, version: Named, file: ManifestFile): Promise<AsyncBuffer> {
  const whole = heldBytes(file) > 0 ? await publishedFile(store, version, file) : null;
  const byteLength = whole?.length ?? (await publishedSize(store, version, file));
  return {
    byteLength,
    slice: async (start, end = byteLength) => {
      const bytes = whole === null ? await store.getRange(file.key, start, end) : whole.subarray(start, end);
      const buffer = new ArrayBuffer(bytes.length);
      new Uint8Array(buffer).set(bytes);
      return buffer;
    },
  };
}

/** A file's bytes as they come; after the last, where they were others than was published, throws E_VERSION_CORRUPT. */
export async function* publishedStream(store: Store, version: Named, file: ManifestFile): AsyncGenerator<Uint8Array> {
  const stream = hashed(store);
  yield* stream.getStream(file.key);
  await assertPublished(store, version, file, stream.digest());
}

/** Reads a file through, for another program that reads it later. Returns its size. Errors as `publishedFile`. */
export async function publishedSize(store: Store, version: Named, file: ManifestFile): Promise<number> {
  const found = await hashObject(store, file.key);
  await assertPublished(store, version, file, found);
  return found!.sizeBytes;
}

async function assertPublished(
  store: Store,
  version: Named,
  file: ManifestFile,
  found: HashedObject | null,
): Promise<void> {
  const { key } = file;
  const name = `${version.dataset}/${version.number}`;
  const repair =
    `Restore the object from a copy. \`sluice versions verify ${name}\` says what else of the version is damaged, ` +
    `\`sluice reproduce ${name}\` whether the archive still gives its rows.`;
  if (found === null)
    throw new SluiceError("E_STORE_MISSING", `Expected ${key}, a file of version ${name}, found none. ${repair}`, {
      key,
    });
  const isIt = (one: ManifestFile): boolean => one.sizeBytes === found.sizeBytes && one.sha256 === found.sha256;
  if (isIt(file)) return;
  // An erasure says first what it is about to write: the file may lag behind its manifest, or be ahead of one that was read before.
  if ((await filesOnceNamed(store, version, key)).some(isIt)) return;
  throw new SluiceError(
    "E_VERSION_CORRUPT",
    `Expected at ${key} a file of version ${name}, ${counted(file.sizeBytes, "byte")} with SHA-256 ${file.sha256}, ` +
      `found ${counted(found.sizeBytes, "byte")} with ${found.sha256}: it is damaged. ${repair}`,
    { key },
  );
}
