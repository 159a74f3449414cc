import type { Transform } from "node:stream";
import zlib from "node:zlib";
import { Decompress } from "fzstd";
import { ChunkRun } from "./byte-run.js";
import { throughStream } from "./through-stream.js";
import { Xxh64 } from "./xxh64.js";

/** Source: RFC 8878, sections 3.1.1 and 3.1.2 */
const FRAME = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;
const BLOCK_HEADER_BYTES = 3;
const LAST_BLOCK = 1;
const REPEATED_BYTE = 1;
const RESERVED = 3;
/** A block is never larger. */
const MOST_BLOCK_BYTES = 128 * 1024;
/** What `zstd -d` takes without being asked for more memory, and Node as well */
const MOST_WINDOW_BYTES = 128 * 1024 * 1024;

type WithZstd = typeof zlib & { readonly createZstdDecompress?: () => Transform };

/**
 * What zstd-compressed chunks unpack to: frame after frame, skippable ones passed over. Node's own decoder (22.15 on) reads one frame and no more, so each
 * gets a decoder of its own; an older Node has fzstd, whose content is checked here. `native`: Node's, or null for fzstd.
 * All whole blocks before a place where the bytes break off are given before the error is thrown.
 */
export async function* unpackedZstd(
  chunks: AsyncGenerator<Uint8Array>,
  native: (() => Transform) | null = (zlib as WithZstd).createZstdDecompress ?? null,
): AsyncGenerator<Uint8Array> {
  const run = new ChunkRun(chunks);
  try {
    for (;;) {
      const magic = Buffer.alloc(4);
      const there = await run.fill(magic);
      if (there === 0) return;
      const kind = there < 4 ? 0 : magic.readUInt32LE();
      if ((kind & 0xfffffff0) >>> 0 === SKIPPABLE) {
        const sizeBytes = (await exactly(run, 4)).readUInt32LE();
        if ((await run.skip(sizeBytes)) < sizeBytes) throw brokenOff();
      } else if (kind === FRAME) {
        const pieces = frame(run, magic);
        yield* native === null ? throughFzstd(pieces) : throughStream(pieces, native);
        if (!pieces.isWhole()) throw brokenOff();
      } else {
        throw new TypeError(`no zstd frame begins with ${magic.subarray(0, there).toString("hex")}`);
      }
    }
  } finally {
    await run.close();
  }
}

/** The bytes of one frame, block by block; they end early where the file does. */
interface Frame extends AsyncIterable<Uint8Array> {
  isWhole(): boolean;
  /** The low half of its content's XXH64; null where it has none, or has not come yet */
  checksum(): number | null;
}

function frame(run: ChunkRun, magic: Buffer): Frame {
  let isWhole = false;
  let said: number | null = null;
  async function* pieces(): AsyncGenerator<Uint8Array> {
    const { header, hasChecksum } = await frameHeader(run);
    yield Buffer.concat([magic, header]);
    for (let isLast = false; !isLast;) {
      const start = Buffer.alloc(BLOCK_HEADER_BYTES);
      if ((await run.fill(start)) < start.length) return;
      const value = start.readUIntLE(0, BLOCK_HEADER_BYTES);
      isLast = (value & LAST_BLOCK) !== 0;
      const kind = (value >> 1) & 3;
      const sizeBytes = kind === REPEATED_BYTE ? 1 : value >> 3;
      if (kind === RESERVED || value >> 3 > MOST_BLOCK_BYTES) throw new TypeError("a zstd block is none");
      const block = Buffer.alloc(start.length + sizeBytes);
      start.copy(block);
      if ((await run.fill(block.subarray(start.length))) < sizeBytes) return;
      yield block;
    }
    if (hasChecksum) {
      const checksum = Buffer.alloc(4);
      if ((await run.fill(checksum)) < checksum.length) return;
      said = checksum.readUInt32LE();
      yield checksum;
    }
    isWhole = true;
  }
  return {
    [Symbol.asyncIterator]: pieces,
    isWhole: () => isWhole,
    checksum: () => said,
  };
}

/** What follows the magic, up to the first block. Throws where it cannot be read here. */
async function frameHeader(run: ChunkRun): Promise<{ readonly header: Buffer; readonly hasChecksum: boolean }> {
  const flags = (await exactly(run, 1))[0]!;
  const isSingle = (flags & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][flags & 3]!;
  const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][flags >> 6]!;
  const windowBytes = isSingle ? 0 : 1;
  const rest = await exactly(run, windowBytes + dictionaryBytes + sizeBytes);
  if ((flags & 8) !== 0) throw new TypeError("a zstd frame's header has a bit set that is reserved");
  if (rest.subarray(windowBytes, windowBytes + dictionaryBytes).some((byte) => byte !== 0)) {
    throw new TypeError("it was compressed with a dictionary, which is not at hand: compress it without");
  }
  const window = isSingle ? contentBytes(rest.subarray(dictionaryBytes)) : windowOf(rest[0]!);
  if (window > MOST_WINDOW_BYTES) {
    throw new TypeError(
      `it was compressed with --long or --ultra and takes ${window} bytes of memory to unpack, more than ${MOST_WINDOW_BYTES}: unpack it with zstd -d --long=31`,
    );
  }
  return { header: Buffer.concat([Uint8Array.of(flags), rest]), hasChecksum: (flags & 4) !== 0 };
}

function windowOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

function contentBytes(size: Buffer): number {
  if (size.length === 8) return Number(size.readBigUInt64LE());
  return size.length === 2 ? size.readUInt16LE() + 256 : size.readUIntLE(0, size.length);
}

/** fzstd does not look at checksums. Throws for other content than the frame says, after it was given. */
async function* throughFzstd(pieces: Frame): AsyncGenerator<Uint8Array> {
  let ready: Uint8Array[] = [];
  const hash = new Xxh64();
  const decoder = new Decompress((chunk) => {
    hash.add(chunk);
    ready.push(chunk);
  });
  for await (const piece of pieces) {
    decoder.push(piece);
    const now = ready;
    ready = [];
    yield* now;
  }
  if (!pieces.isWhole()) return;
  decoder.push(new Uint8Array(0), true);
  yield* ready;
  const said = pieces.checksum();
  if (said !== null && said !== Number(hash.digest() & 0xffffffffn)) {
    throw new TypeError("its content has another checksum than it says");
  }
}

async function exactly(run: ChunkRun, sizeBytes: number): Promise<Buffer> {
  const bytes = Buffer.alloc(sizeBytes);
  if ((await run.fill(bytes)) < sizeBytes) throw brokenOff();
  return bytes;
}

function brokenOff(): TypeError {
  return new TypeError("unexpected end of file");
}
