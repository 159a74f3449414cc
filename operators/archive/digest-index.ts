import { crc32 } from "node:zlib";
import { DIGEST_BYTES } from "../../schemas/scored-batch.js";
import type { DigestsPlace } from "../../schemas/run.js";

/**
 * Where a file's rows are found by their digests. Entries of 8 bytes, ascending: the digest's first 40 bits, and the row's number in the
 * file, 24 bits. In front of them a reader holds the directory: a filter that nearly always says so where a digest is not there; a fence for each
 * block of entries; and where the rows of each row group end. Digests are as good as random bits.
 */
export interface WrittenDigests {
  readonly entries: Uint8Array;
  readonly directory: Uint8Array;
}

/** What one digest costs to read, 4 KiB */
const BLOCK_ENTRIES = 512;
/** Of the filter, a cache line: a digest sets bits in one of them alone */
const LINE_WORDS = 16;
const LINE_BITS = 32 * LINE_WORDS;
/** With seven bits a digest, some one in a hundred that is not there passes. */
const FILTER_BITS_A_ROW = 10;
/** The filter takes the digest's bits from here on: entries have those before. */
const FILTER_AT = 8;
/** First entry as low and high word, CRC-32 of the block */
const FENCE_WORDS = 3;
/** Rows of the file up to its end, offset of its first row's segment */
const GROUP_NUMBERS = 2;
const MOST_ROWS = 2 ** 24;
const PREFIX_BYTES = 5;

/** The row groups of a file, in order: how many rows each has, and where its first segment starts. */
export interface IndexedGroup {
  readonly rows: number;
  readonly start: number;
}

export class DigestIndexBuilder {
  readonly #digests: Uint8Array[] = [];
  readonly #groups: IndexedGroup[] = [];
  #rows = 0;

  /** A row group's digests, [rows × 32] */
  add(digests: Uint8Array, start: number): void {
    const rows = digests.length / DIGEST_BYTES;
    this.#rows += rows;
    if (this.#rows > MOST_ROWS) throw new RangeError(`a run's file has at most ${MOST_ROWS} rows`);
    // What neither the entries nor the filter have need not be held.
    this.#digests.push(digests.slice());
    this.#groups.push({ rows, start });
  }

  get rows(): number {
    return this.#rows;
  }

  get groups(): number {
    return this.#groups.length;
  }

  build(): WrittenDigests {
    const entries = new BigUint64Array(this.#rows);
    const words = new Uint32Array(entries.buffer);
    const filter = new Uint32Array(filterWords(this.#rows));
    let row = 0;
    for (const digests of this.#digests) {
      const bytes = Buffer.from(digests.buffer, digests.byteOffset, digests.length);
      for (let at = 0; at < bytes.length; at += DIGEST_BYTES, row++) {
        words[2 * row] = bytes[at + 4]! * 2 ** 24 + row;
        words[2 * row + 1] = bytes.readUInt32BE(at);
        eachBit(filter, bytes.subarray(at, at + DIGEST_BYTES), (word, bit) => {
          filter[word]! |= bit;
          return true;
        });
      }
    }
    entries.sort();
    const fences = new Uint32Array(FENCE_WORDS * blocksOf(this.#rows));
    for (let block = 0; block < fences.length / FENCE_WORDS; block++) {
      const first = block * BLOCK_ENTRIES;
      fences[FENCE_WORDS * block] = words[2 * first]!;
      fences[FENCE_WORDS * block + 1] = words[2 * first + 1]!;
      fences[FENCE_WORDS * block + 2] = crc32(entries.subarray(first, first + BLOCK_ENTRIES));
    }
    const groups = new Float64Array(GROUP_NUMBERS * this.#groups.length);
    let rows = 0;
    this.#groups.forEach(({ start, rows: count }, group) => {
      rows += count;
      groups.set([rows, start], GROUP_NUMBERS * group);
    });
    return {
      entries: bytesOf(entries),
      directory: Buffer.concat([bytesOf(groups), bytesOf(filter), bytesOf(fences)]),
    };
  }
}

/** A row of a file that may be a digest's. */
export interface CandidateRow {
  /** A segment starts here whose rows begin the row group that has it */
  readonly start: number;
  /** In the row group */
  readonly row: number;
}

/** A file's directory, as it is held in memory. */
export class DigestDirectory {
  readonly #groups: Float64Array;
  readonly #filter: Uint32Array;
  readonly #fences: Uint32Array;
  readonly #rows: number;

  /** Throws TypeError where the bytes are not those that were written. */
  constructor(bytes: Uint8Array, { rows, groups, crc32: written }: DigestsPlace) {
    if (crc32(bytes) !== written) throw new TypeError("the directory of its digests has another checksum");
    const { buffer } = Uint8Array.from(bytes);
    const filterAt = 8 * GROUP_NUMBERS * groups;
    const words = filterWords(rows);
    this.#rows = rows;
    this.#groups = new Float64Array(buffer, 0, GROUP_NUMBERS * groups);
    this.#filter = new Uint32Array(buffer, filterAt, words);
    this.#fences = new Uint32Array(buffer, filterAt + 4 * words, FENCE_WORDS * blocksOf(rows));
  }

  get sizeBytes(): number {
    return this.#groups.byteLength + this.#filter.byteLength + this.#fences.byteLength;
  }

  /** false: no row of the file has the digest. */
  mayHave(digest: Uint8Array): boolean {
    return eachBit(this.#filter, bufferOf(digest), (word, bit) => (this.#filter[word]! & bit) !== 0);
  }

  /** Blocks of entries [first, end) that have a digest's. */
  blocksOf(digest: Uint8Array): { readonly first: number; readonly end: number } {
    const wanted = prefixOf(digest);
    const count = this.#fences.length / FENCE_WORDS;
    // Equal entries may begin in the block before the first whose fence is not below.
    const first = Math.max(0, lowerBound(count, (block) => this.#fenceOf(block) < wanted) - 1);
    return { first, end: lowerBound(count, (block) => this.#fenceOf(block) <= wanted) };
  }

  #fenceOf(block: number): number {
    return prefixIn(this.#fences[FENCE_WORDS * block]!, this.#fences[FENCE_WORDS * block + 1]!);
  }

  /** Bytes [start, end) of the file that have blocks [first, end). */
  rangeOf(place: DigestsPlace, { first, end }: { readonly first: number; readonly end: number }) {
    return {
      start: place.start + 8 * BLOCK_ENTRIES * first,
      end: place.start + 8 * Math.min(this.#rows, BLOCK_ENTRIES * end),
    };
  }

  /** The rows that may be a digest's, from the bytes of those blocks. Throws TypeError where they are not those that were written. */
  rowsIn(bytes: Uint8Array, firstBlock: number, digest: Uint8Array): CandidateRow[] {
    const wanted = prefixOf(digest);
    const { buffer } = Uint8Array.from(bytes);
    const words = new Uint32Array(buffer);
    const found: CandidateRow[] = [];
    for (let at = 0, block = firstBlock; at < bytes.length; at += 8 * BLOCK_ENTRIES, block++) {
      const part = bytes.subarray(at, at + 8 * BLOCK_ENTRIES);
      if (crc32(part) !== this.#fences[FENCE_WORDS * block + 2])
        throw new TypeError(`block ${block} of its digests has another checksum`);
    }
    for (let at = 0; at < words.length; at += 2) {
      if (prefixIn(words[at]!, words[at + 1]!) === wanted) found.push(this.#placeOf(words[at]! % MOST_ROWS));
    }
    return found;
  }

  #placeOf(row: number): CandidateRow {
    const groups = this.#groups.length / GROUP_NUMBERS;
    const group = lowerBound(groups, (one) => this.#groups[GROUP_NUMBERS * one]! <= row);
    const before = group === 0 ? 0 : this.#groups[GROUP_NUMBERS * (group - 1)]!;
    return { start: this.#groups[GROUP_NUMBERS * group + 1]!, row: row - before };
  }
}

function blocksOf(rows: number): number {
  return Math.ceil(rows / BLOCK_ENTRIES);
}

function filterWords(rows: number): number {
  return LINE_WORDS * Math.max(1, Math.ceil((rows * FILTER_BITS_A_ROW) / LINE_BITS));
}

/** Seven bits of one line: whether `visit` says so of all of them. */
function eachBit(filter: Uint32Array, digest: Buffer, visit: (word: number, bit: number) => boolean): boolean {
  const line = LINE_WORDS * (digest.readUInt32LE(FILTER_AT) % (filter.length / LINE_WORDS));
  for (let at = 0; at < 7; at++) {
    const bits = digest.readUInt16LE(FILTER_AT + 4 + 2 * at) % LINE_BITS;
    if (!visit(line + (bits >> 5), 1 << (bits & 31))) return false;
  }
  return true;
}

/** 40 bits */
function prefixOf(digest: Uint8Array): number {
  return bufferOf(digest).readUIntBE(0, PREFIX_BYTES);
}

function prefixIn(low: number, high: number): number {
  return high * 256 + (low >>> 24);
}

/** The first of `count` for which `isBelow` says no. */
function lowerBound(count: number, isBelow: (at: number) => boolean): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBelow(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
