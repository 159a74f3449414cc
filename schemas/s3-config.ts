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
    accessKey: z.string().min(1).describe("better in the environment: SLUICE_S3__ACCESS_KEY, or AWS_ACCESS_KEY_ID"),
    secretKey: z.string().min(1).describe("better in the environment: SLUICE_S3__SECRET_KEY, or AWS_SECRET_ACCESS_KEY"),
    sessionToken: z
      .string()
      .min(1)
      .optional()
      .describe("with temporary keys, in the environment: SLUICE_S3__SESSION_TOKEN, or AWS_SESSION_TOKEN"),
  })
  .superRefine(({ endpoint, bucket, accessKey, sessionToken }, context) => {
    const host = URL.canParse(endpoint) ? new URL(endpoint).host : "";
    if (host.startsWith(`${bucket.toLowerCase()}.`)) {
      const server = endpoint.replace(/^(https?:\/\/)[^.]+\./i, "$1");
      const message = `expected the server without the bucket, ${server}, found ${endpoint}: s3.bucket names the bucket`;
      context.addIssue({ code: "custom", path: ["endpoint"], message });
    }
    if (accessKey.startsWith("ASIA") && sessionToken === undefined) {
      const message = "expected the session token that belongs to a temporary key (ASIA…), found none";
      context.addIssue({ code: "custom", path: ["sessionToken"], message });
    }
  });
export type S3Config = z.infer<typeof s3Schema>;
