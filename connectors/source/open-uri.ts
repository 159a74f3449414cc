import { SluiceError } from "../../schemas/errors.js";
import { percentDecode } from "./byte-path.js";
import { openFile } from "./open-file.js";
import { ShardIndexes } from "./shard-indexes.js";
import type { ImageOpener } from "./source.js";

/**
 * Opens `file:///absolute/path` and `tar:/absolute/path#member`, both percent-encoded.
 *
 * A tar member is found through an index of its shard, made by reading the shard once and kept for the shards used
 * last; its bytes are then one read. In a .tar.gz every opening decompresses up to the member: keep the bytes
 * (`bytes: keep`) where such images are to be read again.
 *
 * Errors: E_IMAGE_VANISHED, E_IMAGE_UNREADABLE, E_IMAGE_SIZE; E_SOURCE_READ (retryable) where this process, not the
 * image, is short of something (open files, memory).
 */
export function openUri(): ImageOpener {
  const shards = new ShardIndexes();
  return {
    async open(uri, maxBytes) {
      const file = /^file:\/\/(?:localhost)?(\/[^?#]*)$/.exec(uri)?.[1];
      if (file !== undefined) return openFile(percentDecode(file), uri, maxBytes);
      const [, shard, member] = /^tar:(\/[^?#]*)#(.*)$/s.exec(uri) ?? [];
      if (shard !== undefined && member !== undefined) {
        return shards.open(percentDecode(shard), percentDecode(member), uri, maxBytes);
      }
      throw new SluiceError(
        "E_IMAGE_UNREADABLE",
        `Expected a uri file:///absolute/path or tar:/absolute/path#member, found "${uri}". Write such uris, or send the bytes inline.`,
      );
    },
  };
}
