import { counted } from "../../../schemas/counted.js";
import { isSluiceError, SluiceError } from "../../../schemas/errors.js";
import type { EngineConfig } from "../../../schemas/config.js";
import { findBatch, type FoundBatch } from "./find-batch.js";
import { isOutOfMemory } from "./out-of-memory.js";
import { probeBatching, type Batching } from "./probe.js";
import type { PixelBatch } from "../../../schemas/pixels.js";

/** The batch without a setting, on a processor, and of every model whose scores depend on it. */
export const DEFAULT_BATCH = 16;
/** The greatest batch that is tried: 224 x 224 x 3 float32 of it are 154 MB. */
const MOST_BATCH = 256;

export interface BatchingOptions {
  /** Runs exactly the images it is given, in one run */
  readonly score: (batch: PixelBatch) => Promise<Float32Array>;
  /** Bytes of one image */
  readonly imageBytes: number;
  /** The only batch that the model takes, or null */
  readonly fixedBatch: number | null;
  /** What the configuration says; absent: by the device */
  readonly asked: EngineConfig["batch"];
  readonly device: "cpu" | "gpu";
  readonly nowMs: () => number;
  readonly onNote: (line: string) => void;
}

/**
 * How batches are cut for this model on this device: probes whether scores depend on the batch and, for `auto`, finds the
 * size by timing. Where memory is short the size is halved. A size that was timed decides on memory and speed only: where scores
 * depend on it, it stays what the configuration says. Throws E_ENGINE_RUN where memory would have to decide on scores.
 */
export async function batchingOf(options: BatchingOptions): Promise<Batching> {
  const { score, imageBytes, fixedBatch, device, nowMs, onNote } = options;
  const asked = options.asked ?? (device === "gpu" ? "auto" : DEFAULT_BATCH);
  if (fixedBatch !== null) {
    // Every run has that size; position and neighbours remain to be probed.
    return await probeBatching(score, imageBytes, fixedBatch, { nowMs, fixed: true });
  }
  if (asked !== "auto") return await probeInMemory(asked, options);
  const first = await probeInMemory(DEFAULT_BATCH, options);
  // Slow, or short of memory: no larger one comes into question.
  if (first.batchInvariant === "yes" && first.batch < DEFAULT_BATCH) return first;
  let pixels = new Uint8Array(0);
  const found = await findBatch(
    (count) => {
      if (pixels.length !== count * imageBytes) pixels = new Uint8Array(count * imageBytes).fill(128);
      return score({ count, pixels });
    },
    // Made pixels are no poison: what ends a worker in a longer run only is that it is longer.
    { most: MOST_BATCH, isTooLarge: (error) => isOutOfMemory(error) || isSluiceError(error, "E_ENGINE_CRASH"), nowMs },
  );
  if (first.batchInvariant === "padded") {
    const advice =
      found.batch === first.batch ? "" : `; engine.batch: ${found.batch} would be quickest, with other last bits`;
    onNote(`engine: scores depend on the batch, so it stays ${first.batch}${advice} (${trialsText(found)})`);
    return first;
  }
  const batching =
    found.batch <= first.batch ? { ...first, batch: found.batch } : await largerIfSame(first, found.batch, options);
  onNote(`engine: batch ${batching.batch} found by trying (${trialsText(found)})`);
  return batching;
}

/** A larger size, where it gives the bits that smaller ones give. */
async function largerIfSame(first: Batching, batch: number, options: BatchingOptions): Promise<Batching> {
  const larger = await probeInMemory(batch, options);
  return larger.batchInvariant === "yes" && larger.batch > first.batch ? larger : first;
}

async function probeInMemory(asked: number, options: BatchingOptions): Promise<Batching> {
  const { score, imageBytes, nowMs, onNote } = options;
  for (let batch = asked; ; batch >>= 1) {
    try {
      const batching = await probeBatching(score, imageBytes, batch, { nowMs, fixed: false });
      if (batch < asked && batching.batchInvariant === "padded") throw memoryDecides(asked, batch, null);
      return batching;
    } catch (error) {
      if (batch === 1 || !isOutOfMemory(error) || isMemoryRefusal(error)) throw error;
      onNote(`engine: no memory for a batch of ${batch}; going on with ${batch >> 1}`);
    }
  }
}

/** Halves the greatest run where memory is short, for as long as the engine is open. */
export class RunSize {
  readonly #padTo: number | null;
  readonly #onNote: (line: string) => void;
  #batch: number;

  /** `padTo`: images in every run, where there is such a number */
  constructor(batch: number, padTo: number | null, onNote: (line: string) => void) {
    this.#batch = batch;
    this.#padTo = padTo;
    this.#onNote = onNote;
  }

  /** Images in one run at most */
  get batch(): number {
    return this.#batch;
  }

  /**
   * Runs a batch whole, again in smaller runs where memory was short: `run` is given the greatest run. What it answers comes back once,
   * whatever was tried before. Throws what `run` throws otherwise, and E_ENGINE_RUN where no smaller run is left.
   */
  async fit<Made>(count: number, run: (mostAtOnce: number) => Promise<Made>): Promise<Made> {
    for (;;) {
      const tried = Math.min(this.#batch, count);
      try {
        return await run(this.#batch);
      } catch (error) {
        if (!isOutOfMemory(error)) throw error;
        if (this.#padTo !== null && this.#padTo > 1) throw memoryDecides(this.#padTo, this.#padTo >> 1, error);
        // One image that ends its worker is judged as such an image is.
        if (tried === 1) throw error;
        const half = tried >> 1;
        // Batches that failed together ask for the same half once.
        if (half < this.#batch) {
          this.#batch = half;
          this.#onNote(`engine: memory ran short in a run of ${tried}; going on with ${half} at most`);
        }
      }
    }
  }
}

function memoryDecides(asked: number, fitting: number, cause: unknown): SluiceError {
  return new SluiceError(
    "E_ENGINE_RUN",
    `Expected memory for runs of ${counted(asked, "image")}, found that it is short, and this model's scores depend on that number: it is not lowered by itself. ` +
      `Set engine.batch to ${fitting} or less, or export the model with such a batch; images scored before keep their scores.`,
    { batch: asked, refused: true, cause },
  );
}

function isMemoryRefusal(error: unknown): boolean {
  return error instanceof SluiceError && error.context["refused"] === true;
}

/** `1: 40, 2: 76, 4: 120 images/s; no memory for 8` */
function trialsText({ trials, tooLarge }: FoundBatch): string {
  const rates = trials.map(
    ({ batch, imagesPerS }) => `${batch}: ${imagesPerS < 100 ? imagesPerS.toPrecision(3) : Math.round(imagesPerS)}`,
  );
  return `${rates.join(", ")} images/s${tooLarge === null ? "" : `; no memory for ${tooLarge}`}`;
}
