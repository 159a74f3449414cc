import type { Copied, Fetched, Refused, Scored } from "./image-in-flight.js";
import { hexDigest } from "./image-in-flight.js";

/** Where the archive has the scores of a digest already. A cache of the archive: what it does not know is scored again. */
export interface ScoreIndex {
  /** `digest` is 32 bytes. Settles when the row has been read; null where the archive has none. */
  find(digest: Uint8Array): Promise<Scored> | null;
}

/**
 * Gives an image that came before the scores of its first row. It is called in the order of the records, so an image
 * only ever waits for one that is ahead of it in the flow.
 */
export class Dedupe {
  readonly #index: ScoreIndex;
  readonly #open = new Map<string, { scored: Promise<Scored>; settle: (scored: Scored) => void }>();

  constructor(index: ScoreIndex) {
    this.#index = index;
  }

  /** The first of its digest goes on to be decoded; `settle` must be called for it. */
  onImage(image: Fetched | Refused): Fetched | Refused | Copied {
    if (image.kind === "refused") return image;
    const { origin, bytes } = image;
    const name = hexDigest(origin.digest);
    const scores = this.#open.get(name)?.scored ?? this.#index.find(origin.digest);
    if (scores !== null) return { kind: "copied", origin, bytes, scores };
    let settle: (scored: Scored) => void = () => undefined;
    const scored = new Promise<Scored>((resolve) => {
      settle = resolve;
    });
    this.#open.set(name, { scored, settle });
    return image;
  }

  /** Says what became of a digest that `onImage` let through. */
  settle(digest: Uint8Array, scored: Scored): void {
    this.#open.get(hexDigest(digest))?.settle(scored);
  }

  /** Forgets a digest, once the index knows it or its record has been quarantined. */
  forget(digestHex: string): void {
    this.#open.delete(digestHex);
  }
}
