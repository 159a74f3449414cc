import type { Store } from "../../connectors/store/store.js";
import { keys } from "../../schemas/keys.js";
import type { Manifest } from "../../schemas/manifest.js";
import { HeldAnswers } from "../versions/held-answers.js";
import { readManifest, versionNumbers } from "../versions/versions.js";

/** How long what was read of a version stands, ms: something may be erased from it */
const STANDS_MS = 2000;
/** Classes of the manifests that are held: some 300 bytes each */
const CLASSES_HELD = 50_000;
/** A manifest weighs as so many before it is read */
const CLASSES_EACH = 1000;

/** Versions' manifests, each read at most every two seconds: a drag asks for one at every step. */
export class HeldManifests {
  readonly #store: Store;
  readonly #nowMs: () => number;
  readonly #held = new HeldAnswers<Manifest>(CLASSES_HELD);

  constructor(store: Store, nowMs: () => number) {
    this.#store = store;
    this.#nowMs = nowMs;
  }

  /** Throws as `readManifest`. */
  async of(dataset: string, version: number | "latest"): Promise<Manifest> {
    const number = version === "latest" ? (await versionNumbers(this.#store, dataset)).at(-1) : version;
    const isThere = number !== undefined && (await this.#store.head(keys.manifest(dataset, number))) !== null;
    // Says that there is none, and what there is.
    if (!isThere) return readManifest(this.#store, dataset, version);
    const turn = Math.floor(this.#nowMs() / STANDS_MS);
    return this.#held.get(`${turn}/${dataset}/${number}`, CLASSES_EACH, () =>
      readManifest(this.#store, dataset, number),
    );
  }
}
