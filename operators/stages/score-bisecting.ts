import type { Engine } from "../../connectors/engine/engine.js";
import { isSluiceError } from "../../schemas/errors.js";

/** Images in a row that may each end their worker before the engine itself is held to be broken. */
const MOST_STRIKES = 3;

/** Runs batches of one engine and finds the image at fault where one of them ends its worker. */
export class BisectingScorer {
  readonly #engine: Engine;
  readonly #imageBytes: number;
  readonly #classCount: number;
  #strikes = 0;

  /** `imageBytes`: bytes of one image's pixels. `classCount`: C. */
  constructor(engine: Engine, imageBytes: number, classCount: number) {
    this.#engine = engine;
    this.#imageBytes = imageBytes;
    this.#classCount = classCount;
  }

  /**
   * Logits of each image, [C] each, or null for an image that ends its worker whenever it is tried.
   * `pixels` is [n x imageBytes]. Throws what the engine throws otherwise, and E_ENGINE_CRASH when nothing but crashes comes.
   */
  async score(pixels: Uint8Array): Promise<(Float32Array | null)[]> {
    const count = pixels.length / this.#imageBytes;
    try {
      const logits = await this.#engine.score({ count, pixels });
      this.#strikes = 0;
      return Array.from({ length: count }, (_, row) =>
        logits.subarray(row * this.#classCount, (row + 1) * this.#classCount),
      );
    } catch (error) {
      if (!isSluiceError(error, "E_ENGINE_CRASH")) throw error;
      if (count === 1) {
        if (++this.#strikes >= MOST_STRIKES) throw error;
        return [null];
      }
      const half = Math.ceil(count / 2) * this.#imageBytes;
      return [...(await this.score(pixels.subarray(0, half))), ...(await this.score(pixels.subarray(half)))];
    }
  }
}
