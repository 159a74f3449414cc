import { SluiceError } from "../../schemas/errors.js";

/** Where in a bucket images lie. */
export interface BucketPlace {
  readonly bucket: string;
  /** "" or ending in "/" */
  readonly prefix: string;
}

/** As S3 and its clients allow names */
const BUCKET = /^(?=.{3,63}$)(?!.*\.\.)[a-z0-9][a-z0-9.-]*[a-z0-9]$/;

/** Whether an argument means a bucket; a path that begins so is written `./s3:…`. */
export function isBucketPlace(input: string): boolean {
  return /^s3:/i.test(input);
}

/** Reads `s3://bucket/prefix/`; the prefix stands as the keys do, without percent-encoding. Throws E_USAGE. */
export function bucketPlace(input: string): BucketPlace {
  const [, bucket, prefix = ""] = /^s3:\/\/([^/]*)(?:\/(.*))?$/s.exec(input) ?? [];
  if (bucket === undefined || !BUCKET.test(bucket)) {
    throw new SluiceError(
      "E_USAGE",
      `Expected s3://bucket/prefix/ with a bucket's name (3 to 63 of a-z, 0-9, "." and "-"), found ${input}. A path is written ./${input}.`,
    );
  }
  return { bucket, prefix: prefix === "" || prefix.endsWith("/") ? prefix : `${prefix}/` };
}
