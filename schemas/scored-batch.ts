import {
  Field,
  FixedSizeBinary,
  FixedSizeList,
  Float32,
  Float64,
  Int32,
  Int64,
  RecordBatch,
  Schema,
  Struct,
  TimestampMillisecond,
  Uint32,
  Uint8,
  Utf8,
  makeData,
  vectorFromArray,
  type DataType,
  type Data,
} from "apache-arrow";
import { PDQ_BYTES } from "./pdq-hash.js";

/** Where an image's bytes were when its row was archived. */
export const BYTES = { absent: 0, kept: 1, refer: 2 } as const;
export type BytesState = (typeof BYTES)[keyof typeof BYTES];

export const DIGEST_BYTES = 32;

/** A column of text, one value a row; an Arrow vector is one. */
export interface TextColumn {
  get(row: number): string | null;
  /** Where its values lie as UTF-8, if they do */
  readonly utf8?: Utf8Values;
}

/** Values of a text column as bytes */
export interface Utf8Values {
  readonly bytes: Uint8Array;
  /** Where a row's value begins; -1 for null */
  startOf(row: number): number;
  /** Its length in bytes */
  sizeAt(start: number): number;
}

/**
 * n scored images as columns, ordered by (partition, offset). The columns of the archive: they are complete from the
 * first segment ever written, since data already written cannot be given a column.
 */
export interface ScoredBatch {
  /** n */
  readonly count: number;
  /** M: classes listed an image, at most the teacher's classes */
  readonly topM: number;
  /** SHA-256 of the image's bytes, [n x 32] */
  readonly digest: Uint8Array;
  /** [n] */
  readonly partition: Int32Array;
  /** [n] */
  readonly offset: BigInt64Array;
  /** ms since the epoch, UTC, [n] */
  readonly eventTimeMs: BigInt64Array;
  /** 1 where the scores were copied from an earlier row of the same digest, [n] */
  readonly copied: Uint8Array;
  /** one of BYTES, [n] */
  readonly bytes: Uint8Array;
  /** Where its bytes are kept: `<start>-<attempt>` of a pack of its own chain, or another pack's whole name; null where they are not */
  readonly pack: TextColumn;
  readonly uri: TextColumn;
  /** the encoded image's length in bytes, [n] */
  readonly sizeBytes: Uint32Array;
  /** px of the stored image, after EXIF orientation, [n] */
  readonly width: Uint32Array;
  readonly height: Uint32Array;
  /** PDQ of the whole image, upright, as the reference writes it in hexadecimal; 0 where a side is below 5 px, [n x 32] */
  readonly pdq: Uint8Array;
  /** 0 to 100: below 50 the hash says little, [n] */
  readonly pdqQuality: Uint8Array;
  readonly licence: TextColumn;
  readonly origin: TextColumn;
  /** What was done to the image so that the teacher could see it: codes of IMAGE_NOTES, joined by commas; null for nothing */
  readonly notes: TextColumn;
  /** offset of the record this one retries, -1 for none, [n] */
  readonly retryOf: BigInt64Array;
  /** top-M classes, rank key descending, then class ascending, [n x M] */
  readonly classes: Int32Array;
  /** log-probability at the card's temperature, -log1p(sum over j != i of exp(z_j - z_i)), [n x M] */
  readonly keys: Float64Array;
  /** logits as the engine gave them, before temperature, [n x M] */
  readonly logits: Float32Array;
  /** ln of the sum of exp(logit / temperature) over all classes, [n] */
  readonly logSumExp: Float64Array;
  /** all C logits, [n x C], where the archive keeps them (`archive.logits: all`); NaN in a row copied from one without */
  readonly allLogits: Float32Array | null;
  /** the teacher's embedding, [n x D], where its card names one and the archive keeps it; NaN in a row copied from one without */
  readonly embedding: Float32Array | null;
}

/** Widths of the columns that differ from archive to archive; null where there is no such column. */
export interface ScoredWidths {
  /** M */
  readonly topM: number;
  /** C, where all logits are kept */
  readonly classCount: number | null;
  /** D, where embeddings are kept */
  readonly embeddingSize: number | null;
}

export function widthsOf({ topM, count, allLogits, embedding }: ScoredBatch): ScoredWidths {
  const widthOf = (column: Float32Array | null): number | null =>
    column === null || count === 0 ? null : column.length / count;
  return { topM, classCount: widthOf(allLogits), embeddingSize: widthOf(embedding) };
}

const list = <T extends DataType>(length: number, type: T) => new FixedSizeList(length, new Field("item", type, false));

/** The Arrow schema of a scored batch. */
export function scoredSchema(widths: ScoredWidths, metadata?: Map<string, string>): Schema {
  const { topM, classCount, embeddingSize } = widths;
  const field = (name: string, type: DataType, nullable = false) => new Field(name, type, nullable);
  const fields = [
    field("digest", new FixedSizeBinary(DIGEST_BYTES)),
    field("partition", new Int32()),
    field("offset", new Int64()),
    field("event_time", new TimestampMillisecond("UTC")),
    field("copied", new Uint8()),
    field("bytes", new Uint8()),
    field("pack", new Utf8(), true),
    field("uri", new Utf8()),
    field("size_bytes", new Uint32()),
    field("width", new Uint32()),
    field("height", new Uint32()),
    field("pdq", new FixedSizeBinary(PDQ_BYTES)),
    field("pdq_quality", new Uint8()),
    field("licence", new Utf8(), true),
    field("origin", new Utf8(), true),
    field("notes", new Utf8(), true),
    field("retry_of", new Int64()),
    field("classes", list(topM, new Int32())),
    field("keys", list(topM, new Float64())),
    field("logits", list(topM, new Float32())),
    field("log_sum_exp", new Float64()),
  ];
  if (classCount !== null) fields.push(field("all_logits", list(classCount, new Float32())));
  if (embeddingSize !== null) fields.push(field("embedding", list(embeddingSize, new Float32())));
  return new Schema(fields, metadata);
}

/** The same memory as an Arrow record batch; text columns are encoded. */
export function toRecordBatch(batch: ScoredBatch, schema: Schema): RecordBatch {
  const { count } = batch;
  const lists: Record<string, { values: Float32Array | Float64Array | Int32Array }> = {
    classes: { values: batch.classes },
    keys: { values: batch.keys },
    logits: { values: batch.logits },
    ...(batch.allLogits === null ? {} : { all_logits: { values: batch.allLogits } }),
    ...(batch.embedding === null ? {} : { embedding: { values: batch.embedding } }),
  };
  const plain: Record<string, ArrayBufferView> = {
    digest: batch.digest,
    partition: batch.partition,
    offset: batch.offset,
    event_time: batch.eventTimeMs,
    copied: batch.copied,
    bytes: batch.bytes,
    size_bytes: batch.sizeBytes,
    width: batch.width,
    height: batch.height,
    pdq: batch.pdq,
    pdq_quality: batch.pdqQuality,
    retry_of: batch.retryOf,
    log_sum_exp: batch.logSumExp,
  };
  const text: Record<string, TextColumn> = {
    pack: batch.pack,
    uri: batch.uri,
    licence: batch.licence,
    origin: batch.origin,
    notes: batch.notes,
  };
  const children: Data[] = schema.fields.map((field) => {
    const type = field.type as DataType;
    const values = lists[field.name]?.values ?? plain[field.name];
    if (type instanceof FixedSizeList) {
      const child = makeData({
        type: type.children[0]!.type as Float32,
        data: values as Float32Array,
        length: count * type.listSize,
        nullCount: 0,
      });
      return makeData({ type, child, length: count, nullCount: 0 });
    }
    const column = text[field.name];
    if (column !== undefined) {
      return (
        vectorFromArray(
          Array.from({ length: count }, (_, row) => column.get(row)),
          new Utf8(),
        ).data[0] ?? makeData({ type: new Utf8(), length: 0 })
      );
    }
    return makeData({ type: field.type as Int32, data: values as Int32Array, length: count, nullCount: 0 });
  });
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length: count, nullCount: 0, children }));
}

/** Views over an Arrow record batch's own buffers: nothing is copied, text is decoded when asked for. */
export function fromRecordBatch(batch: RecordBatch): ScoredBatch {
  const count = batch.numRows;
  const column = (name: string): Data | undefined => {
    const index = batch.schema.fields.findIndex((field) => field.name === name);
    return index < 0 ? undefined : batch.data.children[index];
  };
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the schema fixes each column's array
  const values = <T>(name: string, width = 1): T => {
    const data = column(name);
    const array = (data?.children[0] ?? data)?.values as Int32Array | undefined;
    if (array === undefined) throw new TypeError(`a scored batch has a column "${name}", this one has none`);
    return array.subarray(0, count * width) as T;
  };
  const topM = (batch.schema.fields.find((field) => field.name === "classes")?.type as FixedSizeList).listSize;
  const listOf = (name: string): Float32Array | null => {
    const type = batch.schema.fields.find((field) => field.name === name)?.type as FixedSizeList | undefined;
    return type === undefined ? null : values(name, type.listSize);
  };
  const none: TextColumn = { get: () => null };
  const textOf = (name: string): TextColumn => (batch.getChild(name) as TextColumn | null) ?? none;
  return {
    count,
    topM,
    digest: values("digest", DIGEST_BYTES),
    partition: values("partition"),
    offset: values("offset"),
    eventTimeMs: values("event_time"),
    copied: values("copied"),
    bytes: values("bytes"),
    pack: textOf("pack"),
    uri: textOf("uri"),
    sizeBytes: values("size_bytes"),
    width: values("width"),
    height: values("height"),
    pdq: values("pdq", PDQ_BYTES),
    pdqQuality: values("pdq_quality"),
    licence: textOf("licence"),
    origin: textOf("origin"),
    notes: textOf("notes"),
    retryOf: values("retry_of"),
    classes: values("classes", topM),
    keys: values("keys", topM),
    logits: values("logits", topM),
    logSumExp: values("log_sum_exp"),
    allLogits: listOf("all_logits"),
    embedding: listOf("embedding"),
  };
}
