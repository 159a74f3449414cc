import type { Store } from "../../connectors/store/store.js";
import type { Manifest } from "../../schemas/manifest.js";
import { ChangeReasons } from "../versions/change-reasons.js";
import { diffVersions, type VersionDiff } from "../versions/diff-versions.js";
import { HeldAnswers } from "../versions/held-answers.js";

/** Classes of the differences that are held: some 500 bytes each */
const CLASSES_HELD = 50_000;
/** Reasons that are held, of two versions each: as many as labels between them, and images that were left out */
const REASONS_HELD = 4;

/** What differs between two versions: both indexes are read whole for it, once, though a page asks class by class. */
export class HeldDifferences {
  readonly #store: Store;
  readonly #held = new HeldAnswers<VersionDiff>(CLASSES_HELD);
  readonly #reasons = new HeldAnswers<ChangeReasons>(REASONS_HELD);

  constructor(store: Store) {
    this.#store = store;
  }

  /** Throws as `diffVersions`. */
  of(before: Manifest, after: Manifest): Promise<VersionDiff> {
    const classes = before.classes.length + after.classes.length;
    return this.#held.get(nameOf(before, after), classes, () => diffVersions(this.#store, before, after));
  }

  reasons(before: Manifest, after: Manifest): Promise<ChangeReasons> {
    return this.#reasons.get(nameOf(before, after), 1, () => ChangeReasons.between(this.#store, before, after));
  }
}

/** What is erased from a version gives its files other digests. */
function nameOf(...pair: readonly [Manifest, Manifest]): string {
  return JSON.stringify(pair.map(({ id, number, files }) => [id, number, files.map(({ sha256 }) => sha256)]));
}
