import { readdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { openFilesystemStore } from "../../connectors/store/filesystem/filesystem-store.js";
import type { Store } from "../../connectors/store/store.js";
import { orNull, SluiceError } from "../../schemas/errors.js";
import type { S3Config } from "../../schemas/s3-config.js";
import { bucketPlace, isBucketPlace } from "../open/bucket-place.js";
import { openBucket } from "../open/open-bucket.js";

/** Where a folder store writes a file before it gets its name; a bucket has none */
const TEMPORARY = "~tmp";

/** Where an export goes. */
export interface ExportTarget {
  readonly store: Store;
  /** Names that are there already, some of them: what is no object of a store counts as well */
  readonly found: readonly string[];
  close(): Promise<void>;
}

/** Opens a folder, made where it is absent, or `s3://bucket/prefix/` on the configured endpoint. Throws E_CONFIG, E_STORE_IO, E_STORE_READONLY, E_STORE_BUCKET, E_STORE_ACCESS. */
export async function openExportTarget(place: string, s3: S3Config | undefined): Promise<ExportTarget> {
  return isBucketPlace(place) ? openBucketTarget(place, s3) : openFolderTarget(place);
}

async function openBucketTarget(place: string, s3: S3Config | undefined): Promise<ExportTarget> {
  if (s3 === undefined) {
    throw new SluiceError(
      "E_CONFIG",
      `Expected the endpoint and keys of ${place}, found none: set s3.endpoint, s3.accessKey and s3.secretKey in sluice.yaml, or export to a folder and copy it.`,
    );
  }
  const { bucket, prefix } = bucketPlace(place);
  const store = await openBucket({ ...s3, bucket, prefix: prefix === "" ? undefined : prefix });
  const found: string[] = [];
  for await (const { key } of store.list("")) {
    found.push(key);
    break;
  }
  return { store, found, close: () => store.close() };
}

async function openFolderTarget(place: string): Promise<ExportTarget> {
  const store = await openFilesystemStore(place);
  const found = (await readdir(place)).filter((name) => name !== TEMPORARY).sort();
  return {
    store,
    found,
    close: async () => {
      await store.close();
      // Loaders take every folder for a class. Another process that writes here has files in it.
      await orNull(rmdir(join(place, TEMPORARY)), "ENOENT", "ENOTEMPTY");
    },
  };
}
