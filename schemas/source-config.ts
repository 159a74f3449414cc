import { z } from "zod";

export const SOURCE_SCHEMES = ["file", "tar", "s3"] as const;

/** Where images that records name by a uri may lie. */
export const sourcesSchema = z.strictObject({
  allow: z
    .strictObject({
      schemes: z
        .array(z.enum(SOURCE_SCHEMES))
        .default([...SOURCE_SCHEMES])
        .describe("which of `file:`, `tar:` and `s3:` are opened, in the places below"),
      roots: z
        .array(z.string().min(1))
        .default([])
        .describe(
          "folders, or single files, that `file:` and `tar:` may lie in; relative to this file. Links that lead out are refused",
        ),
      buckets: z
        .array(z.string().regex(/^[^/\s]+(\/.*)?$/, "expected a bucket, or a bucket and a prefix, such as crawl/2026/"))
        .default([])
        .describe("buckets, or `bucket/prefix/`, that `s3:` may lie in"),
    })
    .optional()
    .describe(
      "where images may lie that records name by a uri. On Kafka, where anybody may write records, by default nowhere but in sources that `ingest` was given; in the data folder's log, by default anywhere",
    ),
});
