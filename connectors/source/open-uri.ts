import { SluiceError } from "../../schemas/errors.js";
import { OPEN_PLACES, type PlaceGuard } from "./allowed-places.js";
import { percentDecode, shownPath, type BytePath } from "./byte-path.js";
import { FileReader } from "./file-reader.js";
import { tooLarge } from "./open-file.js";
import { openMany } from "./open-many.js";
import type { ImageBuckets, ImageOpener } from "./source.js";
import { parseMemberUri, type MemberUri } from "./tar/member-uri.js";
import { ShardIndexes } from "./tar/shard-indexes.js";

export interface OpenUriOptions {
  /** Where `s3://` uris are read; without it they are refused. */
  readonly buckets?: ImageBuckets | undefined;
  /** Which places may be opened. Default: all. */
  readonly guard?: PlaceGuard;
}

/**
 * Opens `file:///absolute/path`, `tar:/absolute/path#member` (see member-uri.ts) and, where there are buckets, `s3://bucket/key`, all
 * percent-encoded.
 *
 * `open` finds a tar member through an index of its shard, made by reading the shard once and kept for the shards used
 * last. `openMany` reads what it is asked for of a shard in one pass, and of a shard that is not packed no more than that.
 *
 * Errors: E_IMAGE_REFUSED, E_IMAGE_VANISHED, E_IMAGE_UNREADABLE, E_IMAGE_SIZE; E_SOURCE_READ (retryable) where this process, not the
 * image, is short of something (open files, memory), or where the buckets' server is away.
 */
export function openUri({ buckets, guard = OPEN_PLACES }: OpenUriOptions = {}): ImageOpener {
  const files = new FileReader();
  const shards = new ShardIndexes(files);
  const opener: ImageOpener = {
    openMany: (asked) => openMany(asked, opener, shards, guard),
    reaches(uri) {
      const place = placeOf(uri);
      if (place?.scheme === "file") return guard.mayOpenFile("file", place.path);
      if (place?.scheme === "tar") return guard.mayOpenFile("tar", place.shard);
      return place !== null && buckets !== undefined && guard.mayOpenObject(place.bucket, place.key);
    },
    async open(uri, maxBytes) {
      const place = placeOf(uri);
      if (place?.scheme === "file") return files.open(await guard.file("file", place.path, uri), uri, maxBytes);
      if (place?.scheme === "tar")
        return shards.open(await guard.file("tar", place.shard, uri), place.place, uri, maxBytes);
      if (place !== null) {
        guard.object(place.bucket, place.key, uri);
        if (buckets === undefined) throw withoutBuckets(uri);
        return buckets.read(place.bucket, place.key, (sizeBytes) => {
          if (sizeBytes > maxBytes) throw tooLarge(uri, sizeBytes, maxBytes);
          return Buffer.allocUnsafeSlow(sizeBytes);
        });
      }
      throw new SluiceError(
        "E_IMAGE_UNREADABLE",
        `Expected a uri file:///absolute/path, tar:/absolute/path#member or s3://bucket/key, found "${uri}". Write such uris, or send the bytes inline.`,
      );
    },
  };
  return opener;
}

type Place =
  | { readonly scheme: "file"; readonly path: BytePath }
  | ({ readonly scheme: "tar" } & MemberUri)
  | { readonly scheme: "s3"; readonly bucket: string; readonly key: string };

/** Where a uri says that an image lies; null where it is none that is opened here. */
function placeOf(uri: string): Place | null {
  const file = /^file:\/\/(?:localhost)?(\/[^?#]*)$/.exec(uri)?.[1];
  if (file !== undefined) return { scheme: "file", path: percentDecode(file) };
  const member = parseMemberUri(uri);
  if (member !== null) return { scheme: "tar", ...member };
  const [, bucket, key] = /^s3:\/\/([^/?#]+)\/([^?#]+)$/.exec(uri) ?? [];
  if (bucket === undefined || key === undefined) return null;
  return { scheme: "s3", bucket, key: shownPath(percentDecode(key)) };
}

function withoutBuckets(uri: string): SluiceError {
  return new SluiceError(
    "E_IMAGE_UNREADABLE",
    `Expected \`s3:\` in the configuration to read ${uri}, found none. Set s3.endpoint, s3.bucket, s3.accessKey and s3.secretKey (SLUICE_S3__ENDPOINT …), then \`sluice quarantine retry\`.`,
  );
}
