import type { S3Bucket } from "./bucket.js";
import { s3Code } from "./errors.js";

/** What a bucket's listing says of one version of an object. */
interface ListedVersion {
  readonly name?: string;
  readonly versionId?: string;
  readonly isLatest?: boolean | string;
  readonly isDeleteMarker?: boolean;
}

/** Codes of servers and accounts that have no lock, or do not know what that is. */
const NO_LOCK = new Set(["ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration", "NotImplemented"]);

/** Whether a bucket keeps what is deleted or replaced, and whether anybody can remove it. Throws E_STORE_ACCESS, E_STORE_IO. */
export async function keepsOld(bucket: S3Bucket): Promise<"no" | "versions" | "locked"> {
  const { client } = bucket;
  return bucket.retrying("open", "", async () => {
    const { Status: status } = (await client.getBucketVersioning(bucket.bucket)) as { Status?: string };
    if (status !== "Enabled" && status !== "Suspended") return "no";
    try {
      // The client's types know the form with a callback alone; without one it gives a promise.
      const ask = client.getObjectLockConfig.bind(client) as (name: string) => Promise<{ objectLockEnabled?: string }>;
      const { objectLockEnabled } = await ask(bucket.bucket);
      return objectLockEnabled === "Enabled" ? "locked" : "versions";
    } catch (error) {
      if (NO_LOCK.has(s3Code(error))) return "versions";
      throw error;
    }
  });
}

/** Removes old versions and delete markers under some prefixes. Returns how many. Throws E_STORE_ACCESS where they are locked. */
export async function purgeOld(bucket: S3Bucket, prefixes: readonly string[]): Promise<number> {
  let removed = 0;
  for (const prefix of prefixes) {
    const listed = bucket.client.listObjects(bucket.bucket, bucket.name(prefix), true, { IncludeVersion: true });
    const old: { readonly name: string; readonly versionId: string }[] = [];
    try {
      for await (const one of listed as AsyncIterable<ListedVersion>) {
        const { name, versionId, isLatest, isDeleteMarker = false } = one;
        const stands = String(isLatest) === "true" && !isDeleteMarker;
        if (name !== undefined && versionId !== undefined && !stands) old.push({ name, versionId });
      }
    } catch (error) {
      throw bucket.failure(error, "list", prefix);
    }
    for (const { name, versionId } of old) {
      const key = name.slice(bucket.prefix.length);
      await bucket.retrying("delete", key, () => bucket.client.removeObject(bucket.bucket, name, { versionId }));
      removed++;
    }
  }
  return removed;
}
