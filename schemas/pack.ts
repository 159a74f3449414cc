import { crc32 } from "node:zlib";
import { z } from "zod";
import { messageOf, SluiceError } from "./errors.js";
import { keys, type ChainName } from "./keys.js";
import { openSealedJson, sealJson } from "./sealed-json.js";

/** Digits, so that what is named once is named in the same way by everybody. */
const digits = (offset: number): string => String(offset).padStart(20, "0");

/** A pack as a scorer wrote it: the bytes that it kept of the segment at `start` of a chain. */
export interface PackName {
  readonly chain: ChainName;
  readonly start: number;
  /** Of this writing alone: [a-z0-9]+ */
  readonly attempt: string;
}

/** `<teacher>/<stream>/<partition>/<origin>/<start>-<attempt>` */
export function packText({ chain, start, attempt }: PackName): string {
  const { teacher, stream, partition, origin } = chain;
  return `${teacher}/${stream}/${partition}/${digits(origin)}/${digits(start)}-${attempt}`;
}

/** The same in fewer bytes for a row of that chain, `<start>-<attempt>`; what another chain's pack is called stays as it is. */
export function packInRow(text: string, chain: ChainName): string {
  const folder = packText({ chain, start: 0, attempt: "" }).slice(0, -(digits(0).length + 1));
  if (!text.startsWith(folder)) return text;
  const [start, attempt] = text.slice(folder.length).split("-");
  return `${Number(start)}-${attempt}`;
}

/** The whole of a pack's name in a row of a chain. */
export function packOfRow(inRow: string, chain: ChainName): string {
  if (inRow.includes("/")) return inRow;
  const [start, attempt = ""] = inRow.split("-");
  return packText({ chain, start: Number(start), attempt });
}

/** The name that a text is; null for another text. */
export function packNamed(text: string): PackName | null {
  const [, teacher, stream, partition, origin, start, attempt] =
    /^([^/]+)\/([^/]+)\/(\d+)\/(\d{20})\/(\d{20})-([a-z0-9]+)$/.exec(text) ?? [];
  if (teacher === undefined || stream === undefined || attempt === undefined) return null;
  return {
    chain: { teacher, stream, partition: Number(partition), origin: Number(origin) },
    start: Number(start),
    attempt,
  };
}

/** A member of a pack that is being made. */
export interface PackMember {
  /** SHA-256 of its bytes, 32 bytes */
  readonly digest: Uint8Array;
  readonly sizeBytes: number;
}

const MAGIC = Buffer.from("SLUICEPK");
const PACK_VERSION = 1;
/** Magic, version u32, members u32, CRC-32 of what is before and of the entries u32, zeros u32; little-endian */
const HEAD_BYTES = 24;
const CRC_AT = 16;
/** Digest, where its bytes begin in the pack (f64), how many (u32) */
const ENTRY_BYTES = 44;
const DIGEST_BYTES = 32;

/** Where the members of a pack lie: its first bytes. Entries are in the order of their digests. */
export class PackIndex {
  readonly count: number;
  readonly #entries: Buffer;

  private constructor(entries: Buffer) {
    this.#entries = entries;
    this.count = entries.length / ENTRY_BYTES;
  }

  /** Members in the order in which their bytes follow on the index; no digest twice. */
  static of(members: readonly PackMember[]): PackIndex {
    let at = packIndexBytes(members.length);
    const placed = members.map((member) => {
      const start = at;
      at += member.sizeBytes;
      return { ...member, start };
    });
    placed.sort((a, b) => Buffer.compare(a.digest, b.digest));
    const entries = Buffer.alloc(members.length * ENTRY_BYTES);
    placed.forEach(({ digest, start, sizeBytes }, index) => {
      entries.set(digest, index * ENTRY_BYTES);
      entries.writeDoubleLE(start, index * ENTRY_BYTES + DIGEST_BYTES);
      entries.writeUInt32LE(sizeBytes, index * ENTRY_BYTES + DIGEST_BYTES + 8);
    });
    return new PackIndex(entries);
  }

  /** How many bytes the index of the pack has whose first bytes these are, at least HEAD_BYTES of them. Throws E_PACK_CORRUPT. */
  static sizeIn(first: Uint8Array, key: string): number {
    const head = Buffer.from(first.buffer, first.byteOffset, first.length);
    if (
      head.length < HEAD_BYTES ||
      !head.subarray(0, MAGIC.length).equals(MAGIC) ||
      head.readUInt32LE(8) !== PACK_VERSION
    )
      throw corruptPack(key, "it does not begin as a pack does");
    return packIndexBytes(head.readUInt32LE(12));
  }

  /** Reads it from a pack's first bytes. Throws E_PACK_CORRUPT. */
  static read(first: Uint8Array, key: string): PackIndex {
    const size = PackIndex.sizeIn(first, key);
    const bytes = Buffer.from(first.buffer, first.byteOffset, Math.min(first.length, size));
    const entries = bytes.subarray(HEAD_BYTES);
    if (bytes.length < size) throw corruptPack(key, `${bytes.length} of ${size} bytes of its index are there`);
    if (checksum(bytes.subarray(0, CRC_AT), entries) !== bytes.readUInt32LE(CRC_AT))
      throw corruptPack(key, "the checksum of its index is not that of the bytes written");
    return new PackIndex(Buffer.from(entries));
  }

  /** As it is written. */
  get bytes(): Uint8Array {
    const head = Buffer.alloc(HEAD_BYTES);
    head.set(MAGIC);
    head.writeUInt32LE(PACK_VERSION, 8);
    head.writeUInt32LE(this.count, 12);
    head.writeUInt32LE(checksum(head.subarray(0, CRC_AT), this.#entries), CRC_AT);
    return Buffer.concat([head, this.#entries]);
  }

  /** Of the whole pack */
  get packBytes(): number {
    let end = packIndexBytes(this.count);
    for (let at = 0; at < this.count; at++) end = Math.max(end, this.startOf(at) + this.sizeOf(at));
    return end;
  }

  /** Number of a digest's member; -1 where the pack has none. */
  find(digest: Uint8Array): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (Buffer.compare(this.digestOf(middle), digest) < 0) low = middle + 1;
      else high = middle;
    }
    return low < this.count && this.digestOf(low).equals(digest) ? low : -1;
  }

  digestOf(at: number): Buffer {
    return this.#entries.subarray(at * ENTRY_BYTES, at * ENTRY_BYTES + DIGEST_BYTES);
  }

  /** Where a member's bytes begin in the pack */
  startOf(at: number): number {
    return this.#entries.readDoubleLE(at * ENTRY_BYTES + DIGEST_BYTES);
  }

  sizeOf(at: number): number {
    return this.#entries.readUInt32LE(at * ENTRY_BYTES + DIGEST_BYTES + 8);
  }

  /** Numbers of all members, in the order in which they lie. */
  inOrder(): number[] {
    const numbers = Array.from({ length: this.count }, (_, at) => at);
    return numbers.sort((a, b) => this.startOf(a) - this.startOf(b));
  }
}

/** Of the index of a pack of so many members. */
export function packIndexBytes(members: number): number {
  return HEAD_BYTES + members * ENTRY_BYTES;
}

function checksum(head: Uint8Array, entries: Uint8Array): number {
  return crc32(entries, crc32(head));
}

export function corruptPack(key: string, found: string, cause?: unknown): SluiceError {
  return new SluiceError(
    "E_PACK_CORRUPT",
    `Expected a pack of kept images at ${key} as it was written, found that ${found}. Restore the object from a copy; ` +
      "images whose bytes lie there alone are published without them meanwhile, and counted.",
    { key, cause },
  );
}

const count = z.int().nonnegative();

/** Where the members of some of a chain's packs lie by now: those that were written for segments that start in [start, end). */
export const packGenerationSchema = z.strictObject({
  schemaVersion: z.literal(1),
  teacher: z.string(),
  stream: z.string(),
  partition: count,
  origin: count,
  start: count,
  end: count,
  /** From 1; the greatest of those that begin at `start` stands */
  generation: z.int().positive(),
  /** ms since the epoch */
  createdMs: z.int(),
  /** Ascending by `from`: a pack whose segment starts in [from, to) has its members in `key`, or in another one over that range */
  packs: z.array(z.strictObject({ key: z.string(), from: count, to: count, sizeBytes: count, members: count })),
  /** Members that the packs had when they were written and that none of `packs` has any more */
  dropped: count,
});
export type PackGeneration = z.infer<typeof packGenerationSchema>;
export type PlacedPack = PackGeneration["packs"][number];

export function encodeGeneration(generation: PackGeneration): Uint8Array {
  return sealJson(generation);
}

/** Throws E_PACK_CORRUPT. */
export function decodeGeneration(bytes: Uint8Array, chain: ChainName, start: number, number: number): PackGeneration {
  const key = keys.packGeneration(chain, start, number);
  try {
    const found = packGenerationSchema.parse(openSealedJson(bytes));
    const isHere =
      found.teacher === chain.teacher &&
      found.stream === chain.stream &&
      found.partition === chain.partition &&
      found.origin === chain.origin &&
      found.start === start &&
      found.generation === number;
    if (!isHere) throw new TypeError(`it is of ${found.stream}/${found.partition} from ${found.start} on`);
    return found;
  } catch (error) {
    throw new SluiceError(
      "E_PACK_CORRUPT",
      `Expected what says where kept images of offsets from ${start} on lie at ${key}, found other bytes: ${messageOf(error)}. ` +
        "Restore the object from a copy.",
      { key, cause: error },
    );
  }
}
