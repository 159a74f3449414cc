import { InTurn } from "../../../connectors/in-turn.js";
import type { Store } from "../../../connectors/store/store.js";
import { archivedLabels, labelFrontier, labelsSince } from "../../../operators/archive/image-labels.js";
import type { ImageLabel, LabelFrontier } from "../../../schemas/image-label.js";

/** How long it is taken for known which images are erased, ms: a wall asks for many pictures at once */
const STANDS_MS = 2000;

/** All that was said of each image, in order. What is added is read, and no more. */
export class SaidLabels {
  readonly #store: Store;
  readonly #stream: string;
  readonly #nowMs: () => number;
  readonly #turns = new InTurn();
  readonly #sayings = new InTurn();
  #said = new Map<string, ImageLabel[]>();
  #frontier: LabelFrontier = [];
  #readMs = Number.NEGATIVE_INFINITY;
  /** Has not begun yet, so that it heeds all that is appended by now */
  #next: Promise<void> | null = null;

  constructor(store: Store, stream: string, nowMs: () => number) {
    this.#store = store;
    this.#stream = stream;
    this.#nowMs = nowMs;
  }

  async all(): Promise<ReadonlyMap<string, readonly ImageLabel[]>> {
    await (this.#next ??= this.#turns.run(() => {
      this.#next = null;
      return this.#readOn();
    }));
    return this.#said;
  }

  async of(sha256: string): Promise<readonly ImageLabel[]> {
    return (await this.all()).get(sha256) ?? [];
  }

  /** Says something: one at a time, so that of two verdicts at the same moment the later one sees the earlier. */
  saying<T>(say: () => Promise<T>): Promise<T> {
    return this.#sayings.run(say);
  }

  /** Whether an image was erased, a moment ago at the latest. */
  async isErased(sha256: string): Promise<boolean> {
    if (this.#nowMs() - this.#readMs > STANDS_MS) await this.all();
    return this.#said.get(sha256)?.some(({ verdict }) => verdict === "erased") === true;
  }

  async #readOn(): Promise<void> {
    const frontier = await labelFrontier(this.#store, this.#stream, this.#frontier);
    const added = await labelsSince(this.#store, this.#stream, this.#frontier, frontier);
    // Those who were given a list keep it as it was.
    if (added !== null)
      for (const one of added) this.#said.set(one.sha256, [...(this.#said.get(one.sha256) ?? []), one]);
    else this.#said = await saidUpTo(this.#store, this.#stream, frontier);
    this.#frontier = frontier;
    this.#readMs = this.#nowMs();
  }
}

/** All that was said of each image up to a frontier, in order. */
async function saidUpTo(store: Store, stream: string, frontier: LabelFrontier): Promise<Map<string, ImageLabel[]>> {
  const said = new Map<string, ImageLabel[]>();
  for await (const label of archivedLabels(store, stream, frontier)) {
    const list = said.get(label.sha256);
    if (list === undefined) said.set(label.sha256, [label]);
    else list.push(label);
  }
  return said;
}

/** The same as of now, for one look. */
export async function saidOf(store: Store, stream: string): Promise<ReadonlyMap<string, readonly ImageLabel[]>> {
  return saidUpTo(store, stream, await labelFrontier(store, stream));
}
