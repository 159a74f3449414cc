import type { Engine } from "../../connectors/engine/engine.js";
import { isSluiceError } from "../../schemas/errors.js";

/** Runs batches of one engine and finds the image at fault where one of them ends its worker. */
export class BisectingScorer {
  readonly #engine: Engine;
  readonly #imageBytes: number;
  readonly #width: number;
  /** One image that the engine has scored; grey before the first */
  #sound: Uint8Array;
  #hasScored = false;

  /** `imageBytes`: bytes of one image's pixels. `width`: values that the engine gives an image. */
  constructor(engine: Engine, imageBytes: number, width: number) {
    this.#engine = engine;
    this.#imageBytes = imageBytes;
    this.#width = width;
    this.#sound = new Uint8Array(imageBytes).fill(128);
  }

  /**
   * What the engine gives each image (logits, embedding), [width] each, or null for an image that ends its worker whenever it is tried, while a sound one does not.
   * `pixels` is [n x imageBytes]. Throws what the engine throws otherwise, and E_ENGINE_CRASH where a sound image ends it too.
   */
  async score(pixels: Uint8Array): Promise<(Float32Array | null)[]> {
    const count = pixels.length / this.#imageBytes;
    try {
      const scores = await this.#engine.score({ count, pixels });
      if (!this.#hasScored) this.#sound = pixels.slice(0, this.#imageBytes);
      this.#hasScored = true;
      return Array.from({ length: count }, (_, row) => scores.subarray(row * this.#width, (row + 1) * this.#width));
    } catch (error) {
      if (!isSluiceError(error, "E_ENGINE_CRASH")) throw error;
      if (count === 1) {
        await this.#engine.score({ count, pixels: this.#sound });
        return [null];
      }
      const half = Math.ceil(count / 2) * this.#imageBytes;
      return [...(await this.score(pixels.subarray(0, half))), ...(await this.score(pixels.subarray(half)))];
    }
  }
}
