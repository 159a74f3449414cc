import { InvalidBucketNameError, InvalidObjectNameError } from "minio";
import { messageOf, SluiceError } from "../../../schemas/errors.js";
import type { ImageBuckets, ListedObject } from "../../source/source.js";
import { S3Bucket, type S3BucketOptions } from "./bucket.js";
import { s3Code } from "./errors.js";
import { objectPages, page, readObject } from "./read.js";

export interface ImageBucketsOptions extends Omit<S3BucketOptions, "bucket" | "prefix"> {
  /** As `patienceMs`, for the first look at a bucket: a wrong address is said soon, ms. Default 5,000. */
  readonly openPatienceMs?: number;
}

/** Buckets whose connections are kept: uris come from anybody, and may name any number of buckets. */
const KEPT_AT_MOST = 16;

/** The buckets of one object store, read with one pair of keys. Nothing is asked of it before it is needed; idle connections keep no process alive. */
export function imageBuckets(options: ImageBucketsOptions): ImageBuckets {
  const { openPatienceMs = 5_000, ...account } = options;
  const kept = new Map<string, S3Bucket>();
  const named = (name: string): S3Bucket => {
    const bucket = kept.get(name) ?? new S3Bucket({ ...account, bucket: name });
    // The last asked for is the last to go. One that goes is not closed: it may still be read from.
    kept.delete(name);
    kept.set(name, bucket);
    for (const oldest of kept.keys()) {
      if (kept.size <= KEPT_AT_MOST) break;
      kept.delete(oldest);
    }
    return bucket;
  };

  return {
    async hasAny(name, prefix) {
      const bucket = named(name);
      try {
        const { objects } = await bucket.retrying("open", "", () => page(bucket, prefix, ""), openPatienceMs);
        return objects.length > 0;
      } catch (error) {
        throw sourceFailure(error, bucket);
      }
    },
    async *pages(name, prefix, after): AsyncGenerator<readonly ListedObject[]> {
      const bucket = named(name);
      try {
        yield* objectPages(bucket, prefix, after);
      } catch (error) {
        throw sourceFailure(error, bucket);
      }
    },
    async read(name, key, room) {
      const bucket = named(name);
      const taken: { bytes: Uint8Array; at: number } = { bytes: new Uint8Array(0), at: 0 };
      const makeRoom = (sizeBytes: number): void => {
        if (!Number.isSafeInteger(sizeBytes)) throw withoutLength(name, key);
        taken.bytes = room(sizeBytes);
      };
      try {
        for await (const chunk of readObject(bucket, key, 0, null, makeRoom)) {
          taken.bytes.set(chunk, taken.at);
          taken.at += chunk.length;
        }
        return taken.bytes;
      } catch (error) {
        throw imageFailure(error, `s3://${name}/${key}`);
      }
    },
  };
}

/** What a failure of the store says about the source. */
function sourceFailure(error: unknown, { place }: S3Bucket): unknown {
  if (!(error instanceof SluiceError)) return error;
  if (error.code === "E_STORE_BUCKET") {
    return new SluiceError(
      "E_SOURCE_MISSING",
      `Expected a bucket of images at ${place}, found none. Check its name, and s3.endpoint.`,
      { cause: error },
    );
  }
  if (!error.code.startsWith("E_STORE_")) return error;
  return new SluiceError("E_SOURCE_READ", error.message, { cause: error, retryable: error.retryable });
}

/** Of the whole store, whatever S3 answers with them about an image. */
const NOT_THE_IMAGES: ReadonlySet<string> = new Set(["PermanentRedirect", "TemporaryRedirect", "NotImplemented"]);

/**
 * What a failure says about the image. Only what is certain to be of this one object alone costs it: wrong keys, a wrong
 * clock or an outage must not send every image to the quarantine.
 */
function imageFailure(error: unknown, at: string): unknown {
  if (!(error instanceof SluiceError) || !error.code.startsWith("E_STORE_")) return error;
  if (error.code === "E_STORE_MISSING" || error.code === "E_STORE_BUCKET") {
    return new SluiceError(
      "E_IMAGE_VANISHED",
      `Expected the image that was listed, found nothing: ${at}. Put it back, then \`sluice quarantine retry\`.`,
      { cause: error },
    );
  }
  const code = s3Code(error.cause);
  const isDenied = code === "AccessDenied";
  const isRefused = error.code === "E_STORE_IO" && !error.retryable && code !== "" && !NOT_THE_IMAGES.has(code);
  const isNoName = error.cause instanceof InvalidBucketNameError || error.cause instanceof InvalidObjectNameError;
  if (!isDenied && !isRefused && !isNoName) {
    return new SluiceError("E_SOURCE_READ", error.message, { cause: error, retryable: error.retryable });
  }
  return new SluiceError(
    "E_IMAGE_UNREADABLE",
    `Expected a readable object, found ${code === "" ? messageOf(error.cause) : code}: ${at}. ` +
      (isDenied
        ? "Give the access key (s3.accessKey) permission to read it, then `sluice quarantine retry`."
        : "Mend it, then `sluice quarantine retry`."),
    { cause: error },
  );
}

function withoutLength(bucket: string, key: string): SluiceError {
  return new SluiceError(
    "E_STORE_IO",
    `Expected the server to say how long s3://${bucket}/${key} is, found no content-length. Use a store that says it (Amazon S3, MinIO, versitygw).`,
  );
}
