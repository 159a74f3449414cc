import { createHash, randomUUID } from "node:crypto";
import http from "node:http";
import https from "node:https";
import { Client } from "minio";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import { RetryWait, withRetries, type RetryEvent, type RetryPolicy } from "../bounded-retry.js";
import { missing } from "./file-errors.js";
import { checkKey, checkPrefix } from "./object-key.js";
import { isNotFound, isPreconditionFailed, s3Code, s3Failure, type StoreAction } from "./s3-errors.js";
import { pageQuery, parsePage } from "./s3-listing.js";
import { probeConditionalWrites } from "./s3-probe.js";
import { s3Transport } from "./s3-transport.js";
import { uploadStream, type UploadRequests } from "./s3-upload.js";
import type { Store, StoredObject, WrittenObject } from "./store.js";

export interface MinioStoreOptions {
  /** Host name, without scheme */
  readonly endPoint: string;
  readonly port: number;
  readonly useSSL: boolean;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken?: string;
  readonly bucket: string;
  /** Every key lies below it, for example "team/sluice". Default: none. */
  readonly prefix?: string;
  /** Default: asked of the store. */
  readonly region?: string;
  /** How long a call goes on trying while the store is away, slow or busy, ms. Default 120,000: a restart of the store. */
  readonly patienceMs?: number;
  /** The same for opening, so that a wrong address is said soon, ms. Default 5,000. */
  readonly openPatienceMs?: number;
  /** A request fails, and is tried again, when the store says nothing for this long, ms. Default 30,000. */
  readonly stallMs?: number;
  /** Connections at a time; more requests wait. Default 32. */
  readonly connections?: number;
  /** Of streams longer than this, parts of this size are sent, two at a time. At least 5 MiB; default 16 MiB. */
  readonly partBytes?: number;
  /** How long a URL of `locate` holds, s. At most 7 days; default 1 day. */
  readonly locateSeconds?: number;
  /** Hears of every wait for a store that failed. */
  readonly onRetry?: (event: RetryEvent) => void;
}

/** Beyond the contract: what only an object store needs. */
export interface MinioStore extends Store {
  /**
   * Whether the bucket enforces create-if-absent, found out by a race, once. Every commit point waits for it; a process
   * that will publish calls it at its start, to say so then. Throws E_STORE_CONDITIONAL.
   */
  probeConditionalWrites(): Promise<void>;
}

/** The name of the writer's id among an object's metadata */
const ATTEMPT = "x-amz-meta-sluice-attempt";
/** The greatest object that one PUT may write: every PUT of bytes is a single, atomic one. */
const LARGEST_PUT = 5 * 1024 ** 3;

/**
 * Opens a bucket of an S3-compatible store. Throws E_STORE_BUCKET, E_STORE_ACCESS, or E_STORE_IO where nothing answers
 * within `openPatienceMs`.
 */
export async function openMinioStore(options: MinioStoreOptions): Promise<MinioStore> {
  const store = new MinioObjectStore(options);
  try {
    await store.open();
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
}

class MinioObjectStore implements MinioStore {
  readonly place: string;
  readonly #options: MinioStoreOptions;
  readonly #agent: http.Agent;
  readonly #client: Client;
  readonly #prefix: string;
  readonly #closed = new AbortController();
  #probed: Promise<void> | null = null;

  constructor(options: MinioStoreOptions) {
    const { endPoint, port, useSSL, bucket, connections = 32, stallMs = 30_000 } = options;
    this.#options = options;
    this.#prefix = (options.prefix ?? "")
      .split("/")
      .filter(Boolean)
      .map((segment) => `${segment}/`)
      .join("");
    checkPrefix(this.#prefix);
    this.place = `${useSSL ? "https" : "http"}://${endPoint}:${port}/${bucket}/${this.#prefix}`;
    const pool = { keepAlive: true, maxSockets: connections };
    this.#agent = useSSL ? new https.Agent(pool) : new http.Agent(pool);
    this.#client = new Client({
      endPoint,
      port,
      useSSL,
      accessKey: options.accessKey,
      secretKey: options.secretKey,
      ...(options.sessionToken === undefined ? {} : { sessionToken: options.sessionToken }),
      ...(options.region === undefined ? {} : { region: options.region }),
      partSize: LARGEST_PUT,
      transport: s3Transport(useSSL, this.#agent, stallMs),
      retryOptions: { disableRetry: true },
    });
  }

  /** By listing: unlike a HEAD, its refusal says why. */
  async open(): Promise<void> {
    await this.#retrying("open", "", () => this.#page(this.#prefix, ""), this.#options.openPatienceMs ?? 5_000);
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
    const prefix = `probe-conditional/${randomUUID()}/`;
    const put = async (key: string, bytes: Buffer): Promise<"created" | "exists" | "unknown"> => {
      try {
        await this.#client.putObject(this.#options.bucket, this.#name(key), bytes, bytes.length, {
          "If-None-Match": "*",
        });
        return "created";
      } catch (error) {
        if (isPreconditionFailed(error) || s3Code(error) === "ConditionalRequestConflict") return "exists";
        const failure = s3Failure(error, "write", key, this.place);
        if (failure.retryable) return "unknown";
        throw failure;
      }
    };
    // Something answers: the rest of the probe asks without retries.
    await this.open();
    try {
      await probeConditionalWrites(prefix, this.place, put);
    } finally {
      await this.#clear(prefix).catch(() => undefined);
    }
  }

  async #clear(prefix: string): Promise<void> {
    for await (const { key } of this.list(prefix)) await this.delete(key);
  }

  async putIfAbsent(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    checkKey(key);
    await this.probeConditionalWrites();
    const attempt = randomUUID();
    const body = asBuffer(bytes);
    return this.#retrying("write", key, async () => {
      try {
        await this.#putOnce(key, body, attempt, { "If-None-Match": "*" });
        return "created";
      } catch (error) {
        if (!isPreconditionFailed(error)) throw error;
        // An earlier request of this call may have been done, and only its answer lost.
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
    await this.#retrying("write", key, () => this.#putOnce(key, body, attempt, {}));
  }

  /** A PUT whose ETag is the MD5 of what was sent has stored that; where ETags are something else, the object is read back. */
  async #putOnce(key: string, body: Buffer, attempt: string, conditions: Record<string, string>): Promise<void> {
    const { etag } = await this.#client.putObject(this.#options.bucket, this.#name(key), body, body.length, {
      ...conditions,
      [ATTEMPT]: attempt,
    });
    if (etag !== md5(body).toString("hex")) await this.#readBack(key, body, attempt);
  }

  /** The attempt that wrote the object, or null where there is no object or it names none. */
  async #writer(key: string): Promise<string | null> {
    try {
      const { metaData } = await this.#client.statObject(this.#options.bucket, this.#name(key));
      const id: unknown = (metaData as Record<string, unknown>)[ATTEMPT.slice("x-amz-meta-".length)];
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
    return uploadStream(this.#upload(key), chunks, { partBytes, width: 2, place: `${this.place}${key}` });
  }

  #upload(key: string): UploadRequests {
    const { bucket, useSSL } = this.#options;
    const name = this.#name(key);
    const attempt = randomUUID();
    const sums: Buffer[] = [];
    return {
      put: (bytes) => this.#retrying("write", key, () => this.#putOnce(key, bytes, attempt, {})),
      begin: () =>
        this.#retrying("write", key, () =>
          this.#client.initiateNewMultipartUpload(bucket, name, { [ATTEMPT]: attempt }),
        ),
      part: async (uploadID, partNumber, bytes) => {
        const sum = md5(bytes);
        sums[partNumber - 1] = sum;
        // Over TLS the signature does not cover the bytes.
        const headers = useSSL ? { "Content-MD5": sum.toString("base64") } : {};
        const part = { bucketName: bucket, objectName: name, uploadID, partNumber, headers };
        return this.#retrying("write", key, async () => (await this.#client.uploadPart(part, bytes)).etag);
      },
      complete: async (uploadId, parts, written) => {
        const etags = parts.map(({ part, etag }) => ({ part, etag }));
        const expected = `${md5(Buffer.concat(sums)).toString("hex")}-${parts.length}`;
        await this.#retrying("write", key, async () => {
          let etag = "";
          try {
            ({ etag } = await this.#client.completeMultipartUpload(bucket, name, uploadId, etags));
          } catch (error) {
            // Completed by an earlier request of this call, whose answer was lost.
            if (s3Code(error) !== "NoSuchUpload" || (await this.#writer(key)) !== attempt) throw error;
          }
          await this.#verify(key, written, etag === expected);
        });
      },
      abandon: (uploadId) => this.#client.abortMultipartUpload(bucket, name, uploadId).catch(() => undefined),
    };
  }

  /** Checks size and, unless the ETag has already proved it, the digest of an object. Throws E_STORE_CORRUPT. */
  async #verify(key: string, { sizeBytes, sha256 }: WrittenObject, proved: boolean): Promise<void> {
    const found = (await this.head(key))?.sizeBytes ?? 0;
    if (found === sizeBytes && proved) return;
    const hash = createHash("sha256");
    for await (const chunk of this.getStream(key)) hash.update(chunk);
    if (found !== sizeBytes || hash.digest("hex") !== sha256) throw corrupt(key, this.place, sizeBytes, found);
  }

  async get(key: string): Promise<Uint8Array> {
    return gather(this.#read(key, 0, null));
  }

  async getRange(key: string, start: number, end: number): Promise<Uint8Array> {
    checkKey(key);
    if (end > start) {
      try {
        return await gather(this.#read(key, start, end));
      } catch (error) {
        if (!(error instanceof SluiceError) || s3Code(error.cause) !== "InvalidRange") throw error;
      }
    }
    if ((await this.head(key)) === null) throw missing(key, this.place);
    return new Uint8Array(0);
  }

  getStream(key: string): AsyncIterable<Uint8Array> {
    return this.#read(key, 0, null);
  }

  /** Bytes [start, end), or to the object's end; goes on where it was when the connection breaks, if it is the same object. */
  async *#read(key: string, start: number, end: number | null): AsyncGenerator<Uint8Array> {
    checkKey(key);
    const wait = new RetryWait(this.#policy(), `read ${key} in ${this.place}`);
    let position = start;
    let limit = end;
    let etag: string | null = null;
    for (;;) {
      try {
        const length = limit === null ? 0 : limit - position;
        const response = await this.#client.getPartialObject(this.#options.bucket, this.#name(key), position, length);
        if (!(response instanceof http.IncomingMessage)) throw new Error("the client's stream is no HTTP response");
        const { headers } = response;
        if (etag !== null && headers.etag !== etag) {
          response.destroy();
          throw new SluiceError(
            "E_STORE_IO",
            `Expected ${key} in ${this.place} to stay while it is read, found it replaced.`,
          );
        }
        etag = headers.etag ?? null;
        limit = position + Number(headers["content-length"]);
        if (position < limit) {
          for await (const chunk of response as AsyncIterable<Buffer>) {
            position += chunk.length;
            wait.progress();
            yield chunk;
          }
        } else response.resume();
        if (position === limit) return;
        throw new SluiceError("E_STORE_IO", `Expected ${limit} bytes of ${key} in ${this.place}, found ${position}.`, {
          retryable: true,
        });
      } catch (error) {
        await wait.afterFailure(s3Failure(error, "read", key, this.place));
      }
    }
  }

  async head(key: string): Promise<StoredObject | null> {
    checkKey(key);
    return this.#retrying("read", key, async () => {
      try {
        const { size } = await this.#client.statObject(this.#options.bucket, this.#name(key));
        return { key, sizeBytes: size };
      } catch (error) {
        if (isNotFound(error)) return null;
        throw error;
      }
    });
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    checkPrefix(prefix);
    let after = "";
    for (;;) {
      const { objects, truncated } = await this.#retrying("list", prefix, () => this.#page(this.#name(prefix), after));
      for (const { key, sizeBytes } of objects) {
        if (key <= after) throw outOfOrder(key, after, this.place);
        after = key;
        // A gateway over folders lists those that somebody made by hand as empty objects.
        if (!key.endsWith("/")) yield { key: key.slice(this.#prefix.length), sizeBytes };
      }
      if (!truncated || objects.length === 0) return;
    }
  }

  async #page(prefix: string, after: string): Promise<{ objects: StoredObject[]; truncated: boolean }> {
    const { bucket } = this.#options;
    const query = pageQuery(prefix, after);
    const response = await this.#client.makeRequestAsync({ method: "GET", bucketName: bucket, query });
    return parsePage(Buffer.from(await gather(response as AsyncIterable<Buffer>)).toString());
  }

  async delete(key: string): Promise<void> {
    checkKey(key);
    await this.#retrying("delete", key, async () => {
      try {
        await this.#client.removeObject(this.#options.bucket, this.#name(key));
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    });
  }

  /** A URL signed for `locateSeconds`. Throws E_STORE_MISSING. */
  async locate(key: string): Promise<string> {
    if ((await this.head(key)) === null) throw missing(key, this.place);
    const { bucket, locateSeconds = 24 * 3600 } = this.#options;
    return this.#retrying("read", key, () => this.#client.presignedGetObject(bucket, this.#name(key), locateSeconds));
  }

  /** Ends what waits for a store that is away, and every connection. */
  async close(): Promise<void> {
    this.#closed.abort();
    this.#agent.destroy();
  }

  #name(key: string): string {
    return this.#prefix + key;
  }

  async #retrying<T>(action: StoreAction, key: string, attempt: () => Promise<T>, patienceMs?: number): Promise<T> {
    const policy = { ...this.#policy(), ...(patienceMs === undefined ? {} : { patienceMs }) };
    return withRetries(policy, `${action} ${key} in ${this.place}`, async () => {
      try {
        return await attempt();
      } catch (error) {
        throw s3Failure(error, action, key, this.place);
      }
    });
  }

  #policy(): RetryPolicy {
    if (this.#closed.signal.aborted)
      throw new SluiceError("E_STORE_IO", `Expected ${this.place} to be open, found it closed.`);
    const { patienceMs = 120_000, onRetry } = this.#options;
    return {
      patienceMs,
      firstDelayMs: 50,
      greatestDelayMs: 2_000,
      ...(onRetry === undefined ? {} : { onRetry }),
      signal: this.#closed.signal,
    };
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function md5(bytes: Uint8Array): Buffer {
  return createHash("md5").update(bytes).digest();
}

async function gather(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

function corrupt(key: string, place: string, expectedBytes: number, foundBytes: number): SluiceError {
  return new SluiceError(
    "E_STORE_CORRUPT",
    `Expected the ${expectedBytes} bytes written to ${key} in ${place}, found others (${foundBytes} bytes). Write it again.`,
    { key },
  );
}

function outOfOrder(key: string, after: string, place: string): SluiceError {
  return new SluiceError(
    "E_STORE_IO",
    `Expected ${place} to list keys in ascending order, found ${key} after ${after}. Use a store that does (S3, MinIO, versitygw).`,
    { key },
  );
}
