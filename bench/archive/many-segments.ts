import { join } from "node:path";
import { openUri } from "../../connectors/source/open-uri.js";
import { openFilesystemStore } from "../../connectors/store/filesystem/filesystem-store.js";
import type { Store } from "../../connectors/store/store.js";
import { openLiveChains } from "../../operators/archive/chain.js";
import { currentFrontier } from "../../operators/archive/archive-reader.js";
import { SegmentBuilder } from "../../operators/archive/segment-builder.js";
import { writeSegment } from "../../operators/archive/segment-objects.js";
import { saveCard } from "../../operators/archive/teacher-registry.js";
import { imageBytes } from "../../operators/image/image-bytes.js";
import { cut } from "../../operators/state/cut.js";
import { rankRows } from "../../operators/topk/rank-rows.js";
import { publish } from "../../operators/version/publish.js";
import { compact } from "../../pipelines/compact.js";
import { LiveDatasets } from "../../pipelines/flow/live-datasets.js";
import { sha256, sha256Hex } from "../../schemas/canonical.js";
import { configSchema } from "../../schemas/config.js";
import type { ChainName } from "../../schemas/keys.js";
import { modelCardSchema, teacherDigest } from "../../schemas/model-card.js";
import { BYTES } from "../../schemas/scored-batch.js";
import { SEGMENT_VERSION, type Segment } from "../../schemas/segment.js";
import { openMemoryStore } from "../../test/fixtures/memory-store.js";
import { randomWords } from "../../test/fixtures/random.js";

const CLASSES = 100;
export const TOP_M = 32;
/** Images a segment: few, so that a hundred thousand segments fit a disk; what is measured are segments */
const IMAGES = 8;
const PARTITIONS = 2;
/** Segments of each chain that came since it was compacted */
const TAIL = 24;
/** Segments of each chain that are written before the next compaction: what upkeep beside a scorer finds due, some sixteen runs */
const BETWEEN_COMPACTIONS = 4096;
/** Longer than the grace of what runs have taken over */
const TWO_HOURS_MS = 7_200_000;
/** Segments of each chain that the small version was cut over */
const VERSION_SEGMENTS = 100;
const FIRST_MS = 1_760_000_000_000;
export const NOW_MS = 1_790_000_000_000;

export const CONFIG = configSchema.parse({
  stream: "images",
  partitions: PARTITIONS,
  archive: { topM: TOP_M },
  datasets: [{ name: "small", select: { k: 10 } }],
});
export const DATASET = CONFIG.datasets[0]!;

const SHA256 = sha256Hex("archive bench");
export const CARD = modelCardSchema.parse({
  schemaVersion: 1,
  name: "made-up scores",
  format: "onnx",
  weights: { files: [{ path: "model.onnx", sizeBytes: 1, sha256: SHA256 }], sha256: SHA256 },
  input: { width: 224, height: 224 },
  resize: {},
  normalise: { mean: [0], std: [1] },
  output: { kind: "logits" },
  labels: Array.from({ length: CLASSES }, (_, index) => `class ${index}`),
});
export const ARCHIVE = { teacher: teacherDigest(CARD), stream: CONFIG.stream };
export const CHAINS: readonly ChainName[] = Array.from({ length: PARTITIONS }, (_, partition) => ({
  ...ARCHIVE,
  partition,
  origin: 0,
}));

/**
 * An archive of so many small segments as it stands after `sluice compact`, with a short tail that came since, a checkpoint at
 * its runs' end and one small version of its first segments. It is made in memory, by what a scorer and its upkeep write with, and put into
 * the folder as it is at last: a disk would be asked to make each segment durable that compaction deletes.
 */
export async function makeManySegments(folder: string, segments: number): Promise<void> {
  const store = openMemoryStore();
  await saveCard(store, CARD);
  await openLiveChains(store, ARCHIVE, new Array<number>(PARTITIONS).fill(0));
  const each = segments / PARTITIONS;
  let attempts = 0;
  let nowMs = NOW_MS;
  const compactAll = async (dueOnly: boolean): Promise<void> => {
    await compact({ store, ...ARCHIVE, dueOnly, nowMs: () => nowMs, attempt: () => `bench${attempts++}` });
    nowMs += TWO_HOURS_MS;
  };
  for (let from = 0; from < each - TAIL; from += BETWEEN_COMPACTIONS) {
    await writeAll(store, from, Math.min(each - TAIL, from + BETWEEN_COMPACTIONS));
    await compactAll(true);
  }
  // The second time the grace is over: what runs have is deleted.
  for (let time = 0; time < 2; time++) await compactAll(false);
  const live = await LiveDatasets.restore(
    { store, datasets: CONFIG.datasets, ...ARCHIVE, card: CARD, ...CONFIG.checkpoint },
    [],
  );
  for (const { end, ...place } of await currentFrontier(store, ARCHIVE))
    await live.catchUp({ ...ARCHIVE, ...place }, end);
  await live.checkpoint();
  await publishSmall(store, Math.min(VERSION_SEGMENTS, (each - TAIL) >> 1) * IMAGES);
  await writeAll(store, each - TAIL, each);
  const made = await openFilesystemStore(join(folder, "store"));
  for await (const { key } of store.list("")) await made.put(key, await store.get(key));
  await made.close();
}

async function writeAll(store: Store, from: number, to: number): Promise<void> {
  const queue = CHAINS.flatMap((chain) => Array.from({ length: to - from }, (_, at) => [chain, from + at] as const));
  const turns = queue.values();
  await Promise.all(
    Array.from({ length: 32 }, async () => {
      for (const [chain, at] of turns) await writeSegment(store, chain, segmentAt(chain, at));
    }),
  );
}

async function publishSmall(store: Store, end: number): Promise<void> {
  const frontier = CHAINS.map(({ partition, origin }) => ({ partition, origin, end }));
  const made = await cut({ store, dataset: DATASET, card: CARD, stream: ARCHIVE.stream, frontier, trigger: "bench" });
  await publish(made, {
    store,
    read: imageBytes({ store, opener: openUri() }).read,
    sheets: null,
    automatic: false,
    onConflict: "refuse",
    now: () => new Date(NOW_MS),
    codeVersion: "bench",
    attempt: "bench",
    commitId: "bench",
  });
}

/** How many images a chain of so many segments has. */
export function imagesIn(segments: number): number {
  return segments * IMAGES;
}

/** The digest of an image, made up. */
export function digestAt(partition: number, offset: number): Uint8Array {
  return sha256(Buffer.from(`${partition}/${offset}`));
}

/** The same each time. */
export function segmentAt(chain: ChainName, at: number): Segment {
  const start = at * IMAGES;
  const random = randomWords(1 + chain.partition * 1_000_003 + at);
  const logits = Float32Array.from({ length: IMAGES * CLASSES }, () => (random() / 2 ** 32) * 12);
  const ranked = rankRows(logits, IMAGES, CLASSES, TOP_M, 1);
  const builder = new SegmentBuilder({
    partition: chain.partition,
    topM: TOP_M,
    classCount: null,
    embeddingSize: null,
    start,
    watermarkMs: null,
  });
  for (let row = 0; row < IMAGES; row++) {
    const offset = start + row;
    const [from, to] = [row * TOP_M, (row + 1) * TOP_M];
    const digest = digestAt(chain.partition, offset);
    builder.add(
      {
        offset,
        eventTimeMs: FIRST_MS + 10 * offset,
        digest,
        uri: `log://${chain.stream}/${chain.partition}/${offset}`,
        sizeBytes: 110_000,
        licence: null,
        origin: null,
        retryOf: null,
      },
      {
        classes: ranked.classes.subarray(from, to),
        keys: ranked.keys.subarray(from, to),
        logits: ranked.logits.subarray(from, to),
        logSumExp: ranked.logSumExp[row]!,
        allLogits: null,
        embedding: null,
        pdq: { hash: digest, quality: 100 },
        notes: null,
        width: 500,
        height: 375,
      },
      false,
      BYTES.absent,
    );
  }
  const header = {
    schemaVersion: SEGMENT_VERSION,
    ...chain,
    start,
    end: builder.end,
    counts: builder.counts(),
    watermarkMs: builder.watermarkMs,
    engine: { name: "made-up", version: "1", backend: "none", device: "none", batchInvariant: "yes", batch: 1 },
    codeVersion: "bench",
    lostReason: null,
    keepers: [],
    rejected: [],
    retried: [],
    pack: null,
  } as const;
  return { header: { ...header, rejected: [], retried: [], keepers: [] }, batch: builder.build() };
}
