import { z } from "zod";

/** What is wrong with an endpoint by itself; null for nothing. */
function endpointFault(endpoint: string): string | null {
  const [, scheme, host, path] = /^([a-z][a-z0-9+.-]*):\/\/([^/?#\s]*)(.*)$/i.exec(endpoint) ?? [];
  if (scheme === undefined) {
    return /^[^\s/]+$/.test(endpoint)
      ? `expected http:// or https:// before it, such as http://${endpoint}`
      : "expected http://host:port or https://host";
  }
  if (!/^https?$/i.test(scheme)) return `expected http:// or https://, found ${scheme}://`;
  if (host === undefined || host === "" || host.includes("@") || !URL.canParse(endpoint))
    return "expected http://host:port or https://host";
  if (path !== undefined && !/^\/?$/.test(path)) {
    return `expected the server alone, ${scheme}://${host}, found ${path} after it: s3.bucket and s3.prefix say where in it`;
  }
  return null;
}

/** Where the store is a bucket. */
export const s3Schema = z
  .strictObject({
    endpoint: z
      .string()
      .superRefine((endpoint, context) => {
        const message = endpointFault(endpoint);
        if (message !== null) context.addIssue({ code: "custom", message });
      })
      .describe(
        "the object store, such as https://s3.eu-central-1.amazonaws.com; or AWS_ENDPOINT_URL_S3, or by the region",
      ),
    bucket: z.string().min(1).describe("which must be there"),
    prefix: z.string().min(1).optional().describe("every object lies below it, such as team/sluice"),
    region: z.string().min(1).optional().describe("by default AWS_REGION, else the store is asked"),
    ca: z
      .string()
      .min(1)
      .optional()
      .describe(
        "PEM file of the authority that signed the store's certificate, relative to this file; by default those that Node knows",
      ),
    accessKey: z
      .string()
      .min(1)
      .optional()
      .describe(
        "better in the environment: SLUICE_S3__ACCESS_KEY, or AWS_ACCESS_KEY_ID; or role, profile or instanceMetadata",
      ),
    secretKey: z
      .string()
      .min(1)
      .optional()
      .describe("better in the environment: SLUICE_S3__SECRET_KEY, or AWS_SECRET_ACCESS_KEY"),
    sessionToken: z
      .string()
      .min(1)
      .optional()
      .describe("with temporary keys, in the environment: SLUICE_S3__SESSION_TOKEN, or AWS_SESSION_TOKEN"),
    role: z
      .strictObject({
        arn: z.string().min(1).optional().describe("the role; or AWS_ROLE_ARN. MinIO needs none"),
        tokenFile: z
          .string()
          .min(1)
          .optional()
          .describe(
            "an identity provider's token, read each time; or AWS_WEB_IDENTITY_TOKEN_FILE. Without it the keys take on the role",
          ),
        session: z.string().min(1).optional().describe("or AWS_ROLE_SESSION_NAME; by default sluice"),
        sts: z
          .string()
          .min(1)
          .optional()
          .describe("where keys are asked for; or AWS_ENDPOINT_URL_STS, by default Amazon's, else the store"),
      })
      .optional()
      .describe("temporary keys of a role, by STS; they are asked for again before they end"),
    profile: z
      .string()
      .min(1)
      .optional()
      .describe("a profile of AWS's shared files, read again as they change; or AWS_PROFILE"),
    credentialsFile: z
      .string()
      .min(1)
      .optional()
      .describe("or AWS_SHARED_CREDENTIALS_FILE; by default ~/.aws/credentials"),
    configFile: z.string().min(1).optional().describe("or AWS_CONFIG_FILE; by default ~/.aws/config"),
    instanceMetadata: z
      .boolean()
      .optional()
      .describe(
        "the keys of the instance's role, by its metadata service: nobody else is asked for them unless this says so",
      ),
    instanceEndpoint: z
      .string()
      .min(1)
      .optional()
      .describe("that service; or AWS_EC2_METADATA_SERVICE_ENDPOINT, by default http://169.254.169.254"),
    kmsKey: z
      .string()
      .min(1)
      .optional()
      .describe("SSE-KMS: the store encrypts what is written with this key; aws/s3 for the account's own"),
  })
  .superRefine((s3, context) => {
    const { endpoint, bucket, accessKey, secretKey, sessionToken } = s3;
    const given = s3.profile !== undefined || s3.role?.tokenFile !== undefined || s3.instanceMetadata === true;
    for (const name of ["accessKey", "secretKey"] as const) {
      const isHalf = (accessKey === undefined) !== (secretKey === undefined);
      if (s3[name] !== undefined || (given && !isHalf)) continue;
      const message =
        "expected the store's keys, or a role with tokenFile, a profile, or instanceMetadata, found nothing";
      context.addIssue({ code: "custom", path: [name], message });
    }
    const host = URL.canParse(endpoint) ? new URL(endpoint).host : "";
    if (host.startsWith(`${bucket.toLowerCase()}.`)) {
      const server = endpoint.replace(/^(https?:\/\/)[^.]+\./i, "$1");
      const message = `expected the server without the bucket, ${server}, found ${endpoint}: s3.bucket names the bucket`;
      context.addIssue({ code: "custom", path: ["endpoint"], message });
    }
    if (accessKey?.startsWith("ASIA") === true && sessionToken === undefined) {
      const message = "expected the session token that belongs to a temporary key (ASIA…), found none";
      context.addIssue({ code: "custom", path: ["sessionToken"], message });
    }
  });
export type S3Config = z.infer<typeof s3Schema>;
