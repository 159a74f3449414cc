import { z } from "zod";
import { datasetFaults, datasetSchema } from "./dataset.js";
import { kafkaSchema, withTopicNames, type KafkaConfig } from "./kafka-config.js";
import type { DeclaredSource } from "./declared-source.js";
import { s3Schema } from "./s3-config.js";
import { schedulesSchema } from "./schedule.js";
import { sourcesSchema } from "./source-config.js";

/** How images are read and decoded, and which are refused. */
export const decodeSchema = z.strictObject({
  maxPixels: z.int().positive().default(100_000_000).describe("refuse images of more pixels, before decoding"),
  maxBytes: z
    .int()
    .positive()
    .default(64 * 1024 * 1024)
    .describe("refuse images of more bytes"),
  minSide: z.int().positive().default(8).describe("refuse images with a side shorter than this, px"),
  strict: z
    .boolean()
    .default(false)
    .describe(
      "refuse what is otherwise converted and noted on its row; the four settings below say it of one kind each",
    ),
  animated: z
    .enum(["quarantine", "first-frame"])
    .optional()
    .describe(
      "images of more than one frame (GIF, WebP, PNG); by default the first, but a TIFF of several pages is refused",
    ),
  cmyk: z.enum(["quarantine", "convert"]).optional().describe("images in CMYK; by default converted"),
  depth16: z
    .enum(["quarantine", "convert"])
    .optional()
    .describe("images of more than 8 bits a channel; by default reduced to 8"),
  wrongExtension: z
    .enum(["quarantine", "accept"])
    .optional()
    .describe("images whose file name says another format than their bytes; by default read as their bytes are"),
  concurrency: z.int().positive().optional().describe("images decoded at once; by default the number of cores"),
});
export type DecodeConfig = z.infer<typeof decodeSchema>;

export const engineSchema = z.strictObject({
  kind: z.enum(["auto", "onnx", "tfjs"]).default("auto").describe("auto: by the format of the teacher's model"),
  backend: z.string().default("auto").describe("onnx: tensorrt, cuda, cpu; tfjs: node-gpu, node, wasm, cpu"),
  workers: z
    .int()
    .positive()
    .optional()
    .describe("engine workers; by default the number of cores, on GPUs one a device"),
  devices: z
    .array(z.int().nonnegative())
    .min(1)
    .optional()
    .describe("GPUs to use, by CUDA's numbers, such as [0, 1]; by default the first"),
  threads: z.int().positive().default(1).describe("threads inside one worker"),
  isolation: z
    .enum(["auto", "thread", "process"])
    .default("auto")
    .describe("workers as threads, or as processes that a native crash cannot take everything down with"),
  batch: z
    .union([z.int().positive(), z.literal("auto")])
    .optional()
    .describe("greatest number of images in one run; auto: found by timing the model; by default 16, on GPUs auto"),
  maxDelayMs: z.int().nonnegative().default(50).describe("an unfilled batch runs after this long"),
  allowFallback: z.boolean().default(false).describe("use another backend where the one asked for is absent"),
});
export type EngineConfig = z.infer<typeof engineSchema>;

export const archiveSchema = z.strictObject({
  topM: z.int().positive().default(32).describe("classes archived an image"),
  logits: z.enum(["top", "all"]).default("top").describe("all: keep every class's logit (4 bytes a class an image)"),
  embedding: z
    .enum(["all", "none"])
    .default("all")
    .describe("all: keep every image's embedding, where the teacher's card names one (4 bytes a value an image)"),
  segmentRecords: z.int().positive().max(1_000_000).default(2048).describe("greatest number of images in one segment"),
  segmentDelayMs: z.int().positive().default(5000).describe("an unfilled segment is written after this long"),
  pauseDelayMs: z
    .int()
    .nonnegative()
    .default(50)
    .describe("the same where none was written for segmentDelayMs: single images are archived soon"),
});

export const metricsSchema = z.strictObject({
  port: z
    .int()
    .min(0)
    .max(65_535)
    .optional()
    .describe(
      "where long-running commands answer /metrics, /healthz and /readyz; 0: any that is free. By default nowhere",
    ),
  host: z
    .string()
    .min(1)
    .default("127.0.0.1")
    .describe("the address to listen on; another than loopback shows figures, never an image or its name, to others"),
});

export const logSchema = z.strictObject({
  retentionMs: z
    .int()
    .nonnegative()
    .optional()
    .describe(
      "what is archived is forgotten once it is older, ms since it came into the log; a teacher that comes later cannot replay it. By default never",
    ),
  retentionBytes: z
    .int()
    .nonnegative()
    .optional()
    .describe(
      "what is archived is forgotten, the oldest first, where the log holds more, bytes of records. By default never",
    ),
});

/** Every setting by itself; `configSchema` says what must hold between them as well. */
export const settingsSchema = z.strictObject({
  data: z
    .string()
    .min(1)
    .default("sluice-data")
    .describe("the folder where everything lies: log, archive, checkpoints and versions; relative to this file"),
  stream: z
    .string()
    .regex(/^[a-zA-Z0-9._-]{1,100}$/, "expected letters, digits, dot, dash, underscore; at most 100")
    .default("images")
    .describe("the topic that the images are in"),
  partitions: z.int().positive().max(65_536).default(1).describe("partitions of that topic, when it is created"),
  kafka: kafkaSchema.optional().describe("the log is this Kafka cluster; without it, it lies in the data folder"),
  s3: s3Schema
    .optional()
    .describe(
      "the store is this bucket; without it, it lies in the data folder. Images at s3:// are read with its endpoint and keys",
    ),
  sources: sourcesSchema.prefault({}).describe("where images may lie that are sent by reference"),
  teacher: z
    .string()
    .min(1)
    .optional()
    .describe("the classifier: a folder with a model card, a model card, or a model file; relative to this file"),
  engine: engineSchema.prefault({}).describe("what runs the teacher"),
  decode: decodeSchema.prefault({}).describe("how images are decoded, and which are refused"),
  archive: archiveSchema.prefault({}).describe("what is kept of every image's scores"),
  bytes: z
    .enum(["refer", "keep"])
    .default("refer")
    .describe("refer: images stay where they are; keep: those that may be chosen are copied into the store"),
  retainBytes: z
    .enum(["winners", "all"])
    .default("winners")
    .describe("with keep, whose bytes stay. winners: down to rank K+R of each dataset; all: every image's"),
  maxFutureSkewMs: z
    .int()
    .nonnegative()
    .default(24 * 3600 * 1000)
    .describe("a record further in the future is quarantined"),
  log: logSchema
    .prefault({})
    .describe("how long the log in the data folder keeps what is archived; Kafka's own settings say it there"),
  checkpoint: z
    .strictObject({
      everySegments: z.int().positive().default(16).describe("segments between two checkpoints"),
      keep: z.int().min(1).default(3).describe("checkpoints kept, newest first"),
    })
    .prefault({})
    .describe("how often the top-K state is written down"),
  metrics: metricsSchema.prefault({}).describe("figures of a running command, for Prometheus and orchestrators"),
  maxInFlightBytes: z
    .int()
    .positive()
    .default(256 * 1024 * 1024)
    .describe("bytes of images in flight, between reading and scoring"),
  datasets: z
    .array(datasetSchema)
    .min(1)
    .default([datasetSchema.parse({ name: "default" })])
    .describe("the selections made over the stream; each has its versions"),
  schedules: schedulesSchema.describe("commands that `sluice schedules run` runs at their times"),
});

type Settings = z.infer<typeof settingsSchema>;
export type Config = Omit<Settings, "kafka"> & {
  kafka?: KafkaConfig | undefined;
  /** Sources that the stream is declared to have, and those of this call: images may lie there, whatever `sources.allow` says */
  ownSources?: readonly DeclaredSource[] | undefined;
};

/** What must hold between the settings. */
const checkedSchema = settingsSchema.superRefine((config, context) => {
  const refuse = (path: (string | number)[], message: string): void => {
    context.addIssue({ code: "custom", path, message });
  };
  const { devices, workers } = config.engine;
  if (devices !== undefined && new Set(devices).size < devices.length)
    refuse(["engine", "devices"], `expected each GPU once, found ${devices.join(", ")}`);
  if (devices !== undefined && workers !== undefined && workers < devices.length)
    refuse(["engine", "workers"], `expected at least one for each of ${devices.length} devices, found ${workers}`);
  const { topM } = config.archive;
  const seen = new Set<string>();
  for (const [at, dataset] of config.datasets.entries()) {
    const { p } = dataset.select;
    // An image's classes past the archived ones are not known to a cut, so that a larger P could not be answered.
    if (p > topM && config.archive.logits !== "all")
      refuse(["datasets", at, "select", "p"], `expected at most archive.topM (${topM}), found ${p}`);
    for (const { path, message } of datasetFaults(dataset)) refuse(["datasets", at, ...path], message);
    if (seen.has(dataset.name)) {
      refuse(["datasets", at, "name"], `expected a name that no other dataset has, found "${dataset.name}" again`);
    }
    seen.add(dataset.name);
  }
});

/** The settings, checked, and with the names that follow from others. */
export const configSchema = checkedSchema.transform(withNames);

/** Settings with the names of topics that nobody has named. */
export function withNames<One extends Pick<Settings, "stream" | "kafka">>(
  settings: One,
): Omit<One, "kafka"> & Pick<Config, "kafka"> {
  const { kafka, ...rest } = settings;
  return kafka === undefined ? rest : { ...rest, kafka: withTopicNames(kafka, settings.stream) };
}
