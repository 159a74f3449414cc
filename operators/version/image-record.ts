import { packOfRow } from "../../schemas/pack.js";
import { DIGEST_BYTES, type ScoredBatch, type TextColumn } from "../../schemas/scored-batch.js";
import type { ChainName } from "../../schemas/keys.js";

/** Words of 32 bits from a record's start: digest (8), event time (2), the image's size, width and height, where its bytes were */
export const IMAGE = { digest: 0, eventTime: 8, sizeBytes: 10, width: 11, height: 12, bytes: 13, texts: 14 } as const;
/** uri, licence, origin, notes and pack: the length of each in bytes, then all of them in UTF-8, padded to a word */
export const TEXTS = ["uri", "licence", "origin", "notes", "pack"] as const;
export const NO_TEXT = 0xffff_ffff;
const FIXED_WORDS = IMAGE.texts + TEXTS.length;
const DIGEST_WORDS = DIGEST_BYTES / 4;

/** Words of a record whose texts' lengths begin at `lengthsAt`. */
export function recordWords(words: Uint32Array, lengthsAt: number): number {
  let bytes = 0;
  for (let text = 0; text < TEXTS.length; text++) {
    const length = words[lengthsAt + text]!;
    if (length !== NO_TEXT) bytes += length;
  }
  return FIXED_WORDS + ((bytes + 3) >>> 2);
}

/** What a version says of an image, as words: encoded once for all classes that it stands in. Text that lies in UTF-8 is copied as it lies. */
export class ImageRecord {
  words = new Uint32Array(1024);
  /** Words in use */
  size = 0;
  #bytes = Buffer.from(this.words.buffer);
  #batch: ScoredBatch | null = null;
  #digest: Uint32Array = new Uint32Array(0);
  #eventTime: Uint32Array = new Uint32Array(0);
  #row = -1;

  write(batch: ScoredBatch, row: number, chain: ChainName): void {
    if (batch !== this.#batch) this.#open(batch);
    else if (row === this.#row) return;
    this.#row = row;
    const { words } = this;
    for (let word = 0; word < DIGEST_WORDS; word++) words[word] = this.#digest[DIGEST_WORDS * row + word]!;
    words[IMAGE.eventTime] = this.#eventTime[2 * row]!;
    words[IMAGE.eventTime + 1] = this.#eventTime[2 * row + 1]!;
    words[IMAGE.sizeBytes] = batch.sizeBytes[row]!;
    words[IMAGE.width] = batch.width[row]!;
    words[IMAGE.height] = batch.height[row]!;
    words[IMAGE.bytes] = batch.bytes[row]!;
    let at = 4 * FIXED_WORDS;
    at = this.#text(0, batch.uri, row, at);
    at = this.#text(1, batch.licence, row, at);
    at = this.#text(2, batch.origin, row, at);
    at = this.#text(3, batch.notes, row, at);
    const pack = batch.pack.get(row);
    at = this.#encoded(4, pack === null ? null : packOfRow(pack, chain), at);
    this.size = (at + 3) >>> 2;
  }

  #open(batch: ScoredBatch): void {
    this.#batch = batch;
    this.#digest = wordsOf(batch.digest);
    this.#eventTime = wordsOf(batch.eventTimeMs);
  }

  /** Returns where the text ends. */
  #text(text: number, column: TextColumn, row: number, at: number): number {
    const { utf8 } = column;
    if (utf8 === undefined) return this.#encoded(text, column.get(row), at);
    const start = utf8.startOf(row);
    if (start < 0) {
      this.words[IMAGE.texts + text] = NO_TEXT;
      return at;
    }
    const length = utf8.sizeAt(start);
    this.#grow(at + length);
    const from = utf8.bytes;
    const to = this.#bytes;
    for (let byte = 0; byte < length; byte++) to[at + byte] = from[start + byte]!;
    this.words[IMAGE.texts + text] = length;
    return at + length;
  }

  #encoded(text: number, value: string | null, at: number): number {
    // A character takes three bytes at most.
    if (value !== null) this.#grow(at + 3 * value.length);
    const length = value === null ? 0 : this.#bytes.write(value, at);
    this.words[IMAGE.texts + text] = value === null ? NO_TEXT : length;
    return at + length;
  }

  #grow(sizeBytes: number): void {
    if (sizeBytes <= this.#bytes.length) return;
    const grown = new Uint32Array(sizeBytes >>> 1);
    grown.set(this.words);
    this.words = grown;
    this.#bytes = Buffer.from(grown.buffer);
  }
}

/** The same memory as words of 32 bits, a copy where it does not lie at a word. */
function wordsOf(column: Uint8Array | BigInt64Array): Uint32Array {
  const held = column.byteOffset % 4 === 0 ? column : Uint8Array.from(column as Uint8Array);
  return new Uint32Array(held.buffer, held.byteOffset, held.byteLength / 4);
}
