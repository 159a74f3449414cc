/** 32-bit words of a PDQ hash */
export const HASH_WORDS = 8;
const HASH_BITS = 32 * HASH_WORDS;
/**
 * A picture that is mirrored left to right has the same frequencies across, the odd ones with the other sign: every second bit is the other one. The bits
 * of a hash say that much by themselves; only a frequency that lies between the two medians differs.
 */
const MIRRORED = 0x5555_5555;
/** Greatest distance that is answered: beyond it hashes of unrelated pictures meet */
export const MOST_DISTANCE = 63;
const NONE = -1;
/** Bits that a table is told apart by, at most: 64 MB of heads */
const MOST_BITS = 24;
/** What a bucket costs beside its entries, in entries: two places in memory */
const BUCKET_COST = 2;

/** What is found near a hash. */
export interface Near {
  /** Number of the hash, in the order in which they were added */
  readonly at: number;
  readonly distance: number;
}

/** Bits of a hash that one table goes by, and how far from a hash's own bucket it is looked for. */
interface Part {
  readonly first: number;
  readonly bits: number;
  /** What turns a bucket into one that is looked into, too: 0, then each bit, then each two … */
  readonly probes: Uint32Array;
  readonly heads: Int32Array;
}

/**
 * Finds all hashes within a distance (bits that differ, of the hash or of its mirror image), exactly: hashes that differ in d bits of 256 differ in at
 * most d / m of one of m parts, so that each part's table is looked into around the hash's own bucket. Source: Norouzi, Punjani, Fleet, "Fast exact search in
 * Hamming space with multi-index hashing", 2014. Memory: 32 bytes a hash, 4 a hash and table, and the tables' heads.
 */
export class NearIndex {
  readonly distance: number;
  readonly #parts: readonly Part[];
  #words: Uint32Array;
  /** By table: the hash before in the same bucket, [tables x room] */
  #next: Int32Array[];
  #count = 0;
  #room: number;

  /** `expected`: how many hashes there will be, about: it decides how many tables there are, and nothing that is found. */
  constructor(distance: number, expected: number) {
    if (!(distance >= 0 && distance <= MOST_DISTANCE)) throw new RangeError(`a distance of 0 to ${MOST_DISTANCE}`);
    this.distance = distance;
    this.#parts = partsFor(distance, Math.max(1, expected));
    const room = Math.max(16, Math.min(expected, 2 ** 28));
    this.#words = new Uint32Array(HASH_WORDS * room);
    this.#next = this.#parts.map(() => new Int32Array(room));
    this.#room = room;
  }

  get count(): number {
    return this.#count;
  }

  /** Tables and all, in bytes */
  get sizeBytes(): number {
    const heads = this.#parts.reduce((sum, { heads }) => sum + heads.byteLength, 0);
    return heads + this.#words.byteLength + this.#next.reduce((sum, one) => sum + one.byteLength, 0);
  }

  /** Adds the hash of 8 words at `from`; returns its number. */
  add(words: Uint32Array, from: number): number {
    if (this.#count === this.#room) this.#grow();
    const at = this.#count++;
    this.#words.set(words.subarray(from, from + HASH_WORDS), HASH_WORDS * at);
    this.#parts.forEach(({ first, bits, heads }, table) => {
      const bucket = bitsOf(words, from, first, bits);
      this.#next[table]![at] = heads[bucket]!;
      heads[bucket] = at;
    });
    return at;
  }

  /** The first added of those within the distance of a hash, or of its mirror image; null where there is none. */
  first(words: Uint32Array, from: number): Near | null {
    let at = this.#count;
    let distance = 0;
    this.#eachNear(words, from, (found, away) => {
      if (found > at) return;
      at = found;
      distance = away;
    });
    return at === this.#count ? null : { at, distance };
  }

  /** All within the distance, in the order in which they were added. */
  all(words: Uint32Array, from: number): Near[] {
    const found = new Map<number, Near>();
    this.#eachNear(words, from, (at, distance) => found.set(at, { at, distance }));
    return [...found.values()].sort((a, b) => a.at - b.at);
  }

  /** May name one several times: that nearly none are met twice is cheaper than to remember which were met. */
  #eachNear(words: Uint32Array, from: number, visit: (at: number, distance: number) => void): void {
    this.#look(words, from, 0, visit);
    this.#look(words, from, MIRRORED, visit);
  }

  #look(words: Uint32Array, from: number, turned: number, visit: (at: number, distance: number) => void): void {
    for (let table = 0; table < this.#parts.length; table++) {
      const { first, bits, probes, heads } = this.#parts[table]!;
      const next = this.#next[table]!;
      const own = bitsOf(words, from, first, bits) ^ bitsOfWord(turned, first, bits);
      for (let probe = 0; probe < probes.length; probe++) {
        for (let at = heads[own ^ probes[probe]!]!; at !== NONE; at = next[at]!) {
          const away = this.#distanceTo(at, words, from);
          if (away <= this.distance) visit(at, away);
        }
      }
    }
  }

  /** Exact up to the index's distance; beyond it, some number beyond it. */
  #distanceTo(at: number, words: Uint32Array, from: number): number {
    const own = this.#words;
    const to = HASH_WORDS * at;
    let plain = 0;
    let mirrored = 0;
    for (let word = 0; word < HASH_WORDS; word++) {
      const differs = own[to + word]! ^ words[from + word]!;
      plain += ones(differs);
      mirrored += ones(differs ^ MIRRORED);
      if (plain > this.distance && mirrored > this.distance) break;
    }
    return plain < mirrored ? plain : mirrored;
  }

  #grow(): void {
    const room = 2 * this.#room;
    this.#room = room;
    const words = new Uint32Array(HASH_WORDS * room);
    words.set(this.#words);
    this.#words = words;
    this.#next = this.#next.map((old) => {
      const next = new Int32Array(room);
      next.set(old);
      return next;
    });
  }
}

/** Bits in which two hashes differ, or the one and the other's mirror image: the fewer. */
export function nearDistance(a: Uint32Array, from: number, b: Uint32Array, to: number): number {
  let plain = 0;
  let mirrored = 0;
  for (let word = 0; word < HASH_WORDS; word++) {
    const differs = a[from + word]! ^ b[to + word]!;
    plain += ones(differs);
    mirrored += ones(differs ^ MIRRORED);
  }
  return Math.min(plain, mirrored);
}

/** Hashes of 32 bytes each as words, big-endian. */
export function hashWords(hashes: Uint8Array): Uint32Array {
  const view = new DataView(hashes.buffer, hashes.byteOffset, hashes.byteLength);
  return Uint32Array.from({ length: hashes.length / 4 }, (_, word) => view.getUint32(4 * word));
}

/** The parts that cost least to look into, where `count` hashes are as good as random. */
function partsFor(distance: number, count: number): Part[] {
  let best = { tables: 0, cost: Number.POSITIVE_INFINITY };
  for (let tables = 1; tables <= Math.min(32, distance + 1); tables++) {
    const { radius, wide, bits } = shapeOf(distance, tables, count);
    const entries = count / 2 ** bits;
    const probes = wide * probesWithin(bits, radius) + (tables - wide) * probesWithin(bits, radius - 1);
    const cost = probes * (BUCKET_COST + entries) + tables;
    if (cost < best.cost) best = { tables, cost };
  }
  const { radius, wide, bits } = shapeOf(distance, best.tables, count);
  return Array.from({ length: best.tables }, (_, table) => {
    const first = Math.floor((table * HASH_BITS) / best.tables);
    return {
      first,
      bits,
      probes: probesOf(bits, table < wide ? radius : radius - 1),
      heads: new Int32Array(2 ** bits).fill(NONE),
    };
  });
}

/** In `wide` of the tables a hash is looked for up to `radius` bits away, in the others one bit less. */
function shapeOf(distance: number, tables: number, count: number): { radius: number; wide: number; bits: number } {
  const radius = Math.floor(distance / tables);
  const bits = Math.min(Math.floor(HASH_BITS / tables), MOST_BITS, Math.max(8, Math.ceil(Math.log2(count)) + 1));
  return { radius, wide: distance - radius * tables + 1, bits };
}

function probesWithin(bits: number, radius: number): number {
  let sum = 0;
  for (let turned = 0, choices = 1; turned <= radius; turned++) {
    sum += choices;
    choices = (choices * (bits - turned)) / (turned + 1);
  }
  return sum;
}

function probesOf(bits: number, radius: number): Uint32Array {
  const probes: number[] = [];
  const add = (probe: number, from: number, left: number): void => {
    probes.push(probe);
    if (left === 0) return;
    for (let bit = from; bit < bits; bit++) add(probe | (1 << bit), bit + 1, left - 1);
  };
  if (radius >= 0) add(0, 0, radius);
  return Uint32Array.from(probes);
}

/** `bits` bits of a hash from its bit `first` on, at most 24. */
function bitsOf(words: Uint32Array, from: number, first: number, bits: number): number {
  const word = from + (first >>> 5);
  const shift = first & 31;
  const low = words[word]! >>> shift;
  const joined = shift + bits > 32 ? low | (words[word + 1]! << (32 - shift)) : low;
  return joined & (2 ** bits - 1);
}

/** The same of a hash whose words are all `word`, with a period of two bits. */
function bitsOfWord(word: number, first: number, bits: number): number {
  return ((first & 1) === 0 ? word : word >>> 1) & (2 ** bits - 1) & (word === 0 ? 0 : -1);
}

function ones(word: number): number {
  let bits = word - ((word >>> 1) & 0x5555_5555);
  bits = (bits & 0x3333_3333) + ((bits >>> 2) & 0x3333_3333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
