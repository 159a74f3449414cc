import type { ImageBuckets } from "../../connectors/source/source.js";
import type { MinioStore, MinioStoreOptions } from "../../connectors/store/s3/minio-store.js";
import { bucketKeys, hasFixedKeys } from "./bucket-keys.js";
import { pemFile } from "./settings-file.js";
import type { S3Config } from "../../schemas/s3-config.js";

/** How long a store that is away at the start is waited for, and who is told of what fails, and that it goes on */
export type WaitForStore = Pick<MinioStoreOptions, "openPatienceMs" | "onRetry" | "onSettled">;

/** Opens the configured bucket as a store. Throws E_STORE_BUCKET, E_STORE_ACCESS, E_STORE_IO. */
export async function openBucket(s3: S3Config, how: WaitForStore = {}): Promise<MinioStore> {
  const { bucket, prefix } = s3;
  const { openMinioStore } = await import("../../connectors/store/s3/minio-store.js");
  return openMinioStore({ ...(await bucketAccount(s3)), bucket, ...(prefix === undefined ? {} : { prefix }), ...how });
}

/**
 * The buckets that images may lie in, on the configured endpoint and with its keys; undefined where none is configured. The client
 * is loaded when the first image is asked for.
 */
export function openImageBuckets(s3: S3Config | undefined): ImageBuckets | undefined {
  if (s3 === undefined) return undefined;
  let opened: Promise<ImageBuckets> | undefined;
  const buckets = (): Promise<ImageBuckets> => (opened ??= openBuckets(s3));
  return {
    hasAny: async (...asked) => (await buckets()).hasAny(...asked),
    async *pages(...asked) {
      yield* (await buckets()).pages(...asked);
    },
    read: async (...asked) => (await buckets()).read(...asked),
  };
}

async function openBuckets(s3: S3Config): Promise<ImageBuckets> {
  const { imageBuckets } = await import("../../connectors/store/s3/images.js");
  return imageBuckets(await bucketAccount(s3));
}

/** Where the bucket is, and who asks for it */
export async function bucketAccount(s3: S3Config) {
  const { region, accessKey, secretKey, sessionToken, kmsKey } = s3;
  const keys = hasFixedKeys(s3)
    ? { accessKey, secretKey, ...(sessionToken === undefined ? {} : { sessionToken }) }
    : { keySource: await bucketKeys(s3) };
  return { ...serverPlace(s3), ...keys, kmsKey, ...(region === undefined ? {} : { region }) };
}

/** Where the server is, and whom it is to be trusted by */
export function serverPlace({ endpoint, ca }: S3Config) {
  const { hostname, port, protocol } = new URL(endpoint);
  const useSSL = protocol === "https:";
  return {
    endPoint: hostname,
    port: port === "" ? (useSSL ? 443 : 80) : Number(port),
    useSSL,
    ...(ca === undefined ? {} : { ca: pemFile("s3.ca", ca) }),
  };
}
