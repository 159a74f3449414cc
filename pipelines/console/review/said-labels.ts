import type { Store } from "../../../connectors/store/store.js";
import { keys } from "../../../schemas/keys.js";
import type { ImageLabel } from "../../../schemas/image-label.js";
import { HeldAnswers } from "../../versions/held-answers.js";
import { saidOf } from "./review-queue.js";

/** All that was said of each image, read again only where something was added. */
export class SaidLabels {
  readonly #store: Store;
  readonly #stream: string;
  readonly #held = new HeldAnswers<Map<string, ImageLabel[]>>(1);

  constructor(store: Store, stream: string) {
    this.#store = store;
    this.#stream = stream;
  }

  async all(): Promise<ReadonlyMap<string, readonly ImageLabel[]>> {
    let segments = 0;
    for await (const { key } of this.#store.list(keys.labels(this.#stream))) segments += key === "" ? 0 : 1;
    return this.#held.get(String(segments), 1, () => saidOf(this.#store, this.#stream));
  }

  async of(sha256: string): Promise<readonly ImageLabel[]> {
    return (await this.all()).get(sha256) ?? [];
  }
}
