import { createHash, randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { crc32 } from "node:zlib";
import { isSluiceError, SluiceError } from "../../../schemas/errors.js";
import { openScratch } from "../filesystem/disk-scratch.js";
import { missing } from "../filesystem/file-errors.js";
import { checkKey, checkPrefix } from "../object-key.js";
import { checksBodies } from "./body-check.js";
import { S3Bucket, type S3BucketOptions } from "./bucket.js";
import { isNotFound, isPreconditionFailed, s3Code } from "./errors.js";
import { keepsOld, purgeOld } from "./old-versions.js";
import { probeConditionalWrites } from "./probe.js";
import { gather, listObjects, page, readObject, stat } from "./read.js";
import { uploadStream, type SentObject, type UploadRequests } from "./upload.js";
import type { ListOptions, Scratch, Store, StoredObject, WrittenObject } from "../store.js";

export interface MinioStoreOptions extends S3BucketOptions {
  /** As `patienceMs`, for opening: a wrong address is said soon, ms. Default 5,000. */
  readonly openPatienceMs?: number;
  /**
   * Whether a race finds out, before the first commit, that the bucket enforces create-if-absent (about 150 small
   * requests), or that is known of it. Default: probe.
   */
  readonly conditionalWrites?: "probe" | "trusted";
  /** Of streams longer than this, parts of this size are sent, two at a time. At least 5 MiB; default 16 MiB. */
  readonly partBytes?: number;
  /** How long a URL of `locate` holds, s. At most 7 days; default 1 day. */
  readonly locateSeconds?: number;
}

/** Beyond the contract: what only an object store needs. */
export interface MinioStore extends Store {
  /**
   * Whether the bucket enforces create-if-absent, found out by a race, once. Every commit point waits for it; a process
   * that will publish calls it at its start, to say so then. Throws E_STORE_CONDITIONAL.
   */
  probeConditionalWrites(): Promise<void>;
}

/** The writer's id among an object's metadata, and its header */
const ATTEMPT = "sluice-attempt";
const ATTEMPT_HEADER = `x-amz-meta-${ATTEMPT}`;

/**
 * Opens a bucket of an S3-compatible store. Throws E_STORE_BUCKET, E_STORE_ACCESS, or E_STORE_IO where nothing answers
 * within `openPatienceMs`.
 */
export async function openMinioStore(options: MinioStoreOptions): Promise<MinioStore> {
  const bucket = new S3Bucket(options);
  try {
    await open(bucket, options.openPatienceMs ?? 5_000);
  } catch (error) {
    bucket.close();
    throw error;
  }
  return new BucketStore(bucket, options);
}

/** By listing: unlike a HEAD, its refusal says why. */
async function open(bucket: S3Bucket, patienceMs: number): Promise<void> {
  await bucket.retrying("open", "", () => page(bucket, "", ""), patienceMs);
}

class BucketStore implements MinioStore {
  readonly place: string;
  readonly #bucket: S3Bucket;
  readonly #options: MinioStoreOptions;
  #probed: Promise<void> | null = null;
  #isBodyChecked: Promise<boolean> | null = null;

  constructor(bucket: S3Bucket, options: MinioStoreOptions) {
    this.#bucket = bucket;
    this.#options = options;
    this.place = bucket.place;
  }

  async probeConditionalWrites(): Promise<void> {
    this.#probed ??= this.#probe().catch((error: unknown) => {
      // An outage says nothing about the bucket: ask again another time.
      if (!isSluiceError(error, "E_STORE_CONDITIONAL")) this.#probed = null;
      throw error;
    });
    await this.#probed;
  }

  async #probe(): Promise<void> {
    const { client, bucket } = this.#bucket;
    const prefix = `probe-conditional/${randomUUID()}/`;
    const put = async (key: string, bytes: Buffer): Promise<"created" | "exists" | "unknown"> => {
      try {
        await client.putObject(bucket, this.#bucket.name(key), bytes, bytes.length, {
          ...this.#bucket.encryption,
          "If-None-Match": "*",
        });
        return "created";
      } catch (error) {
        if (isPreconditionFailed(error) || s3Code(error) === "ConditionalRequestConflict") return "exists";
        if (["NotImplemented", "MethodNotAllowed"].includes(s3Code(error))) {
          throw new SluiceError(
            "E_STORE_CONDITIONAL",
            `Expected ${this.place} to know "If-None-Match: *", found ${s3Code(error)}: nothing can be committed there safely.`,
            { cause: error },
          );
        }
        const failure = this.#bucket.failure(error, "write", key);
        if (failure.retryable) return "unknown";
        throw failure;
      }
    };
    try {
      await probeConditionalWrites(prefix, this.place, put, () => open(this.#bucket, this.#bucket.policy().patienceMs));
    } finally {
      // What is left of the probe is in nobody's way.
      await Promise.allSettled([this.#clear(prefix)]);
    }
  }

  async #clear(prefix: string): Promise<void> {
    for await (const { key } of this.list(prefix)) await this.delete(key);
  }

  /**
   * Whether a stream's bytes need no checksum beside their request's signature. Over TLS the signature leaves them out. Otherwise each byte
   * would be hashed once more to no end, and streams are nearly all that is written.
   */
  async #signatureTells(): Promise<boolean> {
    if (this.#options.useSSL) return false;
    this.#isBodyChecked ??= checksBodies(this.#bucket, `probe-body-${randomUUID()}`);
    try {
      return await this.#isBodyChecked;
    } catch (error) {
      // An outage says nothing about the store: ask again another time.
      this.#isBodyChecked = null;
      throw error;
    }
  }

  keepsOld(): Promise<"no" | "versions" | "locked"> {
    return keepsOld(this.#bucket);
  }

  purgeOld(prefixes: readonly string[]): Promise<number> {
    return purgeOld(this.#bucket, prefixes);
  }

  async putIfAbsent(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    checkKey(key);
    if (this.#options.conditionalWrites !== "trusted") await this.probeConditionalWrites();
    const attempt = randomUUID();
    const body = asBuffer(bytes);
    return this.#bucket.retrying("write", key, async () => {
      try {
        await this.#putOnce(key, body, attempt, { "If-None-Match": "*" });
        return "created";
      } catch (error) {
        if (!isPreconditionFailed(error)) throw error;
        // An earlier request of this call may have been carried out, and only its answer lost.
        if ((await this.#writer(key)) !== attempt) return "exists";
        await this.#readBack(key, body, attempt);
        return "created";
      }
    });
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    checkKey(key);
    const attempt = randomUUID();
    const body = asBuffer(bytes);
    await this.#bucket.retrying("write", key, () => this.#putOnce(key, body, attempt, {}));
  }

  /** A PUT whose ETag is the MD5 of what was sent has stored that; where ETags are something else, the object is read back. */
  async #putOnce(key: string, body: Buffer, attempt: string, conditions: Record<string, string>): Promise<void> {
    const { client, bucket } = this.#bucket;
    const headers = { ...this.#bucket.encryption, ...conditions, [ATTEMPT_HEADER]: attempt };
    const { etag } = await client.putObject(bucket, this.#bucket.name(key), body, body.length, headers);
    if (etag !== md5(body).toString("hex")) await this.#readBack(key, body, attempt);
  }

  /** The attempt that wrote the object, or null where there is no object or it names none. */
  async #writer(key: string): Promise<string | null> {
    try {
      const { metaData } = await stat(this.#bucket, key);
      const id: unknown = (metaData as Record<string, unknown>)[ATTEMPT];
      return typeof id === "string" ? id : null;
    } catch (error) {
      if (isNotFound(error)) return null;
      throw error;
    }
  }

  /** Throws E_STORE_CORRUPT where the object is of this attempt and not what was sent. */
  async #readBack(key: string, body: Buffer, attempt: string): Promise<void> {
    const stored = await this.get(key);
    if (body.equals(stored) || (await this.#writer(key)) !== attempt) return;
    throw corrupt(key, this.place, body.length, stored.length);
  }

  async putStream(key: string, chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<WrittenObject> {
    checkKey(key);
    const { partBytes = 16 * 1024 * 1024 } = this.#options;
    return uploadStream(this.#upload(key), chunks, { partBytes, width: 2, place: `${this.place}/${key}` });
  }

  #upload(key: string): UploadRequests {
    const { client, bucket } = this.#bucket;
    const name = this.#bucket.name(key);
    const attempt = randomUUID();
    const sums: string[] = [];
    const writing = <T>(request: () => Promise<T>): Promise<T> => this.#bucket.retrying("write", key, request);
    return {
      put: async (bytes) => {
        const isSigned = await this.#signatureTells();
        const headers = { ...this.#bucket.encryption, [ATTEMPT_HEADER]: attempt };
        return writing(async () => {
          if (!isSigned) return this.#putOnce(key, bytes, attempt, {});
          const request = { method: "PUT", bucketName: bucket, objectName: name, headers };
          (await client.makeRequestAsync(request, bytes)).resume();
        });
      },
      begin: () =>
        writing(() =>
          client.initiateNewMultipartUpload(bucket, name, { ...this.#bucket.encryption, [ATTEMPT_HEADER]: attempt }),
        ),
      part: async (uploadID, partNumber, bytes) => {
        const sum = (await this.#signatureTells()) ? null : md5(bytes);
        const headers = sum === null ? {} : { "Content-MD5": sum.toString("base64") };
        const part = { bucketName: bucket, objectName: name, uploadID, partNumber, headers };
        const { etag } = await writing(() => client.uploadPart(part, bytes));
        sums[partNumber - 1] = sum?.toString("hex") ?? etag;
        return etag;
      },
      complete: async (uploadId, parts, sent) => {
        const expected = `${md5(Buffer.from(sums.join(""), "hex")).toString("hex")}-${parts.length}`;
        await writing(async () => {
          let etag = "";
          try {
            ({ etag } = await client.completeMultipartUpload(bucket, name, uploadId, [...parts]));
          } catch (error) {
            // Completed by an earlier request of this call, whose answer was lost.
            if (s3Code(error) !== "NoSuchUpload" || (await this.#writer(key)) !== attempt) throw error;
          }
          await this.#verify(key, sent, etag === expected);
        });
      },
      // What failed before is what the caller must be told; a bucket's own rules remove the parts that stay.
      abandon: async (uploadId) => {
        await Promise.allSettled([client.abortMultipartUpload(bucket, name, uploadId)]);
      },
    };
  }

  /** Checks an object's size and, unless its ETag has proved them, its bytes. Throws E_STORE_CORRUPT. */
  async #verify(key: string, { sizeBytes, crc32: written }: SentObject, proved: boolean): Promise<void> {
    const found = (await this.head(key))?.sizeBytes ?? 0;
    if (found === sizeBytes && proved) return;
    let crc = 0;
    for await (const chunk of this.getStream(key)) crc = crc32(chunk, crc);
    if (found !== sizeBytes || crc !== written) throw corrupt(key, this.place, sizeBytes, found);
  }

  async get(key: string): Promise<Uint8Array> {
    return gather(this.getStream(key));
  }

  async getRange(key: string, start: number, end: number): Promise<Uint8Array> {
    checkKey(key);
    if (end > start) {
      try {
        return await gather(readObject(this.#bucket, key, start, end));
      } catch (error) {
        if (!(error instanceof SluiceError) || s3Code(error.cause) !== "InvalidRange") throw error;
      }
    }
    if ((await this.head(key)) === null) throw missing(key, this.place);
    return new Uint8Array(0);
  }

  async *getStream(key: string): AsyncGenerator<Uint8Array> {
    checkKey(key);
    yield* readObject(this.#bucket, key, 0, null);
  }

  async head(key: string): Promise<StoredObject | null> {
    checkKey(key);
    return this.#bucket.retrying("read", key, async () => {
      try {
        const { size } = await stat(this.#bucket, key);
        return { key, sizeBytes: size };
      } catch (error) {
        if (isNotFound(error)) return null;
        throw error;
      }
    });
  }

  async *list(prefix: string, { after = "" }: ListOptions = {}): AsyncGenerator<StoredObject> {
    checkPrefix(prefix);
    yield* listObjects(this.#bucket, prefix, after);
  }

  async delete(key: string): Promise<void> {
    checkKey(key);
    await this.#bucket.retrying("delete", key, async () => {
      try {
        await this.#bucket.client.removeObject(this.#bucket.bucket, this.#bucket.name(key));
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    });
  }

  /** A URL signed for `locateSeconds`. Throws E_STORE_MISSING. */
  async locate(key: string): Promise<string> {
    if ((await this.head(key)) === null) throw missing(key, this.place);
    const { client, bucket } = this.#bucket;
    const { locateSeconds = 24 * 3600 } = this.#options;
    return this.#bucket.retrying("read", key, () =>
      client.presignedGetObject(bucket, this.#bucket.name(key), locateSeconds),
    );
  }

  scratch(): Promise<Scratch> {
    return openScratch(tmpdir());
  }

  async close(): Promise<void> {
    this.#bucket.close();
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function md5(bytes: Uint8Array): Buffer {
  return createHash("md5").update(bytes).digest();
}

function corrupt(key: string, place: string, expectedBytes: number, foundBytes: number): SluiceError {
  return new SluiceError(
    "E_STORE_CORRUPT",
    `Expected the ${expectedBytes} bytes written to ${key} in ${place}, found others (${foundBytes} bytes). Write it again.`,
    { key },
  );
}
