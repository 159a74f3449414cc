import { SluiceError, awaitedLater } from "../../schemas/errors.js";
import type { Copied, Fetched, Refused, Scored } from "./image-in-flight.js";
import { hexDigest } from "./image-in-flight.js";

/** Where the archive has the scores of a digest already. A cache of the archive: what it does not know is scored again. */
export interface ScoreIndex {
  /** To be waited for before `find` is asked for a digest; null where it need not be. Absent where it never need be. */
  look?(digest: Uint8Array): Promise<void> | null;
  /** `digest` is 32 bytes. Settles when the row has been read; null where the archive has none. */
  find(digest: Uint8Array): Promise<Scored> | null;
}

/** A digest in flight. */
interface Open {
  /** The flow that scores it */
  readonly owner: FlowDedupe;
  readonly scored: Promise<Scored>;
  readonly settle: (scored: Scored) => void;
  readonly fail: (error: unknown) => void;
  /** Records of it that have not been archived yet, in all flows */
  records: number;
}

/** Knows the digests in flight in this process, whichever partition's flow they are in. */
export class Dedupe {
  readonly #index: ScoreIndex;
  readonly #open = new Map<string, Open>();

  constructor(index: ScoreIndex) {
    this.#index = index;
  }

  /** One flow's part. A flow that failed begins again with another one. */
  flow(): FlowDedupe {
    return new FlowDedupe(this.#index, this.#open);
  }
}

/**
 * Gives an image that came before the scores of its first row. It is called in the order of the records, so an image
 * only ever waits for one that is ahead of it in its flow, or that another flow has begun with.
 */
export class FlowDedupe {
  readonly #index: ScoreIndex;
  readonly #open: Map<string, Open>;
  /** By digest, this flow's records that have not been archived yet */
  readonly #records = new Map<string, number>();
  #failure: { readonly error: unknown } | null = null;

  constructor(index: ScoreIndex, open: Map<string, Open>) {
    this.#index = index;
    this.#open = open;
  }

  /** To be waited for before `onImage`: what the index has to read to know of the image. null where there is nothing. */
  look(image: Fetched | Refused): Promise<void> | null {
    if (image.kind === "refused" || this.#open.has(hexDigest(image.origin.digest))) return null;
    return this.#index.look?.(image.origin.digest) ?? null;
  }

  /** The first of its digest goes on to be decoded; `settle` must be called for it. Throws once the flow has failed. */
  onImage(image: Fetched | Refused): Fetched | Refused | Copied {
    if (this.#failure !== null) throw this.#failure.error;
    if (image.kind === "refused") return image;
    const { origin, bytes } = image;
    const name = hexDigest(origin.digest);
    const open = this.#open.get(name);
    if (open !== undefined) this.#count(name, open);
    const scores = open === undefined ? this.#index.find(origin.digest) : this.#awaited(open, origin.uri);
    if (scores !== null) {
      return { kind: "copied", origin, bytes, scores: awaitedLater(scores) };
    }
    let settle: (scored: Scored) => void = () => undefined;
    let fail: (error: unknown) => void = () => undefined;
    const scored = new Promise<Scored>((resolve, reject) => {
      settle = resolve;
      fail = reject;
    });
    void awaitedLater(scored);
    const first = { owner: this, scored, settle, fail, records: 0 };
    this.#open.set(name, first);
    this.#count(name, first);
    return image;
  }

  #count(name: string, open: Open): void {
    open.records++;
    this.#records.set(name, (this.#records.get(name) ?? 0) + 1);
  }

  /** Another flow's failure is no failure of this one, which scores the image itself when it begins again. */
  #awaited({ owner, scored }: Open, uri: string): Promise<Scored> {
    if (owner === this) return scored;
    return scored.catch((cause: unknown) => {
      throw new SluiceError(
        "E_FLOW_FAILED",
        `Expected the scores of ${uri} from another partition, which was at work on it, found that this one failed.`,
        { cause, retryable: true },
      );
    });
  }

  /** Says what became of a digest that `onImage` let through. */
  settle(digest: Uint8Array, scored: Scored): void {
    const open = this.#open.get(hexDigest(digest));
    if (open?.owner === this) open.settle(scored);
  }

  /**
   * Says that this flow has failed, before it is torn down: what waits for one of its scores must not wait for ever, nor be
   * refused for what is not its fault. Its own images throw `error`, those of other flows E_FLOW_FAILED.
   */
  fail(error: unknown): void {
    if (this.#failure !== null) return;
    this.#failure = { error };
    for (const [name, open] of this.#open) {
      if (open.owner !== this) {
        this.#release(name, open, this.#records.get(name) ?? 0);
        continue;
      }
      this.#open.delete(name);
      open.fail(error);
    }
    this.#records.clear();
  }

  /**
   * Says that one record of a digest has been archived, as a row or as a refusal. With the last of those in flight the
   * digest is forgotten: no sooner, since a refused image is in no index, and the next one of it would be taken for a first.
   */
  forget(digestHex: string): void {
    const own = this.#records.get(digestHex);
    if (own === undefined) return;
    if (own === 1) this.#records.delete(digestHex);
    else this.#records.set(digestHex, own - 1);
    const open = this.#open.get(digestHex);
    if (open !== undefined) this.#release(digestHex, open, 1);
  }

  #release(name: string, open: Open, records: number): void {
    open.records -= records;
    if (open.records === 0) this.#open.delete(name);
  }
}
