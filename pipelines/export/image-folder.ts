import type { IndexRow } from "../../schemas/index-row.js";
import type { Manifest } from "../../schemas/manifest.js";
import type { Sample } from "../versions/shard-reader.js";
import { imageFile } from "./export-names.js";

/** The images of a version as files, a folder a class, and where the row of each lies. */
export class ImageFolder {
  readonly #folders: readonly string[];
  /** Row of the index with which each class begins, [classes] */
  readonly #first: readonly number[];
  readonly #formats: string[] = [];
  /** Which format each row's image has, from 1; 0 where it has none, [rows] */
  readonly #formatOf: Uint8Array;

  constructor({ classes, totals }: Manifest, folders: readonly string[]) {
    this.#folders = folders;
    let row = 0;
    this.#first = classes.map(({ count }) => (row += count) - count);
    this.#formatOf = new Uint8Array(totals.rows);
  }

  async *files(samples: AsyncIterable<Sample>): AsyncGenerator<{ key: string; bytes: Uint8Array }> {
    for await (const sample of samples) {
      if (!this.#formats.includes(sample.format)) this.#formats.push(sample.format);
      this.#formatOf[this.#rowOf(sample)] = this.#formats.indexOf(sample.format) + 1;
      yield { key: this.#place(sample, sample.format), bytes: sample.bytes };
    }
  }

  /** The file of a row whose sample was given to `files`; null where its bytes are absent. */
  placeOf(row: IndexRow): string | null {
    const format = this.#formatOf[this.#rowOf(row)]!;
    return format === 0 ? null : this.#place(row, this.#formats[format - 1]!);
  }

  #rowOf(row: { readonly class: number; readonly rank: number }): number {
    return this.#first[row.class]! + row.rank - 1;
  }

  #place(row: { readonly class: number; readonly rank: number; readonly sha256: string }, format: string): string {
    return `images/${this.#folders[row.class]!}/${imageFile(row.rank, row.sha256, format)}`;
  }
}
