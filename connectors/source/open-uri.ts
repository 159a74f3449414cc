import { SluiceError } from "../../schemas/errors.js";
import { OPEN_PLACES, type PlaceGuard } from "./allowed-places.js";
import { percentDecode, shownPath } from "./byte-path.js";
import { openFile, tooLarge } from "./open-file.js";
import { openMany } from "./open-many.js";
import type { ImageBuckets, ImageOpener } from "./source.js";
import { parseMemberUri } from "./tar/member-uri.js";
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
  const shards = new ShardIndexes();
  const opener: ImageOpener = {
    openMany: (asked) => openMany(asked, opener, shards, guard),
    async open(uri, maxBytes) {
      const file = /^file:\/\/(?:localhost)?(\/[^?#]*)$/.exec(uri)?.[1];
      if (file !== undefined) return openFile(await guard.file("file", percentDecode(file), uri), uri, maxBytes);
      const member = parseMemberUri(uri);
      if (member !== null) return shards.open(await guard.file("tar", member.shard, uri), member.place, uri, maxBytes);
      const [, bucket, key] = /^s3:\/\/([^/?#]+)\/([^?#]+)$/.exec(uri) ?? [];
      if (bucket !== undefined && key !== undefined) {
        const name = shownPath(percentDecode(key));
        guard.object(bucket, name, uri);
        if (buckets === undefined) throw withoutBuckets(uri);
        return buckets.read(bucket, name, (sizeBytes) => {
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

function withoutBuckets(uri: string): SluiceError {
  return new SluiceError(
    "E_IMAGE_UNREADABLE",
    `Expected \`s3:\` in the configuration to read ${uri}, found none. Set s3.endpoint, s3.bucket, s3.accessKey and s3.secretKey (SLUICE_S3__ENDPOINT …), then \`sluice quarantine retry\`.`,
  );
}
