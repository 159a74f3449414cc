import type { Store } from "../../connectors/store/store.js";
import type { IndexRow } from "../../schemas/index-row.js";
import type { Manifest } from "../../schemas/manifest.js";
import { HeldAnswers } from "./held-answers.js";
import { indexRow, openIndexFile, type IndexColumns, type IndexFile } from "./index-reader.js";

/** Rows of the index that are held decoded: some 400 bytes each. */
const ROWS_HELD = 500_000;
/** Index files whose footers are held */
const FILES_HELD = 1000;

/** Reads rows of versions' indexes by their places, and holds the row groups that were read last: a wall is scrolled to and fro. */
export class IndexGroups {
  readonly #store: Store;
  readonly #files = new HeldAnswers<IndexFile>(FILES_HELD);
  readonly #groups = new HeldAnswers<IndexColumns>(ROWS_HELD);

  constructor(store: Store) {
    this.#store = store;
  }

  /** Rows of a class by their places [from, until) in it, rank ascending. Errors as `readIndexColumns`. */
  async rowsOf(manifest: Manifest, classIndex: number, from: number, until: number): Promise<IndexRow[]> {
    const first = manifest.classes.slice(0, classIndex).reduce((sum, { count }) => sum + count, 0);
    const end = first + Math.min(until, manifest.classes[classIndex]?.count ?? 0);
    const rows: IndexRow[] = [];
    let fileStart = 0;
    for (const file of manifest.files) {
      if (!file.key.endsWith(".parquet")) continue;
      const fileEnd = fileStart + (file.rows ?? 0);
      if (fileEnd > first + from && fileStart < end) {
        const opened = await this.#fileOf(file.key, file.sizeBytes);
        for (const [number, group] of opened.groups.entries()) {
          const [start, stop] = [Math.max(first + from, fileStart + group.start), Math.min(end, fileStart + group.end)];
          if (start >= stop) continue;
          const columns = await this.#groupOf(file.key, opened, number);
          for (let at = start; at < stop; at++) rows.push(indexRow(columns, at - fileStart - group.start));
        }
      }
      fileStart = fileEnd;
    }
    return rows;
  }

  #fileOf(key: string, sizeBytes: number): Promise<IndexFile> {
    return this.#files.get(key, 1, () => openIndexFile(this.#store, { key, sizeBytes }));
  }

  #groupOf(key: string, file: IndexFile, number: number): Promise<IndexColumns> {
    const { start, end } = file.groups[number]!;
    return this.#groups.get(`${key}#${number}`, end - start, () => file.read(number));
  }
}
