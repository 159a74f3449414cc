import { sha256Hex } from "../../../schemas/canonical.js";
import type { S3Bucket } from "./bucket.js";
import { s3Code } from "./errors.js";

/** What a store answers that has hashed a body and found another digest than its request was signed for */
const REFUSALS: ReadonlySet<string> = new Set(["XAmzContentSHA256Mismatch", "BadDigest", "InvalidDigest"]);

/**
 * Whether the store refuses a body whose digest is not the signed one, found out by sending such a one to a key that nobody uses. Where
 * it does, a request that it has answered has stored what was sent.
 */
export async function checksBodies(bucket: S3Bucket, key: string): Promise<boolean> {
  const { client } = bucket;
  const request = { method: "PUT", bucketName: bucket.bucket, objectName: bucket.name(key) };
  const signed = sha256Hex("the body that is signed");
  return bucket.retrying("write", key, async () => {
    try {
      const sent = Buffer.from("another body that is sent");
      const response = await client.makeRequestStreamAsync(request, sent, signed, [200], "");
      response.resume();
      await client.removeObject(bucket.bucket, bucket.name(key));
      return false;
    } catch (error) {
      if (REFUSALS.has(s3Code(error))) return true;
      throw error;
    }
  });
}
