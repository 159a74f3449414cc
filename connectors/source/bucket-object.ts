import type { ImageRecord } from "../../schemas/image-record.js";
import type { PassedOverReason } from "../../schemas/source-account.js";
import { bytePath, percentEncode } from "./byte-path.js";
import { isShardName, isSidecar } from "./file-kinds.js";
import { includes } from "./include.js";

/**
 * Why an object is no image of a source: a name that begins with a dot, a sidecar (none is read: licence and origin stay unknown), a tar
 * shard, an empty object that stands for a folder, and what no glob matches. `below`: its key below the source's prefix.
 */
export function objectReasons(include: readonly string[] | undefined): (below: string) => PassedOverReason | null {
  const isIncluded = includes(include);
  return (below) => {
    if (below === "" || below.endsWith("/")) return "folderMark";
    if (/(?:^|\/)\./.test(below)) return "hidden";
    if (include !== undefined) return isIncluded(below) ? null : isSidecar(below) ? "sidecar" : "excluded";
    return isSidecar(below) ? "sidecar" : isShardName(below) ? "shard" : null;
  };
}

/** An object as an image by reference: `s3://bucket/key`, percent-encoded. Its event time is when it was last modified. */
export function objectRecord(bucket: string, key: string, modifiedMs: number): ImageRecord {
  return {
    uri: `s3://${bucket}/${percentEncode(bytePath(key))}`,
    bytes: null,
    eventTimeMs: Math.max(0, Math.floor(modifiedMs)),
    licence: null,
    origin: null,
    retryOf: null,
  };
}
