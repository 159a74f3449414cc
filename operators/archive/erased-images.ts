import { getIfThere, type Store } from "../../connectors/store/store.js";
import { DIRECT_LABELS, decodeLabelSegment } from "../../schemas/image-label.js";
import { keys } from "../../schemas/keys.js";

/** What was seen is believed for so long while images flow: an image that was erased meanwhile may still come in. */
const BELIEVED_MS = 5000;

/** Which images of a stream were erased, as its label log says: they are not to be stored again. */
export class ErasedImages {
  readonly #store: Store;
  readonly #stream: string;
  readonly #nowMs: () => number;
  readonly #digests = new Set<string>();
  /** Where the label log was read to */
  #end = 0;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | null = null;

  constructor(store: Store, stream: string, nowMs: () => number) {
    this.#store = store;
    this.#stream = stream;
    this.#nowMs = nowMs;
  }

  /** Reads what was said since it was read last, where that is some seconds ago. */
  async look(): Promise<void> {
    const agoMs = this.#nowMs() - this.#lookedMs;
    // A clock that was set back says nothing of how long ago that is.
    if (agoMs >= 0 && agoMs < BELIEVED_MS) return;
    await (this.#looking ??= this.lookNow().finally(() => {
      this.#looking = null;
    }));
  }

  /** Reads what was said since it was read last. Throws E_SEGMENT_CORRUPT. */
  async lookNow(): Promise<void> {
    const atMs = this.#nowMs();
    for (;;) {
      const key = keys.labelSegment(this.#stream, DIRECT_LABELS, this.#end);
      const bytes = await getIfThere(this.#store, key);
      if (bytes === null) break;
      const { end, labels } = decodeLabelSegment(bytes, key);
      for (const { verdict, sha256 } of labels) if (verdict === "erased") this.#digests.add(sha256);
      this.#end = end;
    }
    this.#lookedMs = atMs;
  }

  /** `sha256`: 64 hexadecimal digits */
  has(sha256: string): boolean {
    return this.#digests.has(sha256);
  }

  get size(): number {
    return this.#digests.size;
  }

  get digests(): ReadonlySet<string> {
    return this.#digests;
  }
}
