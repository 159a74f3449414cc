import { z } from "zod";
import { messageOf, SluiceError } from "./errors.js";
import { keys, type ChainName } from "./keys.js";
import { openSealedJson, sealJson } from "./sealed-json.js";
import { engineInfoSchema, keepersSchema, recordCountsSchema, rejectedSchema } from "./segment.js";

export const RUN_VERSION = 1;
/** The first line of a run's index is never longer. */
export const RUN_HEAD_BYTES = 16 * 1024;

const count = z.int().nonnegative();
const counts = z.array(count);

/** Where some segments' rows lie in a Parquet file: one row group, whose pages are plain and not compressed. */
export const rowGroupPlaceSchema = z.strictObject({
  /** Bytes [start, end) of the file; `start` is a multiple of 8 */
  start: count,
  end: count,
  rows: z.int().positive(),
  topM: z.int().positive(),
  /** C where all logits are archived */
  classCount: z.int().positive().nullable(),
  /** D where embeddings are */
  embeddingSize: z.int().positive().nullable(),
  /** Where each column's values begin, in bytes from `start`. Those of 8 bytes lie at multiples of 8. */
  columns: z.record(z.string(), count),
  /** Where the row directory begins, in bytes from `start`: see `row-directory.ts` */
  directory: count,
  /** Of the bytes [start, end), as an unsigned number; looked at on each read */
  crc32: count,
});
export type RowGroupPlace = z.infer<typeof rowGroupPlaceSchema>;

/** What a run says of itself, in its index's first line. */
export const runHeadSchema = z.strictObject({
  schemaVersion: z.literal(RUN_VERSION),
  teacher: z.string(),
  stream: z.string(),
  partition: count,
  /** The start of its chain */
  origin: count,
  /** Offsets [start, end) */
  start: count,
  end: count,
  level: count,
  /** When it was written, ms since the epoch */
  createdMs: z.int(),
  segments: z.int().positive(),
  /** Records of the chain below `start` */
  before: recordCountsSchema,
  /** Records of the run */
  counts: recordCountsSchema,
  /** At `end`; see a segment's header */
  watermarkMs: z.int().nullable(),
  files: z.array(z.strictObject({ key: z.string(), sizeBytes: count })),
  /** false where a run of a higher level has taken its place: the second line is gone, and the files are */
  hasBody: z.boolean(),
});
export type RunHead = z.infer<typeof runHeadSchema>;

const rowGroupSchema = rowGroupPlaceSchema.extend({
  /** Of the head's files */
  file: count,
  /** Its segments are [first, first + segments) of the run's; those without rows among them are passed over */
  first: count,
  segments: z.int().positive(),
});
export type RunRowGroup = z.infer<typeof rowGroupSchema>;

/** What a run says of each of its segments, in its index's second line: columns with an entry a segment. */
export const runBodySchema = z.strictObject({
  engines: z.array(engineInfoSchema),
  codeVersions: z.array(z.string()),
  keepers: z.array(keepersSchema),
  rowGroups: z.array(rowGroupSchema),
  segments: z.strictObject({
    end: counts,
    scored: counts,
    copied: counts,
    quarantined: counts,
    lost: counts,
    watermarkMs: z.array(z.int().nullable()),
    /** Indexes of the three lists above */
    engine: counts,
    codeVersion: counts,
    keepers: counts,
  }),
  /** Each with the index of its segment */
  lostReasons: z.array(z.tuple([count, z.string()])),
  rejected: z.array(z.tuple([count, rejectedSchema])),
  retried: z.array(z.tuple([count, count])),
});
export type RunBody = z.infer<typeof runBodySchema>;

const NEWLINE = 0x0a;

/** Two lines of JSON, each with its checksum; one where there is no body. */
export function encodeRun(head: RunHead, body: RunBody | null): Uint8Array {
  return Buffer.concat([sealJson(head), ...(body === null ? [] : [sealJson(body)])]);
}

/** The head, from the first bytes of an index. Throws E_SEGMENT_CORRUPT, naming the object at `chain`, `start` and `level`. */
export function decodeRunHead(bytes: Uint8Array, chain: ChainName, start: number, level: number): RunHead {
  const key = keys.runIndex(chain, start, level);
  try {
    const end = bytes.indexOf(NEWLINE);
    if (end < 0) throw new TypeError("its first line has no end");
    const head = runHeadSchema.parse(openSealedJson(bytes.subarray(0, end + 1)));
    const isHere =
      head.teacher === chain.teacher &&
      head.stream === chain.stream &&
      head.partition === chain.partition &&
      head.origin === chain.origin &&
      head.start === start &&
      head.level === level &&
      head.end > start;
    if (!isHere)
      throw new TypeError(
        `it is of ${head.stream}/${head.partition} over [${head.start}, ${head.end}), level ${head.level}`,
      );
    return head;
  } catch (error) {
    throw corruptRun(key, start, error);
  }
}

/** The body, from all bytes of an index; null where it has gone. Throws E_SEGMENT_CORRUPT. */
export function decodeRunBody(bytes: Uint8Array, { hasBody, segments, ...head }: RunHead): RunBody | null {
  if (!hasBody) return null;
  const key = keys.runIndex(head, head.start, head.level);
  try {
    const first = bytes.indexOf(NEWLINE);
    const body = runBodySchema.parse(openSealedJson(bytes.subarray(first + 1)));
    for (const [name, column] of Object.entries(body.segments)) {
      if (column.length !== segments)
        throw new TypeError(`it has ${segments} segments, and ${column.length} of "${name}"`);
    }
    return body;
  } catch (error) {
    throw corruptRun(key, head.start, error);
  }
}

function corruptRun(key: string, start: number, cause: unknown): SluiceError {
  return new SluiceError(
    "E_SEGMENT_CORRUPT",
    `Expected the index of a run of archived segments from offset ${start} on at ${key}, found other bytes: ${messageOf(cause)}. ` +
      "Restore the object from a copy.",
    { cause, key, start },
  );
}
