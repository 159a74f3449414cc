import { z } from "zod";
import { datasetSchema } from "./dataset.js";

/** How images are read and decoded, and which are refused. */
export const decodeSchema = z.strictObject({
  /** Greatest number of pixels an image's header may announce */
  maxPixels: z.int().positive().default(100_000_000).describe("refuse images of more pixels, before decoding"),
  maxBytes: z
    .int()
    .positive()
    .default(64 * 1024 * 1024)
    .describe("refuse images of more bytes"),
  minSide: z.int().positive().default(8).describe("refuse images with a side shorter than this, px"),
  animated: z.enum(["quarantine", "first-frame"]).default("quarantine"),
  cmyk: z.enum(["quarantine", "convert"]).default("quarantine"),
  depth16: z.enum(["quarantine", "convert"]).default("quarantine").describe("more than 8 bits a channel"),
  wrongExtension: z.enum(["quarantine", "accept"]).default("quarantine").describe("file name against content"),
  concurrency: z.int().positive().optional().describe("images decoded at once; by default the number of cores"),
});
export type DecodeConfig = z.infer<typeof decodeSchema>;

export const engineSchema = z.strictObject({
  kind: z.enum(["auto", "onnx", "tfjs"]).default("auto"),
  backend: z.string().default("auto").describe("onnx: cpu, cuda; tfjs: wasm, cpu"),
  workers: z.int().positive().optional().describe("engine workers; by default the number of cores"),
  threads: z.int().positive().default(1).describe("threads inside one worker"),
  batch: z.int().positive().default(16).describe("greatest number of images in one run"),
  maxDelayMs: z.int().nonnegative().default(50).describe("an unfilled batch runs after this long"),
  allowFallback: z.boolean().default(false).describe("use another backend where the one asked for is absent"),
});
export type EngineConfig = z.infer<typeof engineSchema>;

export const archiveSchema = z.strictObject({
  topM: z.int().positive().default(32).describe("classes archived an image"),
  logits: z.enum(["top", "all"]).default("top").describe("all: keep every class's logit (4 bytes a class an image)"),
  segmentRecords: z.int().positive().max(1_000_000).default(2048),
  segmentDelayMs: z.int().positive().default(5000).describe("an unfilled segment is written after this long"),
});

export const configSchema = z.strictObject({
  /** Where everything lies: log, archive, checkpoints, versions */
  data: z.string().default("sluice-data"),
  stream: z
    .string()
    .regex(/^[a-zA-Z0-9._-]{1,100}$/)
    .default("images"),
  partitions: z.int().positive().max(65_536).default(1),
  /** A folder with a model card, a model card, or a model file */
  teacher: z.string().optional(),
  engine: engineSchema.prefault({}),
  decode: decodeSchema.prefault({}),
  archive: archiveSchema.prefault({}),
  /** `refer` leaves images where they are; `keep` copies the bytes of those that may be chosen into the store */
  bytes: z.enum(["refer", "keep"]).default("refer"),
  /** With `keep`: whose bytes stay. `winners`: down to rank K+R of each dataset; `all`: every image's */
  retainBytes: z.enum(["winners", "all"]).default("winners"),
  maxFutureSkewMs: z
    .int()
    .nonnegative()
    .default(24 * 3600 * 1000)
    .describe("a record further in the future is quarantined"),
  checkpoint: z
    .strictObject({ everySegments: z.int().positive().default(16), keep: z.int().min(1).default(3) })
    .prefault({}),
  /** Bytes of images in flight, between reading and scoring */
  maxInFlightBytes: z
    .int()
    .positive()
    .default(256 * 1024 * 1024),
  datasets: z
    .array(datasetSchema)
    .min(1)
    .default([datasetSchema.parse({ name: "default" })]),
});
export type Config = z.infer<typeof configSchema>;
