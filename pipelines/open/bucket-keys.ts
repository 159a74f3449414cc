import { homedir } from "node:os";
import { join } from "node:path";
import type { KeySource, S3Keys } from "../../connectors/store/s3/keys/key-source.js";
import type { S3Config } from "../../schemas/s3-config.js";
import { pemFile } from "./settings-file.js";

/** Roles may be taken on through roles, not endlessly. */
const MOST_STEPS = 5;
const INSTANCE = "http://169.254.169.254";

/** Whether the keys of a bucket are fixed, as against those that somebody gives for a while. */
export function hasFixedKeys({ role, accessKey }: S3Config): boolean {
  return role === undefined && accessKey !== undefined;
}

/** Keys that are read again before they end: of a role, a profile, an instance. */
export async function bucketKeys(s3: S3Config): Promise<KeySource> {
  const { renewedKeys } = await import("../../connectors/store/s3/keys/key-source.js");
  return renewedKeys(() => keysNow(s3), Date.now);
}

async function keysNow(s3: S3Config): Promise<S3Keys> {
  const { role, accessKey, secretKey, sessionToken, instanceMetadata, instanceEndpoint = INSTANCE } = s3;
  if (role?.tokenFile !== undefined) return ofWebIdentity(s3, role.arn, role.tokenFile, role.session);
  const fixed = accessKey === undefined || secretKey === undefined ? null : { accessKey, secretKey, sessionToken };
  const own: () => Promise<S3Keys> = async () => {
    if (fixed !== null) return { ...fixed, expiresMs: null };
    if (instanceMetadata !== true) return ofProfile(s3, s3.profile ?? "default");
    const { keysOfInstance } = await import("../../connectors/store/s3/keys/instance-metadata.js");
    return keysOfInstance(instanceEndpoint);
  };
  return role === undefined ? own() : ofRole(s3, role.arn, role.session, await own());
}

async function ofProfile(s3: S3Config, name: string, steps = 0): Promise<S3Keys> {
  const { readProfile } = await import("../../connectors/store/s3/keys/profile-file.js");
  const { SluiceError } = await import("../../schemas/errors.js");
  const files = {
    credentials: s3.credentialsFile ?? join(homedir(), ".aws", "credentials"),
    config: s3.configFile ?? join(homedir(), ".aws", "config"),
  };
  const { keys, roleArn, sourceProfile, tokenFile, session } = await readProfile(files, name);
  if (tokenFile !== undefined) return ofWebIdentity(s3, roleArn, tokenFile, session);
  if (roleArn !== undefined && sourceProfile !== undefined && sourceProfile !== name) {
    if (steps === MOST_STEPS)
      throw new SluiceError(
        "E_STORE_ACCESS",
        `Expected profile "${name}" to lead to keys, found that profiles lead on to each other.`,
      );
    return ofRole(s3, roleArn, session, await ofProfile(s3, sourceProfile, steps + 1));
  }
  if (keys !== null) return roleArn === undefined ? keys : ofRole(s3, roleArn, session, keys);
  throw new SluiceError("E_STORE_ACCESS", `Expected keys in profile "${name}", found none.`);
}

async function ofWebIdentity(
  s3: S3Config,
  arn: string | undefined,
  tokenFile: string,
  session?: string,
): Promise<S3Keys> {
  const { keysOfWebIdentity } = await import("../../connectors/store/s3/keys/web-identity.js");
  return keysOfWebIdentity(stsRole(s3, arn, session), tokenFile);
}

async function ofRole(
  s3: S3Config,
  arn: string | undefined,
  session: string | undefined,
  own: S3Keys,
): Promise<S3Keys> {
  const { keysOfRole } = await import("../../connectors/store/s3/keys/assumed-role.js");
  return keysOfRole(stsRole(s3, arn, session), own, s3.region ?? "us-east-1", Date.now);
}

/** STS is Amazon's by the region, and otherwise the store's own: MinIO answers for both. */
export function stsRole(s3: S3Config, arn: string | undefined, session = "sluice") {
  const { endpoint, role, region, ca } = s3;
  // China's servers have a domain of their own, and no others know their roles.
  const amazons = /\.(amazonaws\.com(?:\.cn)?)$/.exec(new URL(endpoint).hostname)?.[1];
  const usual = amazons === "amazonaws.com.cn" ? "cn-north-1" : "us-east-1";
  const own = amazons === undefined ? endpoint : `https://sts.${region ?? usual}.${amazons}`;
  const trusted = ca === undefined || amazons !== undefined ? {} : { ca: pemFile("s3.ca", ca) };
  return { arn, endpoint: role?.sts ?? own, session, ...trusted };
}
