import type { Store } from "../../connectors/store/store.js";
import type { IndexRow } from "../../schemas/index-row.js";
import type { Manifest, ManifestFile } from "../../schemas/manifest.js";
import { HeldAnswers } from "./held-answers.js";
import { indexRow, openIndexFile, type IndexColumns, type IndexFile } from "./index-reader.js";
import { heldBytes } from "./published-file.js";

/** A class that has one row in so many of its row group has its part decoded alone; of smaller ones the whole group is held. */
const PART = 8;
/** Rows that are decoded for a screen of a wall, and held: a few pages of each column */
const SPAN_ROWS = 2048;
/** Rows of the index that are held decoded: some 400 bytes each. */
const ROWS_HELD = 500_000;
/** Bytes of index files that are held: one that is read again is neither read nor hashed again. */
const BYTES_HELD = 2 ** 28;

/** Reads rows of versions' indexes by their places, and holds the row groups that were read last: a wall is scrolled to and fro. */
export class IndexGroups {
  readonly #store: Store;
  readonly #files = new HeldAnswers<IndexFile>(BYTES_HELD);
  /** Row groups, or a class's part of one */
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
        const opened = await this.#fileOf(manifest, file);
        for (const [number, group] of opened.groups.entries()) {
          const groupStart = fileStart + group.start;
          const [start, stop] = [Math.max(first + from, groupStart), Math.min(end, fileStart + group.end)];
          if (start >= stop) continue;
          const size = group.end - group.start;
          const part = {
            start: Math.max(0, first - groupStart),
            end: Math.min(size, first + (manifest.classes[classIndex]?.count ?? 0) - groupStart),
          };
          const whole = part.end - part.start < size / PART ? { start: 0, end: size } : part;
          for (const held of spansOf(whole, start - groupStart, stop - groupStart)) {
            const columns = await this.#partOf(file, opened, number, held);
            const [first, last] = [Math.max(start - groupStart, held.start), Math.min(stop - groupStart, held.end)];
            for (let at = first; at < last; at++) rows.push(indexRow(columns, at - held.start));
          }
        }
      }
      fileStart = fileEnd;
    }
    return rows;
  }

  #fileOf(manifest: Manifest, file: ManifestFile): Promise<IndexFile> {
    return this.#files.get(nameOf(file), 1 + heldBytes(file), () => openIndexFile(this.#store, manifest, file));
  }

  #partOf(
    file: ManifestFile,
    opened: IndexFile,
    number: number,
    part: { readonly start: number; readonly end: number },
  ): Promise<IndexColumns> {
    const { start, end } = part;
    return this.#groups.get(`${nameOf(file)}#${number}/${start}-${end}`, end - start, () => opened.read(number, part));
  }
}

/** What is decoded for rows [start, stop) of a part: spans of it, or all of it where most is asked for. */
function spansOf(
  part: { readonly start: number; readonly end: number },
  start: number,
  stop: number,
): { readonly start: number; readonly end: number }[] {
  if (stop - start > 2 * SPAN_ROWS || part.end - part.start <= 2 * SPAN_ROWS) return [part];
  const spans: { start: number; end: number }[] = [];
  for (let at = part.start + SPAN_ROWS * Math.floor((start - part.start) / SPAN_ROWS); at < stop; at += SPAN_ROWS)
    spans.push({ start: at, end: Math.min(part.end, at + SPAN_ROWS) });
  return spans;
}

/** An erasure writes another file at the same key. */
function nameOf({ key, sha256 }: ManifestFile): string {
  return `${key}#${sha256}`;
}
