import { join } from "node:path";
import { SluiceError } from "../../schemas/errors.js";

const SEGMENT = /^[A-Za-z0-9._=-]+$/;
/** Of most file systems: bytes of one name */
const MAX_SEGMENT_BYTES = 255;

/**
 * The file of a key below `root`. Throws E_STORE_IO for a key that some store could not keep: `..`, empty segments, `+`,
 * `%` or anything else outside [A-Za-z0-9._=-].
 */
export function fileOf(root: string, key: string): string {
  checkKey(key);
  return join(root, ...key.split("/"));
}

/** Throws as `fileOf`. */
export function checkKey(key: string): void {
  if (!key.split("/").every(isSegment)) throw badKey(key);
}

/** Throws as `splitPrefix`. */
export function checkPrefix(prefix: string): void {
  splitPrefix(prefix);
}

/**
 * Splits a prefix into the folder whose entries may match and what their names start with. Throws E_STORE_IO for a
 * prefix that no key can have.
 */
export function splitPrefix(prefix: string): { folders: readonly string[]; start: string } {
  const folders = prefix.split("/");
  const start = folders.pop() ?? "";
  if (!folders.every(isSegment) || (start !== "" && !SEGMENT.test(start))) throw badKey(prefix);
  return { folders, start };
}

export function isSegment(name: string): boolean {
  return SEGMENT.test(name) && name !== "." && name !== ".." && name.length <= MAX_SEGMENT_BYTES;
}

function badKey(key: string): SluiceError {
  return new SluiceError(
    "E_STORE_IO",
    `Expected a key of segments of [A-Za-z0-9._=-] (at most ${MAX_SEGMENT_BYTES} each, not "." or "..") joined by "/", found "${key}".`,
    { key },
  );
}
