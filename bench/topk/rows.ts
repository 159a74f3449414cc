import {
  RecordBatch,
  RecordBatchFileWriter,
  Field,
  Float64,
  Int32,
  Int64,
  Schema,
  Struct,
  makeData,
} from "apache-arrow";
import { createWriteStream } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { DIGEST_BYTES, type ScoredBatch } from "../../schemas/scored-batch.js";
import { encodeSegment, SEGMENT_VERSION, type SegmentHeader } from "../../schemas/segment.js";
import { randomWords, zipfTable } from "../../test/fixtures/random.js";
import { CLASSES, TOP_M } from "./shape.js";

/**
 * Writes the same rows twice: `archive/*.arrow`, segments as Sluice's archive has them, and `rows.arrow`, one Arrow
 * file of plain columns (image: int64, class: int32, score: float64) for the peers. Image i has offset i.
 */
export async function makeRows(folder: string, images: number, imagesPerSegment: number): Promise<void> {
  await mkdir(join(folder, "archive"));
  const random = randomWords(20_190_502);
  const zipf = zipfTable(CLASSES);
  const schema = new Schema([
    new Field("image", new Int64(), false),
    new Field("class", new Int32(), false),
    new Field("score", new Float64(), false),
  ]);
  const writer = new RecordBatchFileWriter();
  const written = pipeline(writer.toNodeStream(), createWriteStream(join(folder, "rows.arrow")));
  for (let start = 0; start < images; start += imagesPerSegment) {
    const batch = makeBatch(start, Math.min(imagesPerSegment, images - start), random, zipf);
    const name = `${String(start).padStart(20, "0")}.arrow`;
    await writeFile(join(folder, "archive", name), encodeSegment({ header: headerOf(start, batch.count), batch }));
    writer.write(plainRows(batch, schema));
  }
  writer.close();
  await written;
}

function makeBatch(start: number, count: number, random: () => number, zipf: Uint16Array): ScoredBatch {
  const digest = new Uint8Array(count * DIGEST_BYTES);
  const digestWords = new Uint32Array(digest.buffer);
  for (let i = 0; i < digestWords.length; i++) digestWords[i] = random();
  const classes = new Int32Array(count * TOP_M);
  const keys = new Float64Array(count * TOP_M);
  for (let row = 0; row < count; row++) {
    const at = row * TOP_M;
    for (let place = 0; place < TOP_M; place++) {
      let drawn: number;
      do drawn = zipf[random() >>> 16]!;
      while (classes.subarray(at, at + place).includes(drawn));
      classes[at + place] = drawn;
      // 53 bits, so that no two scores are equal by accident
      keys[at + place] = Math.log((random() * 2 ** 21 + (random() >>> 11) + 1) / 2 ** 53);
    }
    keys
      .subarray(at, at + TOP_M)
      .sort()
      .reverse();
  }
  const text = (make: (row: number) => string | null) => ({ get: make });
  return {
    count,
    topM: TOP_M,
    digest,
    partition: new Int32Array(count),
    offset: BigInt64Array.from({ length: count }, (_, row) => BigInt(start + row)),
    eventTimeMs: new BigInt64Array(count).fill(1_556_800_000_000n),
    copied: new Uint8Array(count),
    bytes: new Uint8Array(count),
    pack: text(() => null),
    uri: text((row) => `file:///photographs/${start + row}.jpg`),
    sizeBytes: new Uint32Array(count).fill(100_000),
    width: new Uint32Array(count).fill(500),
    height: new Uint32Array(count).fill(375),
    pdq: digest,
    pdqQuality: new Uint8Array(count).fill(100),
    licence: text(() => null),
    origin: text(() => null),
    notes: text(() => null),
    retryOf: new BigInt64Array(count).fill(-1n),
    classes,
    keys,
    logits: Float32Array.from(keys),
    logSumExp: new Float64Array(count),
    allLogits: null,
    embedding: null,
  };
}

function headerOf(start: number, count: number): SegmentHeader {
  return {
    schemaVersion: SEGMENT_VERSION,
    teacher: "0".repeat(64),
    stream: "images",
    partition: 0,
    origin: 0,
    start,
    end: start + count,
    counts: { in: count, scored: count, copied: 0, quarantined: 0, lost: 0 },
    watermarkMs: 1_556_800_000_000,
    engine: { name: "made", version: "1", backend: "none", device: "none", batchInvariant: "yes", batch: 1 },
    codeVersion: "1",
    lostReason: null,
    keepers: [],
    rejected: [],
    retried: [],
    pack: null,
  };
}

function plainRows(batch: ScoredBatch, schema: Schema): RecordBatch {
  const length = batch.count * TOP_M;
  const image = BigInt64Array.from({ length }, (_, i) => batch.offset[Math.floor(i / TOP_M)]!);
  const children = [
    makeData({ type: new Int64(), data: image, length, nullCount: 0 }),
    makeData({ type: new Int32(), data: batch.classes, length, nullCount: 0 }),
    makeData({ type: new Float64(), data: batch.keys, length, nullCount: 0 }),
  ];
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length, nullCount: 0, children }));
}
