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
import type { CandidateBatch } from "../candidate-batch.js";
import { canonicalJson } from "../canonical.js";
import type { LogRecord, StoredRecord } from "../image-record.js";
import { readVersioned, valueOf, VERSION_HEADER, type RecordPlace } from "./format-version.js";

export const CANDIDATES_VERSION = "1";

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
  watermarkMs: z.int().nullable(),
  /** Classes c with c mod shards = shard */
  shard: count,
  shards: z.int().positive(),
  /** One an Arrow record batch, in order */
  parts: z.array(
    z.strictObject({
      dataset: z.string(),
      parameters: z.string(),
      paneMs: z.int().nullable(),
      thresholdsAt: count.nullable(),
    }),
  ),
});

/** Candidates of one dataset and pane. */
export interface CandidatesPart {
  readonly dataset: string;
  /** Digest of the dataset's parameters, under this teacher and stream */
  readonly parameters: string;
  /** Start of the pane, ms since the epoch; null for the global window */
  readonly paneMs: number | null;
  /** The checkpoint frontier of the thresholds that pruned the rows; null where nothing was pruned */
  readonly thresholdsAt: number | null;
  /** Every row of the message's `partition` */
  readonly batch: CandidateBatch;
}

/**
 * What one archived segment, offsets [start, end) of a chain, gives one class shard: possibly no rows. Whoever keeps the
 * shard applies it exactly when it continues the chain that it has.
 */
export interface CandidatesMessage extends Omit<z.infer<typeof headerSchema>, "parts"> {
  readonly parts: readonly CandidatesPart[];
}

/** The class shard, and so the partition of the candidates topic, that keeps a class. */
export function shardOfClass(classIndex: number, shards: number): number {
  return classIndex % shards;
}

const TYPES = {
  class: new Int32(),
  key: new Float64(),
  identity: new FixedSizeBinary(IDENTITY_BYTES),
  offset: new Int64(),
} as const;
const FIELDS = Object.entries(TYPES).map(([name, type]) => new Field(name, type, false));

/** An Arrow IPC stream of one record batch a part (36 bytes a row), the coordinates as JSON in the schema's metadata. */
export function encodeCandidates({ parts, ...coordinates }: CandidatesMessage, nowMs: number): LogRecord {
  const header = {
    ...coordinates,
    parts: parts.map(({ dataset, parameters, paneMs, thresholdsAt }) => ({
      dataset,
      parameters,
      paneMs,
      thresholdsAt,
    })),
  };
  const schema = new Schema(FIELDS, new Map([[METADATA_KEY, canonicalJson(header)]]));
  const writer = new RecordBatchStreamWriter();
  writer.reset(undefined, schema);
  for (const { batch } of parts) writer.write(recordBatch(batch, schema));
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
  return readVersioned(record, place, "candidates", { "1": readVersion1 });
}

function readVersion1(record: StoredRecord): CandidatesMessage {
  const reader = RecordBatchReader.from(valueOf(record)).open();
  const text = reader.schema.metadata.get(METADATA_KEY);
  if (text === undefined) throw new TypeError(`the schema's metadata has no "${METADATA_KEY}"`);
  const { parts, ...coordinates } = headerSchema.parse(JSON.parse(text));
  // Arrow reads a stream without a batch as one of no rows.
  const batches = [...reader].filter(({ numRows }) => parts.length > 0 || numRows > 0);
  if (batches.length !== parts.length)
    throw new TypeError(`its header has ${parts.length} parts, it has ${batches.length} record batches`);
  return {
    ...coordinates,
    parts: parts.map((part, at) => ({ ...part, batch: candidateBatch(batches[at]!, coordinates.partition) })),
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
