import { setMaxListeners } from "node:events";
import http from "node:http";
import https from "node:https";
import { Client } from "minio";
import { SluiceError } from "../../../schemas/errors.js";
import { withRetries, type RetryEvent, type RetryPolicy, type Settled } from "../../bounded-retry.js";
import { checkPrefix } from "../object-key.js";
import { s3Code, s3Failure, type StoreAction } from "./errors.js";
import type { KeySource } from "./keys/key-source.js";
import { sourceProvider } from "./keys/source-provider.js";
import { s3Transport } from "./transport.js";

export interface S3BucketOptions {
  /** Host name, without scheme */
  readonly endPoint: string;
  readonly port: number;
  readonly useSSL: boolean;
  /** PEM of the authorities to trust. Default: those that Node knows. */
  readonly ca?: string;
  readonly accessKey?: string | undefined;
  readonly secretKey?: string | undefined;
  readonly sessionToken?: string;
  /** Keys that change while this is open, in place of those above */
  readonly keySource?: KeySource | undefined;
  /** SSE-KMS: what is written is encrypted with this key; `aws/s3`: with the account's own */
  readonly kmsKey?: string | undefined;
  readonly bucket: string;
  /** Every key lies below it, for example "team/sluice". Default: none. */
  readonly prefix?: string;
  /** Default: asked of the store. */
  readonly region?: string;
  /** How long a call goes on trying while the store is away, slow or busy, ms. Default 120,000: a restart of the store. */
  readonly patienceMs?: number;
  /** A request fails, and is tried again, when the store says nothing for this long, ms. Default 30,000. */
  readonly stallMs?: number;
  /** Connections at a time; more requests wait. Default 32. */
  readonly connections?: number;
  /** Called at every wait for a store that failed. */
  readonly onRetry?: (event: RetryEvent) => void;
  /** Called where what had failed before has been done, or goes on, or has been given up. */
  readonly onSettled?: (doing: string, how: Settled) => void;
}

/** The greatest object that one PUT may write: every PUT of bytes is a single, atomic one. */
const LARGEST_PUT = 5 * 1024 ** 3;

/** Stores may have older buckets with capitals or underscores. */
const BUCKET_NAME = /^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/i;

/** What S3 says of temporary keys that are over */
const ENDED: ReadonlySet<string> = new Set([
  "ExpiredToken",
  "ExpiredTokenException",
  "InvalidToken",
  "InvalidAccessKeyId",
  "InvalidTokenId",
]);

function encryptionOf(kmsKey: string | undefined): Readonly<Record<string, string>> {
  if (kmsKey === undefined) return {};
  const header = { "x-amz-server-side-encryption": "aws:kms" };
  return kmsKey === "aws/s3" ? header : { ...header, "x-amz-server-side-encryption-aws-kms-key-id": kmsKey };
}

/** A bucket, or what lies below a prefix in it, and how requests to it are tried. */
export class S3Bucket {
  readonly client: Client;
  readonly bucket: string;
  readonly place: string;
  /** "" or ending in "/" */
  readonly prefix: string;
  readonly #agent: http.Agent;
  readonly #closed = new AbortController();
  readonly #patienceMs: number;
  readonly #keySource: KeySource | undefined;
  /** What every write of an object says of its encryption */
  readonly encryption: Readonly<Record<string, string>>;
  readonly #told: Pick<RetryPolicy, "onRetry" | "onSettled">;

  constructor(options: S3BucketOptions) {
    const { endPoint, port, useSSL, bucket, connections = 32, stallMs = 30_000 } = options;
    if (!BUCKET_NAME.test(bucket)) {
      throw new SluiceError(
        "E_STORE_BUCKET",
        `Expected a bucket's name of 3 to 63 characters (a-z, 0-9, dots and dashes; a letter or digit at both ends), found ${JSON.stringify(bucket)}.`,
        { bucket },
      );
    }
    this.bucket = bucket;
    this.prefix = (options.prefix ?? "")
      .split("/")
      .filter((segment) => segment !== "")
      .map((segment) => `${segment}/`)
      .join("");
    checkPrefix(this.prefix);
    // Every request that waits for a store that is away listens: as many as there are, not a leak.
    setMaxListeners(0, this.#closed.signal);
    // Without the last slash: messages put a key behind one.
    this.place = `${useSSL ? "https" : "http"}://${endPoint}:${port}/${bucket}/${this.prefix}`.slice(0, -1);
    this.#keySource = options.keySource;
    this.encryption = encryptionOf(options.kmsKey);
    this.#patienceMs = options.patienceMs ?? 120_000;
    const { onRetry, onSettled } = options;
    this.#told = { ...(onRetry === undefined ? {} : { onRetry }), ...(onSettled === undefined ? {} : { onSettled }) };
    const pool = { keepAlive: true, maxSockets: connections };
    this.#agent = useSSL
      ? new https.Agent({ ...pool, ...(options.ca === undefined ? {} : { ca: options.ca }) })
      : new http.Agent(pool);
    this.client = new Client({
      endPoint,
      port,
      useSSL,
      ...(options.accessKey === undefined ? {} : { accessKey: options.accessKey }),
      ...(options.secretKey === undefined ? {} : { secretKey: options.secretKey }),
      ...(options.keySource === undefined ? {} : { credentialsProvider: sourceProvider(options.keySource) }),
      ...(options.sessionToken === undefined ? {} : { sessionToken: options.sessionToken }),
      ...(options.region === undefined ? {} : { region: options.region }),
      partSize: LARGEST_PUT,
      transport: s3Transport(useSSL, this.#agent, stallMs),
      // Its own retry would hide that a write was sent twice.
      retryOptions: { disableRetry: true },
    });
  }

  /** S3's name of a key */
  name(key: string): string {
    return this.prefix + key;
  }

  /** What a request of any kind failed with; one that the store refused for keys that are over may be tried again. */
  failure(error: unknown, action: StoreAction, key: string): SluiceError {
    return this.#renewed(error, s3Failure(error, action, key, this.place));
  }

  /** Tries within bounds; what it throws is a SluiceError. */
  async retrying<T>(action: StoreAction, key: string, attempt: () => Promise<T>, patienceMs?: number): Promise<T> {
    const policy = { ...this.policy(), ...(patienceMs === undefined ? {} : { patienceMs }) };
    return withRetries(policy, `${action} ${key === "" ? "" : `${key} in `}${this.place}`, async () => {
      try {
        return await attempt();
      } catch (error) {
        throw this.failure(error, action, key);
      }
    });
  }

  /** Keys that the store takes no longer are read again: new ones may lie there already. */
  #renewed(error: unknown, failure: SluiceError): SluiceError {
    if (this.#keySource === undefined || !ENDED.has(s3Code(error))) return failure;
    this.#keySource.forget();
    return new SluiceError(failure.code, failure.message, { ...failure.context, cause: error, retryable: true });
  }

  policy(): RetryPolicy {
    if (this.#closed.signal.aborted) {
      throw new SluiceError("E_STORE_IO", `Expected ${this.place} to be open, found it closed.`);
    }
    return {
      patienceMs: this.#patienceMs,
      firstDelayMs: 50,
      greatestDelayMs: 2_000,
      ...this.#told,
      signal: this.#closed.signal,
    };
  }

  /** Ends what waits for a store that is away, and every connection. */
  close(): void {
    this.#closed.abort();
    this.#agent.destroy();
  }
}
