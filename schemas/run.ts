import { crc32 } from "node:zlib";
import { z } from "zod";
import { counted } from "./counted.js";
import { repairsOf } from "./damage-repairs.js";
import { messageOf, SluiceError } from "./errors.js";
import { keys, type ChainName } from "./keys.js";
import { openSealedJson, sealJson } from "./sealed-json.js";
import { engineInfoSchema, keepersSchema, recordCountsSchema, rejectedSchema } from "./segment.js";

export const RUN_VERSION = 2;
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
  /** Of the bytes [start, end), as an unsigned number; looked at on each read */
  crc32: count,
  /** The rows once more, each on its own, so that one is read by one range: see `row-records.ts` */
  records: z.strictObject({
    /** Bytes [start, end) of the file */
    start: count,
    end: count,
    /** Of a class, 2 or 4 */
    classBytes: z.union([z.literal(2), z.literal(4)]),
    /** Keys of a row: M, or 1 where the others follow from it and the logits */
    keys: z.int().positive(),
    crc32: count,
  }),
});
export type RowGroupPlace = z.infer<typeof rowGroupPlaceSchema>;

/** Where a file's rows are found by their digests: see `digest-index.ts` */
const digestsPlaceSchema = z.strictObject({
  /** Bytes [start, directory) of the file: the entries; [directory, end): what is read before them */
  start: count,
  directory: count,
  end: count,
  rows: count,
  /** Row groups of the file */
  groups: count,
  /** Of the bytes [directory, end) */
  crc32: count,
});
export type DigestsPlace = z.infer<typeof digestsPlaceSchema>;

const runFileSchema = z.strictObject({ key: z.string(), sizeBytes: count, digests: digestsPlaceSchema });
export type RunFileEntry = z.infer<typeof runFileSchema>;

const quarantineSchema = z.strictObject({
  /** Records of the chain that were refused and not taken up again in it, by the code that they were refused with */
  open: z.record(z.string(), count),
  /** Taken up again in this chain, refused in another one of its partition */
  others: count,
});
export type QuarantineCounts = z.infer<typeof quarantineSchema>;

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
  files: z.array(runFileSchema),
  /** Of the chain's records below `end`, those in quarantine by code */
  quarantine: quarantineSchema,
  /** The lines behind this one, one for so many segments: where each ends, as an offset and in bytes behind this line, and its CRC-32:
   * an erasure may write the index anew while it is read. None where a run of a higher level has taken its place: then they are gone, and the files are */
  blocks: z.array(z.tuple([count, count, count])),
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

/** What a run says of some segments that follow on each other, in a line of its index: columns with an entry a segment. */
export const runBlockSchema = z.strictObject({
  start: count,
  /** Records of the chain below `start` */
  before: recordCountsSchema,
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
  packs: z.array(z.tuple([count, z.string()])),
});
export type RunBlock = z.infer<typeof runBlockSchema>;

const NEWLINE = 0x0a;

/** Lines of JSON, each with its checksum: the head, and the blocks. */
export function encodeRun(head: Omit<RunHead, "blocks">, blocks: readonly RunBlock[]): Uint8Array {
  const lines = blocks.map((block) => sealJson(block));
  let at = 0;
  const places = lines.map((line, index): [number, number, number] => {
    at += line.length;
    return [blocks[index]!.segments.end.at(-1)!, at, crc32(line)];
  });
  const first = sealJson({ ...head, blocks: places });
  if (first.length <= RUN_HEAD_BYTES) return Buffer.concat([first, ...lines]);
  const key = keys.runIndex(head, head.start, head.level);
  throw new SluiceError("E_INTERNAL", `The head of ${key} has ${first.length} bytes, more than ${RUN_HEAD_BYTES}.`);
}

/** A head, and where the lines behind it begin in the index, bytes. */
export interface PlacedHead {
  readonly head: RunHead;
  readonly blocksAt: number;
}

/** The head, from the first bytes of an index. Throws E_SEGMENT_CORRUPT, naming the object at `chain`, `start` and `level`. */
export function decodeRunHead(bytes: Uint8Array, chain: ChainName, start: number, level: number): PlacedHead {
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
    return { head, blocksAt: end + 1 };
  } catch (error) {
    throw corruptRun(key, start, error);
  }
}

/** One line behind the head. Throws E_SEGMENT_CORRUPT where it is not the one that the head means by `place`. */
export function decodeRunBlock(line: Uint8Array, head: RunHead, [end, , crc]: RunHead["blocks"][number]): RunBlock {
  try {
    if (crc32(line) !== crc)
      throw new TypeError(`the line up to offset ${end} has another checksum than the first line says`);
    const block = runBlockSchema.parse(openSealedJson(line));
    const { end: ends } = block.segments;
    if (ends.at(-1) !== end) throw new TypeError(`a line is of segments up to ${ends.at(-1)}, not ${end}`);
    for (const [name, column] of Object.entries(block.segments)) {
      if (column.length !== ends.length)
        throw new TypeError(`it has ${counted(ends.length, "segment")}, and ${column.length} of "${name}"`);
    }
    return block;
  } catch (error) {
    // What other lines say of other segments can be read.
    throw corruptRun(keys.runIndex(head, head.start, head.level), head.start, error, { end });
  }
}

function corruptRun(key: string, start: number, cause: unknown, place: { readonly end?: number } = {}): SluiceError {
  return new SluiceError(
    "E_SEGMENT_CORRUPT",
    `Expected the index of a run of archived segments from offset ${start} on at ${key}, found other bytes: ${messageOf(cause)}. ` +
      repairsOf(key),
    { cause, key, start, ...place },
  );
}
