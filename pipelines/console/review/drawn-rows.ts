import type { IndexRow } from "../../../schemas/index-row.js";
import type { Manifest } from "../../../schemas/manifest.js";
import { HeldAnswers } from "../../versions/held-answers.js";
import type { IndexGroups } from "../../versions/index-groups.js";
import { AUDIT_ROWS, drawn } from "./review-queue.js";

/** Versions whose audits are held */
const HELD = 16;

/** The rows of versions' audits. They lie all over an index, and never change: each version's are read once. */
export class DrawnRows {
  readonly #groups: IndexGroups;
  readonly #held = new HeldAnswers<readonly IndexRow[]>(HELD);

  constructor(groups: IndexGroups) {
    this.#groups = groups;
  }

  of(manifest: Manifest): Promise<readonly IndexRow[]> {
    // What is erased from a version gives its files other digests.
    const files = manifest.files.filter(({ key }) => key.endsWith(".parquet")).map(({ sha256 }) => sha256);
    return this.#held.get(`${manifest.dataset}/${manifest.number}/${files.join()}`, 1, async () => {
      const rows: IndexRow[] = [];
      for (const { class: index, place } of drawn(manifest, AUDIT_ROWS)) {
        rows.push(...(await this.#groups.rowsOf(manifest, index, place, place + 1)));
      }
      return rows;
    });
  }
}
