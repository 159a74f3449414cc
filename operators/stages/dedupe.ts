import type { Copied, Fetched, Refused, Scored } from "./image-in-flight.js";
import { hexDigest } from "./image-in-flight.js";

/** Where the archive has the scores of a digest already. A cache of the archive: what it does not know is scored again. */
export interface ScoreIndex {
  /** `digest` is 32 bytes. Settles when the row has been read; null where the archive has none. */
  find(digest: Uint8Array): Promise<Scored> | null;
}

/** A digest in flight. */
interface Open {
  readonly scored: Promise<Scored>;
  readonly settle: (scored: Scored) => void;
  readonly fail: (error: unknown) => void;
  /** Records of it that have not been archived yet */
  records: number;
}

/**
 * Gives an image that came before the scores of its first row. It is called in the order of the records, so an image
 * only ever waits for one that is ahead of it in the flow.
 */
export class Dedupe {
  readonly #index: ScoreIndex;
  readonly #open = new Map<string, Open>();
  #failure: { readonly error: unknown } | null = null;

  constructor(index: ScoreIndex) {
    this.#index = index;
  }

  /** The first of its digest goes on to be decoded; `settle` must be called for it. */
  onImage(image: Fetched | Refused): Fetched | Refused | Copied {
    if (image.kind === "refused") return image;
    const { origin, bytes } = image;
    const name = hexDigest(origin.digest);
    const open = this.#open.get(name);
    if (open !== undefined) open.records++;
    const scores = open?.scored ?? this.#index.find(origin.digest);
    if (scores !== null) {
      // They are awaited when the image's turn comes; a read that fails before must not count as unhandled.
      scores.catch(() => undefined);
      return { kind: "copied", origin, bytes, scores };
    }
    let settle: (scored: Scored) => void = () => undefined;
    let fail: (error: unknown) => void = () => undefined;
    const scored = new Promise<Scored>((resolve, reject) => {
      settle = resolve;
      fail = reject;
    });
    scored.catch(() => undefined);
    if (this.#failure !== null) fail(this.#failure.error);
    this.#open.set(name, { scored, settle, fail, records: 1 });
    return image;
  }

  /** Says what became of a digest that `onImage` let through. */
  settle(digest: Uint8Array, scored: Scored): void {
    this.#open.get(hexDigest(digest))?.settle(scored);
  }

  /**
   * Says that a flow has failed: images of any other that wait for one of its scores must not wait for ever, nor be
   * refused for what is not their fault. Waiting for a digest in flight throws `error` from now on.
   */
  fail(error: unknown): void {
    this.#failure ??= { error };
    for (const open of this.#open.values()) open.fail(error);
  }

  /**
   * Says that one record of a digest has been archived, as a row or as a refusal. With the last of those in flight the
   * digest is forgotten: no sooner, since a refused image is in no index, and the next one of it would be taken for a first.
   */
  forget(digestHex: string): void {
    const open = this.#open.get(digestHex);
    if (open !== undefined && --open.records === 0) this.#open.delete(digestHex);
  }
}
