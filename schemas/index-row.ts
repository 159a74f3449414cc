/** A row of a version's index: one chosen (image, class). `index/*.parquet` has these columns in this order. */
export interface IndexRow {
  readonly class: number;
  readonly label: string;
  /** from 1 */
  readonly rank: number;
  /** SHA-256 of the image's bytes, hexadecimal */
  readonly sha256: string;
  /** what the rank goes by: the log-probability, unless the selection says otherwise; null for a row by a label that the teacher did not archive in the class */
  readonly key: number | null;
  readonly probability: number | null;
  readonly uri: string;
  readonly partition: number;
  readonly offset: number;
  readonly eventTimeMs: number;
  readonly sizeBytes: number;
  readonly width: number;
  readonly height: number;
  readonly licence: string | null;
  readonly origin: string | null;
  /** What was done so that the teacher could see the image: codes of IMAGE_NOTES joined by commas, null for nothing */
  readonly notes: string | null;
  /** `shard`: in one of this version's tar shards; `absent`: nothing kept them */
  readonly bytes: "shard" | "absent";
  /** Name of the tar shard, null where the bytes are absent */
  readonly shard: string | null;
  /** 0, or more for rows that repeat a scarce class's earlier ones */
  readonly repeat: number;
  /** `label`: somebody said that the image is of the class; it stands before the teacher's rows */
  readonly by: "teacher" | "label";
}

/** Column name, Parquet type, and whether it may be null: what a writer of the index needs to know. */
export const INDEX_COLUMNS = [
  { name: "class", type: "INT32" },
  { name: "label", type: "STRING" },
  { name: "rank", type: "INT32" },
  { name: "sha256", type: "STRING" },
  { name: "key", type: "DOUBLE", nullable: true },
  { name: "probability", type: "DOUBLE", nullable: true },
  { name: "uri", type: "STRING" },
  { name: "partition", type: "INT32" },
  { name: "offset", type: "INT64" },
  { name: "event_time", type: "TIMESTAMP" },
  { name: "size_bytes", type: "INT64" },
  { name: "width", type: "INT32" },
  { name: "height", type: "INT32" },
  { name: "licence", type: "STRING", nullable: true },
  { name: "origin", type: "STRING", nullable: true },
  { name: "notes", type: "STRING", nullable: true },
  { name: "bytes", type: "STRING" },
  { name: "shard", type: "STRING", nullable: true },
  { name: "repeat", type: "INT32" },
  { name: "by", type: "STRING" },
] as const;
