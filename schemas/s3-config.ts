import { z } from "zod";

/** Where the store is a bucket. */
export const s3Schema = z.strictObject({
  endpoint: z
    .string()
    .regex(/^https?:\/\/[^/?#\s@]+\/?$/, "expected http://host:port or https://host")
    .describe("the object store, such as https://s3.eu-central-1.amazonaws.com"),
  bucket: z.string().min(1).describe("which must be there"),
  prefix: z.string().min(1).optional().describe("every object lies below it, such as team/sluice"),
  region: z.string().min(1).optional().describe("by default the store is asked"),
  accessKey: z.string().min(1).describe("better in the environment: SLUICE_S3__ACCESS_KEY"),
  secretKey: z.string().min(1).describe("better in the environment: SLUICE_S3__SECRET_KEY"),
});
export type S3Config = z.infer<typeof s3Schema>;
