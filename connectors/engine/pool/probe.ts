import type { PixelBatch } from "../../../schemas/pixels.js";

/** How batches are cut into runs so that a row's bits do not depend on its batch. */
export interface Batching {
  readonly batchInvariant: "yes" | "padded";
  /** Images in one run at most; with `padded` in every run */
  readonly batch: number;
}

/** Sizes whose code paths tend to differ: one row, a pair, a vector's remainder, more than one vector. */
const SIZES = [2, 3, 7];
/** A model slower than this an image, ms, is probed with short batches only, and run with no longer ones. */
const SLOW_MS = 250;
const SLOW_BATCH = 3;

/**
 * Finds out whether a model's scores depend on batch size, position and neighbours, by comparing the bits of the same
 * pseudo-random images scored alone, in odd sizes and in a full batch. `score` runs exactly the images it is given in one run.
 * Costs about two full batches (`fixed`, where every run is as long as a full one: at most eight runs). Where sizes differ, but a full batch gives each image the same bits at every position,
 * every run is padded to `batch`; where not even that holds, images run one by one.
 */
export async function probeBatching(
  score: (batch: PixelBatch) => Promise<Float32Array>,
  imageBytes: number,
  batch: number,
  { nowMs, fixed }: { readonly nowMs: () => number; readonly fixed: boolean },
): Promise<Batching> {
  if (batch === 1) return { batchInvariant: "yes", batch };
  const pixels = randomPixels(batch * imageBytes);
  const range = (from: number, count: number): PixelBatch => ({
    count,
    pixels: pixels.slice(from * imageBytes, (from + count) * imageBytes),
  });
  const startedMs = nowMs();
  const alone = await score(range(0, 1));
  const slow = !fixed && nowMs() - startedMs > SLOW_MS;
  const most = slow ? Math.min(batch, SLOW_BATCH) : batch;
  const width = alone.length;
  const row = (scores: Float32Array, at: number) => scores.subarray(at * width, (at + 1) * width);

  const full = await score(range(0, most));
  // The last image alone too: every size is held against a second image, at another position.
  let invariant = sameBits(alone, row(full, 0)) && sameBits(await score(range(most - 1, 1)), row(full, most - 1));
  for (const size of SIZES) {
    if (!invariant || size >= most) break;
    const scores = await score(range(most - size, size));
    for (let at = 0; at < size; at++) invariant &&= sameBits(row(scores, at), row(full, most - size + at));
  }
  if (invariant) return { batchInvariant: "yes", batch: most };

  // Full batches, every image at another position and among other neighbours (black ones, as padding is).
  const whole = most === batch ? full : await score(range(0, batch));
  const half = batch >> 1;
  const [early, late] = [new Uint8Array(pixels.length), new Uint8Array(pixels.length)];
  early.set(pixels.subarray(half * imageBytes));
  late.set(pixels.subarray(0, half * imageBytes), pixels.length - half * imageBytes);
  const [earlyScores, lateScores] = [
    await score({ count: batch, pixels: early }),
    await score({ count: batch, pixels: late }),
  ];
  for (let at = 0; at < batch; at++) {
    const again = at < half ? row(lateScores, batch - half + at) : row(earlyScores, at - half);
    if (!sameBits(row(whole, at), again)) return { batchInvariant: "padded", batch: 1 };
  }
  return { batchInvariant: "padded", batch };
}

/** Equal as bits: NaN equals NaN, 0 differs from -0. */
function sameBits(a: Float32Array, b: Float32Array): boolean {
  const bits = (values: Float32Array) => new Uint32Array(values.buffer, values.byteOffset, values.length);
  const [one, other] = [bits(a), bits(b)];
  return one.length === other.length && one.every((word, at) => word === other[at]);
}

/** mulberry32 with a fixed seed: any pixels do, as long as they are the same everywhere. */
function randomPixels(length: number): Uint8Array {
  const pixels = new Uint8Array(length);
  let state = 0x9e3779b9;
  for (let at = 0; at < length; at++) {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    pixels[at] = mixed >>> 24;
  }
  return pixels;
}
