import { KAFKA_ROLES, type KafkaRole } from "../schemas/kafka-rights.js";
import { SluiceError } from "../schemas/errors.js";
import { bucketPolicy } from "../schemas/store-rights.js";
import type { Invocation } from "./invocation.js";

export const POLICY_ROLES: readonly KafkaRole[] = KAFKA_ROLES;

/** Prints what a role's processes must be allowed in the bucket, as a policy of S3. Asks nobody. Throws E_CONFIG without a bucket. */
export async function printPolicy(run: Invocation, role: KafkaRole): Promise<void> {
  const { config } = await run.loadConfig();
  if (config.s3 === undefined) {
    throw new SluiceError(
      "E_CONFIG",
      "Expected a bucket, found none: a store in the data folder has no policies. Name it: `s3: {bucket: …}` in sluice.yaml, or SLUICE_S3__BUCKET.",
    );
  }
  const policy = bucketPolicy(role, config.s3, config.sources.allow?.buckets ?? []);
  run.result(JSON.stringify(policy, null, 2), policy);
}
