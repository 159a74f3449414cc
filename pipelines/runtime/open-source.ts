import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { openBucketSource } from "../../connectors/source/bucket.js";
import { openFolderSource } from "../../connectors/source/folder.js";
import type { Source } from "../../connectors/source/source.js";
import { openTarSource } from "../../connectors/source/tar.js";
import type { Config } from "../../schemas/config.js";
import { SluiceError } from "../../schemas/errors.js";
import { STORE_FOLDERS } from "../../schemas/keys.js";
import { openImageBuckets } from "./open-bucket.js";
import { bucketPlace, isBucketPlace, type BucketPlace } from "./bucket-place.js";
import { FOLDERS } from "./workspace.js";

/** A source, and what it has to say when it is through. */
export interface OpenedSource {
  readonly source: Source;
  /** What was passed over, in words; null for nothing */
  passedOver(): string | null;
}

/**
 * One folder of pictures, or tar shards: paths, globs or ranges (`train-{000..099}.tar`), or what lies below a prefix of a
 * bucket (`s3://bucket/prefix/`). What was taken before is remembered in the data folder, below `kept`. `include` are globs on
 * paths within the folder, on names within the shards, on keys below the prefix.
 * Throws E_SOURCE_MISSING, E_SOURCE_READ, E_CONFIG for a bucket without `s3:`, E_USAGE for several folders or a mixture.
 */
export async function openSource(
  config: Config,
  inputs: readonly string[],
  include?: readonly string[],
  kept: string = FOLDERS.listings,
): Promise<OpenedSource> {
  const listings = resolve(config.data, kept, config.stream);
  const place = inputs.find(isBucketPlace);
  if (place !== undefined) {
    if (inputs.length > 1) throw notOne(inputs);
    return openBucketOf(config, bucketPlace(place), listings, include);
  }
  const isFolder = await Promise.all(inputs.map(folderAt));
  if (!isFolder.some(Boolean)) {
    const source = await openTarSource(inputs, { listings, maxBytes: config.decode.maxBytes, include });
    return { source, passedOver: () => null };
  }
  const [folder] = inputs;
  if (folder === undefined || inputs.length > 1) throw notOne(inputs);
  const source = await openFolderSource(folder, { listings, skip: [resolve(config.data)], include });
  return {
    source,
    passedOver: () => {
      const { count, first } = source.skipped;
      return count === 0
        ? null
        : `Passed over ${count} that are neither files nor folders (links are not followed), such as ${first ?? ""}`;
    },
  };
}

async function openBucketOf(
  { s3 }: Config,
  { bucket, prefix }: BucketPlace,
  listings: string,
  include: readonly string[] | undefined,
): Promise<OpenedSource> {
  const buckets = openImageBuckets(s3);
  if (s3 === undefined || buckets === undefined) {
    throw new SluiceError(
      "E_CONFIG",
      `Expected \`s3:\` in the configuration to read s3://${bucket}/${prefix}, found none. Set s3.endpoint, s3.accessKey and ` +
        "s3.secretKey of its server, and s3.bucket, where the store will lie (SLUICE_S3__ENDPOINT …).",
    );
  }
  const root = (s3.prefix ?? "").split("/").filter((part) => part !== "");
  const skip = s3.bucket === bucket ? STORE_FOLDERS.map((folder) => [...root, folder].join("/")) : [];
  const source = await openBucketSource({ buckets, bucket, prefix, include, skip, listings });
  return {
    source,
    passedOver: () => {
      const { first } = source.skipped;
      return first === null ? null : `Passed over what the store itself keeps in that bucket, such as ${first}`;
    },
  };
}

function notOne(inputs: readonly string[]): SluiceError {
  return new SluiceError(
    "E_USAGE",
    `Expected one folder, one s3://bucket/prefix/, or any number of tar shards, found ${inputs.join(", ")}. Run the command once for each.`,
  );
}

async function folderAt(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    // A glob or a range is no path; what is missing altogether, the tar source says.
    return false;
  }
}
