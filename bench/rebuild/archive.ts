import { join } from "node:path";
import { openFilesystemStore } from "../../connectors/store/filesystem/filesystem-store.js";
import { liveChain } from "../../operators/archive/chain.js";
import { writeSegment } from "../../operators/archive/segment-objects.js";
import { saveCard } from "../../operators/archive/teacher-registry.js";
import { sha256Hex } from "../../schemas/canonical.js";
import type { ChainName } from "../../schemas/keys.js";
import { modelCardSchema, teacherDigest, type ModelCard } from "../../schemas/model-card.js";
import { BYTES, DIGEST_BYTES, type ScoredBatch } from "../../schemas/scored-batch.js";
import { SEGMENT_VERSION, type SegmentHeader } from "../../schemas/segment.js";
import { randomWords, zipfTable } from "../../test/fixtures/random.js";

export const CLASSES = 1000;
export const TOP_M = 32;
export const STREAM = "images";
const PARTITIONS = 2;
/** Images a segment: the default of `archive.segmentRecords` */
const SEGMENT_IMAGES = 2048;
const FIRST_MS = 1_760_000_000_000;

export interface ArchiveShape {
  /** Between the event times of two images of a partition. Default 10 */
  readonly everyMs?: number;
  /** No image has bytes; by default all lie where their uris say */
  readonly isAbsent?: boolean;
}

/**
 * Writes an archive as a scorer leaves it, with made-up scores: every image has its 32 best of 1000 classes, the best one
 * drawn by a Zipf law. The same seed gives the same bytes.
 */
export async function makeArchive(
  folder: string,
  images: number,
  { everyMs = 10, isAbsent = false }: ArchiveShape = {},
): Promise<void> {
  const store = await openFilesystemStore(join(folder, "store"), { concurrency: 4 });
  const card = benchCard();
  await saveCard(store, card);
  const random = randomWords(20_261_124);
  const zipf = zipfTable(CLASSES);
  const each = images / PARTITIONS;
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const chain = await liveChain(store, { teacher: teacherDigest(card), stream: STREAM, partition }, 0);
    const writing: Promise<unknown>[] = [];
    for (let start = 0; start < each; start += SEGMENT_IMAGES) {
      const made = makeBatch(partition, start, Math.min(SEGMENT_IMAGES, each - start), random, zipf);
      const eventTimeMs = made.offset.map((offset) => BigInt(FIRST_MS) + BigInt(everyMs) * offset);
      const bytes = isAbsent ? new Uint8Array(made.count).fill(BYTES.absent) : made.bytes;
      const batch = { ...made, eventTimeMs, bytes };
      const header = { ...headerOf(chain, start, batch.count), watermarkMs: Number(eventTimeMs.at(-1)!) };
      writing.push(writeSegment(store, chain, { header, batch }));
      if (writing.length === 4) await Promise.all(writing.splice(0));
    }
    await Promise.all(writing);
  }
  await store.close();
}

export function benchCard(): ModelCard {
  const sha256 = sha256Hex("rebuild bench");
  return modelCardSchema.parse({
    schemaVersion: 1,
    name: "made-up scores",
    format: "onnx",
    weights: { files: [{ path: "model.onnx", sizeBytes: 1, sha256 }], sha256 },
    input: { width: 224, height: 224 },
    resize: {},
    normalise: { mean: [0], std: [1] },
    output: { kind: "logits" },
    labels: Array.from({ length: CLASSES }, (_, index) => `class ${index}`),
  });
}

function makeBatch(
  partition: number,
  start: number,
  count: number,
  random: () => number,
  zipf: Uint16Array,
): ScoredBatch {
  const digest = new Uint8Array(count * DIGEST_BYTES);
  const digestWords = new Uint32Array(digest.buffer);
  for (let i = 0; i < digestWords.length; i++) digestWords[i] = random();
  const classes = new Int32Array(count * TOP_M);
  const keys = new Float64Array(count * TOP_M);
  const logits = new Float32Array(count * TOP_M);
  for (let row = 0; row < count; row++) {
    const best = zipf[random() >>> 16]!;
    // An odd step visits every class of a thousand only if 5 does not divide it.
    const step = 10 * (random() % 100) + 1;
    let key = Math.log((random() + 1) / 2 ** 32) / 4;
    for (let place = 0; place < TOP_M; place++) {
      const at = row * TOP_M + place;
      classes[at] = (best + place * step) % CLASSES;
      keys[at] = key;
      logits[at] = key + 12;
      key -= ((random() + 1) / 2 ** 32) * 0.5;
    }
  }
  const text = (make: (row: number) => string | null) => ({ get: make });
  return {
    count,
    topM: TOP_M,
    digest,
    partition: new Int32Array(count).fill(partition),
    offset: BigInt64Array.from({ length: count }, (_, row) => BigInt(start + row)),
    eventTimeMs: new BigInt64Array(count),
    copied: new Uint8Array(count),
    bytes: new Uint8Array(count).fill(BYTES.refer),
    pack: text(() => null),
    uri: text((row) => `https://images.example/${partition}/${start + row}.jpg`),
    sizeBytes: new Uint32Array(count).fill(110_000),
    width: new Uint32Array(count).fill(500),
    height: new Uint32Array(count).fill(375),
    pdq: digest,
    pdqQuality: new Uint8Array(count).fill(100),
    licence: text((row) => (row % 2 === 0 ? "CC-BY-4.0" : null)),
    origin: text(() => null),
    notes: text(() => null),
    retryOf: new BigInt64Array(count).fill(-1n),
    classes,
    keys,
    logits,
    logSumExp: new Float64Array(count).fill(12),
    allLogits: null,
    embedding: null,
  };
}

function headerOf(chain: ChainName, start: number, count: number): SegmentHeader {
  return {
    schemaVersion: SEGMENT_VERSION,
    ...chain,
    start,
    end: start + count,
    counts: { in: count, scored: count, copied: 0, quarantined: 0, lost: 0 },
    watermarkMs: null,
    engine: { name: "made-up", version: "1", backend: "none", device: "none", batchInvariant: "yes", batch: 1 },
    codeVersion: "bench",
    lostReason: null,
    keepers: [],
    rejected: [],
    retried: [],
    pack: null,
  };
}
