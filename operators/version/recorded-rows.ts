import type { ChosenRows } from "../../schemas/chosen-rows.js";
import { DIGEST_BYTES } from "../../schemas/scored-batch.js";
import { assertImage } from "./archived-rows.js";
import type { ClassEntries } from "./chosen-rows.js";
import { IMAGE, NO_TEXT, recordWords, TEXTS } from "./image-record.js";

/** Before an image's record: its position among the group's rows, and a probability (2 words; NaN: it is known already, or the rank key's) */
export const ROW_WORDS = 3;

/** A group's rows as they were recorded, in any order. */
export class RecordedRows {
  readonly #words: Uint32Array;
  readonly #bytes: Buffer;
  readonly #view: DataView;
  /** By position in the group */
  readonly #starts: Uint32Array;

  constructor(pieces: readonly Uint8Array[], rows: number) {
    const bytes = Buffer.allocUnsafeSlow(pieces.reduce((sum, { length }) => sum + length, 0));
    let end = 0;
    for (const piece of pieces) {
      bytes.set(piece, end);
      end += piece.length;
    }
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
    this.#words = new Uint32Array(bytes.buffer);
    this.#starts = new Uint32Array(rows);
    for (let at = 0; at < this.#words.length;) {
      this.#starts[this.#words[at]!] = at + ROW_WORDS;
      at += ROW_WORDS + recordWords(this.#words, at + ROW_WORDS + IMAGE.texts);
    }
  }

  /**
   * A class's rows, which begin at a position of the group. Text is decoded when a column is asked for. Rows are filled in their own order:
   * columns written in another one miss the processor's cache. Throws E_SEGMENT_CORRUPT.
   */
  ofClass(entries: ClassEntries, first: number): ChosenRows {
    const { class: index, rows, repeat, deep, leftOut, byLabel } = entries;
    const { count } = rows;
    const words = this.#words;
    const starts = this.#starts.subarray(first, first + count);
    const digest = new Uint8Array(count * DIGEST_BYTES);
    const digestWords = new Uint32Array(digest.buffer);
    const probability = new Float64Array(count);
    const eventTimeMs = new Float64Array(count);
    const sizeBytes = new Uint32Array(count);
    const width = new Uint32Array(count);
    const height = new Uint32Array(count);
    const bytes = new Uint8Array(count);
    for (let row = 0; row < count; row++) {
      const at = starts[row]!;
      for (let word = 0; word < 8; word++) digestWords[8 * row + word] = words[at + word]!;
      const given = this.#view.getFloat64(4 * at - 8, true);
      probability[row] = given === given ? given : (entries.probability?.[row] ?? Math.exp(rows.keys[row]!));
      eventTimeMs[row] = (words[at + IMAGE.eventTime + 1]! | 0) * 2 ** 32 + words[at + IMAGE.eventTime]!;
      sizeBytes[row] = words[at + IMAGE.sizeBytes]!;
      width[row] = words[at + IMAGE.width]!;
      height[row] = words[at + IMAGE.height]!;
      bytes[row] = words[at + IMAGE.bytes]!;
      assertImage(digest, row * DIGEST_BYTES, rows, row);
    }
    const text = new TextRows(this.#bytes, words, starts);
    return {
      class: index,
      count,
      keys: rows.keys,
      probability,
      repeat,
      digest,
      partition: Int32Array.from(rows.partition),
      offset: rows.offset,
      eventTimeMs,
      sizeBytes,
      width,
      height,
      bytes,
      get uri() {
        return text.column("uri") as string[];
      },
      get licence() {
        return text.column("licence");
      },
      get origin() {
        return text.column("origin");
      },
      get notes() {
        return text.column("notes");
      },
      get pack() {
        return text.column("pack");
      },
      ...(deep === undefined ? {} : { deep }),
      ...(leftOut === undefined ? {} : { leftOut }),
      ...(byLabel === undefined ? {} : { byLabel }),
    };
  }
}

/** The texts of some records: a column is decoded when it is asked for first. */
class TextRows {
  readonly #bytes: Buffer;
  readonly #words: Uint32Array;
  readonly #starts: Uint32Array;
  readonly #columns = new Map<(typeof TEXTS)[number], (string | null)[]>();

  constructor(bytes: Buffer, words: Uint32Array, starts: Uint32Array) {
    this.#bytes = bytes;
    this.#words = words;
    this.#starts = starts;
  }

  column(name: (typeof TEXTS)[number]): (string | null)[] {
    let column = this.#columns.get(name);
    if (column === undefined) this.#columns.set(name, (column = this.#decoded(TEXTS.indexOf(name))));
    return column;
  }

  #decoded(text: number): (string | null)[] {
    const words = this.#words;
    const column = new Array<string | null>(this.#starts.length);
    // Licences and origins are few: one string for rows that follow on each other.
    let last: string | null = null;
    let [lastAt, lastLength] = [0, NO_TEXT];
    for (let row = 0; row < column.length; row++) {
      const lengths = this.#starts[row]! + IMAGE.texts;
      const length = words[lengths + text]!;
      if (length === NO_TEXT) {
        column[row] = null;
        continue;
      }
      let at = 4 * (lengths + TEXTS.length);
      for (let before = 0; before < text; before++) {
        const other = words[lengths + before]!;
        if (other !== NO_TEXT) at += other;
      }
      if (last === null || length !== lastLength || !this.#isEqual(at, lastAt, length)) {
        last = this.#bytes.toString("utf8", at, at + length);
        [lastAt, lastLength] = [at, length];
      }
      column[row] = last;
    }
    return column;
  }

  #isEqual(a: number, b: number, length: number): boolean {
    // From the end: uris differ there.
    for (let byte = length - 1; byte >= 0; byte--) if (this.#bytes[a + byte] !== this.#bytes[b + byte]) return false;
    return true;
  }
}
