import {
  Field,
  FixedSizeBinary,
  Float64,
  Int32,
  Int64,
  RecordBatch,
  RecordBatchReader,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  makeData,
  type Data,
} from "apache-arrow";
import { z } from "zod";
import { assertArrowFrames } from "../arrow-frames.js";
import type { CandidateBatch } from "../candidate-batch.js";
import { canonicalJson } from "../canonical.js";
import { frontierSchema, type Frontier } from "../frontier.js";
import type { LogRecord, StoredRecord } from "../image-record.js";
import { engineInfoSchema, recordCountsSchema } from "../segment.js";
import { readVersioned, valueOf, VERSION_HEADER, type RecordPlace } from "./format-version.js";

/** Version 1 had no reader: a worker that meets it reads the segment from the archive. */
export const CANDIDATES_VERSION = "2";

const METADATA_KEY = "sluice";
const IDENTITY_BYTES = 16;
const count = z.int().nonnegative();

const headerSchema = z.strictObject({
  teacher: z.string(),
  stream: z.string(),
  partition: count,
  /** With teacher, stream and partition: the chain */
  origin: count,
  start: count,
  end: count,
  counts: recordCountsSchema,
  engine: engineInfoSchema,
  watermarkMs: z.int().nullable(),
  /** Greatest event time of the segment's rows, ms; null of none */
  lastMs: z.int().nullable(),
  /** Classes c with c mod shards = shard */
  shard: count,
  shards: z.int().positive(),
  /** All whose candidates these are */
  datasets: z.array(
    z.strictObject({
      dataset: z.string(),
      parameters: z.string(),
      /** One an Arrow record batch, in order: every pane that has rows in the segment */
      parts: z.array(z.strictObject({ paneMs: z.int().nullable(), thresholdsAt: frontierSchema.nullable() })),
    }),
  ),
});

/** Candidates of one dataset and pane. */
export interface CandidatesPart {
  /** Start of the pane, ms since the epoch; null for the global window */
  readonly paneMs: number | null;
  /** The checkpoint frontier of the thresholds that pruned the rows; null where nothing was pruned */
  readonly thresholdsAt: Frontier | null;
  /** Every row of the message's `partition` */
  readonly batch: CandidateBatch;
}

/** What a segment gives one dataset. */
export interface DatasetCandidates {
  readonly dataset: string;
  /** Digest of the dataset's parameters, under this teacher and stream */
  readonly parameters: string;
  readonly parts: readonly CandidatesPart[];
}

/**
 * What one archived segment, offsets [start, end) of a chain, gives one class shard: possibly no rows. A worker that keeps the
 * shard applies it exactly when it continues the chain that it has.
 */
export interface CandidatesMessage extends Omit<z.infer<typeof headerSchema>, "datasets"> {
  readonly datasets: readonly DatasetCandidates[];
}

const TYPES = {
  class: new Int32(),
  key: new Float64(),
  identity: new FixedSizeBinary(IDENTITY_BYTES),
  offset: new Int64(),
} as const;
const FIELDS = Object.entries(TYPES).map(([name, type]) => new Field(name, type, false));

/** An Arrow IPC stream of one record batch a part (36 bytes a row), the coordinates as JSON in the schema's metadata. */
export function encodeCandidates({ datasets, ...coordinates }: CandidatesMessage, nowMs: number): LogRecord {
  const header = {
    ...coordinates,
    datasets: datasets.map(({ dataset, parameters, parts }) => ({
      dataset,
      parameters,
      parts: parts.map(({ paneMs, thresholdsAt }) => ({ paneMs, thresholdsAt })),
    })),
  };
  const schema = new Schema(FIELDS, new Map([[METADATA_KEY, canonicalJson(header)]]));
  const writer = new RecordBatchStreamWriter();
  writer.reset(undefined, schema);
  for (const { parts } of datasets) for (const { batch } of parts) writer.write(recordBatch(batch, schema));
  writer.finish();
  return {
    key: null,
    value: writer.toUint8Array(true),
    headers: { [VERSION_HEADER]: CANDIDATES_VERSION },
    timestampMs: nowMs,
  };
}

function recordBatch(batch: CandidateBatch, schema: Schema): RecordBatch {
  const length = batch.count;
  const identity = new Uint8Array(length * IDENTITY_BYTES);
  const words = new DataView(identity.buffer);
  for (let i = 0; i < length * 4; i++) words.setUint32(i * 4, batch.identity[i]!);
  const children: Data[] = [
    makeData({ type: TYPES.class, length, nullCount: 0, data: batch.classes.slice(0, length) }),
    makeData({ type: TYPES.key, length, nullCount: 0, data: batch.keys.slice(0, length) }),
    makeData({ type: TYPES.identity, length, nullCount: 0, data: identity }),
    makeData({
      type: TYPES.offset,
      length,
      nullCount: 0,
      data: BigInt64Array.from(batch.offset.subarray(0, length), BigInt),
    }),
  ];
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length, nullCount: 0, children }));
}

/** Throws E_RECORD_SCHEMA. */
export function decodeCandidates(record: StoredRecord, place: RecordPlace): CandidatesMessage {
  return readVersioned(record, place, "candidates", { [CANDIDATES_VERSION]: readVersion2 });
}

function readVersion2(record: StoredRecord): CandidatesMessage {
  const value = valueOf(record);
  assertArrowFrames(value);
  const reader = RecordBatchReader.from(value).open();
  const text = reader.schema.metadata.get(METADATA_KEY);
  if (text === undefined) throw new TypeError(`the schema's metadata has no "${METADATA_KEY}"`);
  const { datasets, ...coordinates } = headerSchema.parse(JSON.parse(text));
  const partCount = datasets.reduce((sum, { parts }) => sum + parts.length, 0);
  // Arrow reads a stream without a batch as one of no rows.
  const batches = [...reader].filter(({ numRows }) => partCount > 0 || numRows > 0);
  if (batches.length !== partCount)
    throw new TypeError(`its header has ${partCount} parts, it has ${batches.length} record batches`);
  let at = 0;
  return {
    ...coordinates,
    datasets: datasets.map((one) => ({
      ...one,
      parts: one.parts.map((part) => ({ ...part, batch: candidateBatch(batches[at++]!, coordinates.partition) })),
    })),
  };
}

function candidateBatch(read: RecordBatch, partition: number): CandidateBatch {
  const values = (name: string): unknown => {
    const data = read.getChild(name)?.data[0];
    if (data === undefined) throw new TypeError(`it has no column "${name}"`);
    return data.values;
  };
  const length = read.numRows;
  const bytes = values("identity") as Uint8Array;
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const identity = new Uint32Array(length * 4);
  for (let i = 0; i < identity.length; i++) identity[i] = words.getUint32(i * 4);
  return {
    count: length,
    classes: (values("class") as Int32Array).slice(0, length),
    keys: (values("key") as Float64Array).slice(0, length),
    identity,
    partition: new Uint16Array(length).fill(partition),
    offset: Float64Array.from((values("offset") as BigInt64Array).subarray(0, length), Number),
  };
}
