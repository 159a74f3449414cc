import { resolve } from "node:path";
import { openBucketSource, type BucketSourceOptions } from "../../connectors/source/bucket.js";
import { openFolderSource } from "../../connectors/source/folder.js";
import type { Source } from "../../connectors/source/source.js";
import { isFolderOfShards } from "../../connectors/source/tar/shard-list.js";
import { openTarSource } from "../../connectors/source/tar/tar.js";
import type { Config } from "../../schemas/config.js";
import type { DeclaredSource } from "../../schemas/declared-source.js";
import { SluiceError } from "../../schemas/errors.js";
import { STORE_FOLDERS } from "../../schemas/keys.js";
import { openImageBuckets } from "./open-bucket.js";
import { bucketPlace, isBucketPlace, type BucketPlace } from "./bucket-place.js";
import { FOLDERS } from "./workspace.js";
import { statIfThere } from "../../connectors/stat-if-there.js";

export interface OpenSourceOptions {
  /** Globs on paths within the folder, on names within the shards, on keys below the prefix */
  readonly include?: readonly string[] | undefined;
  /** Of a folder: take links for what they lead to */
  readonly followLinks?: boolean | undefined;
  /** Of a folder: links that lead out of this one are passed over */
  readonly linksWithin?: string | undefined;
  /** Whether a source that has nothing to take is no mistake: it is looked at again */
  readonly mayBeEmpty?: boolean | undefined;
  /** Where in the data folder it is remembered what was taken; null: nowhere, the source is looked at alone. Default: where `ingest` does */
  readonly kept?: string | null | undefined;
}

/** What was said of a source, as opening it takes it. */
export function openingOf({ include, followLinks, linksWithin }: DeclaredSource): OpenSourceOptions {
  return { include: include.length === 0 ? undefined : include, followLinks, linksWithin };
}

/**
 * One folder of pictures, or tar shards: paths, globs, ranges (`train-{000..099}.tar`) or a folder of shards, or what lies below a prefix of a
 * bucket (`s3://bucket/prefix/`). What was taken before is remembered in the data folder.
 * Throws E_SOURCE_MISSING, E_SOURCE_READ, E_SOURCE_EMPTY, E_CONFIG for a bucket without `s3:`, E_USAGE for several folders or a mixture.
 */
export async function openSource(
  config: Config,
  inputs: readonly string[],
  options: OpenSourceOptions = {},
): Promise<Source> {
  const { include, followLinks, linksWithin, mayBeEmpty, kept = FOLDERS.listings } = options;
  const listings = kept === null ? undefined : resolve(config.data, kept, config.stream);
  const place = inputs.find(isBucketPlace);
  if (place !== undefined) {
    if (inputs.length > 1) throw notOne(inputs);
    return openBucketOf(config, bucketPlace(place), { listings, include, mayBeEmpty });
  }
  const folders = await Promise.all(inputs.map(folderAt));
  if (folders.some(Boolean) && inputs.length > 1) throw notOne(inputs);
  const [folder] = inputs;
  if (folder === undefined || folders[0] !== true || (await isFolderOfShards(folder))) {
    return openTarSource(inputs, { listings, maxBytes: config.decode.maxBytes, include, mayBeEmpty });
  }
  const skip = [resolve(config.data)];
  return openFolderSource(folder, { listings, skip, include, followLinks, linksWithin, mayBeEmpty });
}

/**
 * Looks whether a source has anything to take, up to the first image; nothing is written. Throws E_SOURCE_EMPTY, and what opening
 * and reading it throw.
 */
export async function assertNotEmpty(
  config: Config,
  inputs: readonly string[],
  options: OpenSourceOptions,
): Promise<void> {
  const source = await openSource(config, inputs, { ...options, kept: null });
  const items = source.items(null)[Symbol.asyncIterator]();
  try {
    await items.next();
  } finally {
    await items.return?.();
  }
}

async function openBucketOf(
  { s3 }: Config,
  { bucket, prefix }: BucketPlace,
  options: Pick<BucketSourceOptions, "listings" | "include" | "mayBeEmpty">,
): Promise<Source> {
  const buckets = openImageBuckets(s3);
  if (s3 === undefined || buckets === undefined) {
    throw new SluiceError(
      "E_CONFIG",
      `Expected \`s3:\` in the configuration to read s3://${bucket}/${prefix}, found none. Set s3.endpoint, s3.accessKey and ` +
        "s3.secretKey of its server, and s3.bucket, where the store will lie (SLUICE_S3__ENDPOINT …).",
    );
  }
  return openBucketSource({ ...options, buckets, bucket, prefix, skip: storePrefixes(s3, bucket) });
}

/** What keys begin with that are the store's own in a bucket; none where it lies elsewhere. */
export function storePrefixes(s3: Config["s3"], bucket: string): string[] {
  if (s3?.bucket !== bucket) return [];
  const root = (s3.prefix ?? "").split("/").filter((part) => part !== "");
  return STORE_FOLDERS.map((folder) => [...root, folder].join("/"));
}

function notOne(inputs: readonly string[]): SluiceError {
  return new SluiceError(
    "E_USAGE",
    `Expected one folder, one s3://bucket/prefix/, or any number of tar shards, found ${inputs.join(", ")}. Run the command once for each.`,
  );
}

/** A glob or a range is no path; what is missing altogether, the tar source says. */
async function folderAt(path: string): Promise<boolean> {
  return (await statIfThere(path))?.isDirectory() === true;
}
