import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { messageOf, SluiceError } from "../schemas/errors.js";

/** Schemes of places that people have pictures at, and what to do instead */
const INSTEAD: Readonly<Record<string, string>> = {
  gs: "Google Cloud Storage has an S3-compatible endpoint (https://storage.googleapis.com, with an HMAC key): name the bucket as s3://…",
  http: "Fetch the files into a folder first",
  https: "Fetch the files into a folder first; a bucket on an S3-compatible server is named s3://bucket/prefix/",
};

/**
 * A source as it was typed: a path, made absolute from `folder`, a file: URL, which is a path, or `s3://bucket/prefix/`, which stays as it is.
 * Throws E_USAGE for other schemes, naming those that are known.
 */
export function sourceArgument(folder: string, input: string): string {
  if (/^s3:/i.test(input)) return input;
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(input)?.[1]?.toLowerCase();
  if (scheme === undefined) return resolve(folder, input);
  if (scheme === "file") {
    try {
      return fileURLToPath(input);
    } catch (cause) {
      throw new SluiceError("E_USAGE", `Expected a path in ${input}: ${messageOf(cause)}.`, { cause });
    }
  }
  throw new SluiceError(
    "E_USAGE",
    `Expected a folder, tar shards or s3://bucket/prefix/, found ${input}: ${scheme}:// is not read. ` +
      `${INSTEAD[scheme] ?? "Mount it as a folder, or copy the files into one"}.`,
    { source: input },
  );
}
