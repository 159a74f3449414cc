import http from "node:http";
import { S3Error, type BucketItemStat } from "minio";
import { SluiceError } from "../../../schemas/errors.js";
import { RetryWait } from "../../bounded-retry.js";
import type { ListedObject } from "../../source/source.js";
import type { S3Bucket } from "./bucket.js";
import { s3Code } from "./errors.js";
import type { StoredObject } from "../store.js";
import { pageQuery, parsePage } from "./listing.js";

/**
 * Bytes [start, end) of an object, or to its end. Where the connection breaks, goes on where it was if that is still the
 * same object. Throws E_STORE_MISSING, and E_STORE_IO with the cause's code `InvalidRange` where it has no byte there.
 * `onLength` hears once how many bytes will come, before they do (NaN: the server does not say); what it throws ends the reading.
 */
export async function* readObject(
  bucket: S3Bucket,
  key: string,
  start: number,
  end: number | null,
  onLength?: (sizeBytes: number) => void,
): AsyncGenerator<Uint8Array> {
  const wait = new RetryWait(bucket.policy(), `read ${key} in ${bucket.place}`);
  let position = start;
  let limit = end;
  let etag: string | null = null;
  let isLengthKnown = false;
  let isTold = true;
  for (;;) {
    try {
      const length = limit === null ? 0 : limit - position;
      const response = await bucket.client.getPartialObject(bucket.bucket, bucket.name(key), position, length);
      if (!(response instanceof http.IncomingMessage)) throw new Error("the client's stream is no HTTP response");
      const { headers } = response;
      if (etag !== null && headers.etag !== etag) {
        response.destroy();
        throw new SluiceError(
          "E_STORE_IO",
          `Expected ${key} in ${bucket.place} to stay as it is while it is read, found it replaced. Read it again.`,
        );
      }
      etag = headers.etag ?? null;
      try {
        assertRange(response, position, `${key} in ${bucket.place}`);
        const told = headers["content-length"];
        // Without a length it ends where the answer does.
        isTold = told !== undefined;
        if (told !== undefined) limit = position + Number(told);
        if (!isLengthKnown) {
          isLengthKnown = true;
          onLength?.(told === undefined ? Number.NaN : Number(told));
        }
      } catch (error) {
        response.destroy();
        throw error;
      }
      for await (const chunk of response as AsyncIterable<Buffer>) {
        position += chunk.length;
        wait.progress();
        yield chunk;
      }
      if (isTold ? position === limit : response.complete) {
        wait.progress();
        return;
      }
      throw new SluiceError("E_STORE_IO", `Expected ${key} in ${bucket.place} to go on, found it cut short.`, {
        retryable: true,
      });
    } catch (error) {
      await wait.afterFailure(bucket.failure(error, "read", key));
    }
  }
}

/** What a HEAD answers without a body, so that nobody knows why: keys that are over, a clock that is wrong, another region */
const UNSAID: ReadonlySet<string> = new Set(["", "AccessDenied", "MovedPermanently"]);

/** An object's size and metadata, by HEAD. A refusal, which has no words, is asked for by a listing of the same key. Throws the client's error. */
export async function stat(bucket: S3Bucket, key: string): Promise<BucketItemStat> {
  try {
    return await bucket.client.statObject(bucket.bucket, bucket.name(key));
  } catch (error) {
    if (error instanceof S3Error && UNSAID.has(s3Code(error))) await page(bucket, key, "");
    throw error;
  }
}

/** A server that sends all of an object where a part of it was asked for would have its bytes taken twice. Throws E_STORE_IO. */
function assertRange({ statusCode, headers }: http.IncomingMessage, start: number, what: string): void {
  const found = /^bytes (\d+)-/.exec(headers["content-range"] ?? "")?.[1];
  if (start === 0 && found === undefined) return;
  if (found !== undefined && Number(found) === start) return;
  throw new SluiceError(
    "E_STORE_IO",
    `Expected ${what} from byte ${start} on (Range), found status ${statusCode ?? 0} from byte ${found ?? 0} on. Use a store that answers ranges (Amazon S3, MinIO, versitygw).`,
  );
}

export async function gather(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

/** The objects whose key starts with `prefix` and lies behind `from`, a page of 1,000 at a time, each asked for when it is needed. */
export async function* listObjects(bucket: S3Bucket, prefix: string, from = ""): AsyncGenerator<StoredObject> {
  for await (const objects of objectPages(bucket, prefix, from)) {
    for (const { key, sizeBytes } of objects) {
      // A gateway over folders lists those that somebody made by hand as empty objects.
      if (!key.endsWith("/")) yield { key, sizeBytes };
    }
  }
}

/** The same as pages, of what sorts after `from` ("": of everything), in the order of the keys' UTF-8 bytes. */
export async function* objectPages(
  bucket: S3Bucket,
  prefix: string,
  from: string,
): AsyncGenerator<readonly ListedObject[]> {
  let after = from === "" ? "" : bucket.name(from);
  for (;;) {
    const { objects, truncated } = await bucket.retrying("list", prefix, () => page(bucket, prefix, after));
    for (const { key } of objects) {
      if (Buffer.compare(Buffer.from(key), Buffer.from(after)) <= 0) throw outOfOrder(key, after, bucket.place);
      after = key;
    }
    yield objects.map((object) => ({ ...object, key: object.key.slice(bucket.prefix.length) }));
    if (!truncated || objects.length === 0) return;
  }
}

/** `after`: S3's name of the last object of the page before, or "". */
export async function page(
  bucket: S3Bucket,
  prefix: string,
  after: string,
): Promise<{ objects: ListedObject[]; truncated: boolean }> {
  const response = await bucket.client.makeRequestAsync({
    method: "GET",
    bucketName: bucket.bucket,
    query: pageQuery(bucket.name(prefix), after),
  });
  return parsePage(Buffer.from(await gather(response as AsyncIterable<Buffer>)).toString());
}

function outOfOrder(key: string, after: string, place: string): SluiceError {
  return new SluiceError(
    "E_STORE_IO",
    `Expected ${place} to list keys in ascending order, found ${key} after ${after}. Use a store that does (Amazon S3, MinIO, versitygw).`,
    { key },
  );
}
