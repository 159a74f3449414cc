import { promisify } from "node:util";
import zlib from "node:zlib";
import kafkajs from "kafkajs";
import { messageOf, SluiceError } from "../../../schemas/errors.js";

/** What a producer of ours may compress with. A reader understands all of them. */
export type Compression = "none" | "gzip" | "snappy" | "lz4" | "zstd";

const { CompressionCodecs, CompressionTypes } = kafkajs;

export const COMPRESSION_TYPE = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
} as const;

interface Codec {
  compress(bytes: Buffer): Promise<Uint8Array> | Uint8Array;
  decompress(bytes: Buffer): Promise<Uint8Array> | Uint8Array;
}

/**
 * Gives the client the codecs that it lacks (it has gzip). Each loads its package, an optional one, when a batch first
 * needs it. Throws E_LOG_IO then, naming the package, where that is not installed.
 */
export function registerCodecs(): void {
  CompressionCodecs[CompressionTypes.Snappy] = lazily("snappyjs", snappy);
  CompressionCodecs[CompressionTypes.LZ4] = lazily("lz4js", lz4);
  CompressionCodecs[CompressionTypes.ZSTD] = lazily("@bokuweb/zstd-wasm", zstd);
}

function lazily(packageName: string, load: () => Promise<Codec>): () => unknown {
  let loading: Promise<Codec> | null = null;
  const codec = async (): Promise<Codec> => {
    loading ??= load().catch((error: unknown) => {
      loading = null;
      throw new SluiceError(
        "E_LOG_IO",
        `Expected the package ${packageName} for a compressed batch, found none: npm install ${packageName}.`,
        { cause: error },
      );
    });
    return loading;
  };
  return () => ({
    compress: async ({ buffer }: { buffer: Buffer }) => asBuffer(await (await codec()).compress(buffer)),
    decompress: async (buffer: Buffer) => asBuffer(await (await codec()).decompress(buffer)),
  });
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Of the framing that Java's snappy writes: this, two versions of 4 bytes, then blocks behind their lengths */
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const XERIAL_HEADER_BYTES = 16;

async function snappy(): Promise<Codec> {
  const { compress, uncompress } = await import("snappyjs");
  return {
    compress,
    decompress: (bytes) => {
      if (!bytes.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) return uncompress(bytes);
      const blocks: Buffer[] = [];
      for (let at = XERIAL_HEADER_BYTES; at + 4 <= bytes.length;) {
        const end = at + 4 + bytes.readUInt32BE(at);
        blocks.push(uncompress(bytes.subarray(at + 4, end)));
        at = end;
      }
      return Buffer.concat(blocks);
    },
  };
}

/** Magic, version 1 with blocks that stand alone (Java's reader takes no others), blocks of at most 64 KiB, checksum of these */
const LZ4_FRAME_START = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
const LZ4_BLOCK_BYTES = 64 * 1024;
const LZ4_STORED = 0x80000000;

async function lz4(): Promise<Codec> {
  const { compressBlock, compressBound, decompress } = await import("lz4js");
  const packed = Buffer.alloc(compressBound(LZ4_BLOCK_BYTES));
  return {
    // The package's own frames have blocks that refer to the ones before.
    compress: (bytes) => {
      const pieces: Buffer[] = [LZ4_FRAME_START];
      for (let at = 0; at < bytes.length; at += LZ4_BLOCK_BYTES) {
        const block = bytes.subarray(at, at + LZ4_BLOCK_BYTES);
        const size = compressBlock(block, packed, 0, block.length, new Uint32Array(1 << 16));
        const stored = size === 0 || size >= block.length;
        const length = Buffer.alloc(4);
        length.writeUInt32LE(stored ? LZ4_STORED + block.length : size);
        pieces.push(length, stored ? block : Buffer.from(packed.subarray(0, size)));
      }
      return Buffer.concat([...pieces, Buffer.alloc(4)]);
    },
    decompress,
  };
}

/** What Node 22.15 and newer have built in */
type NativeZstd = { [Name in "zstdCompress" | "zstdDecompress"]?: (bytes: Buffer, done: Done) => void };
type Done = (error: Error | null, bytes: Buffer) => void;

/** Frames that a stream wrote do not tell their size: room is doubled up to this. Kafka's largest batch is below. */
const ZSTD_MOST_BYTES = 1 << 30;
/** How the package says that there was too little room; what is damaged is so with more of it, too. Source: zstd_errors.h */
const ZSTD_NO_ROOM = /code (-70|4294967226)$/;

async function zstd(): Promise<Codec> {
  const { zstdCompress, zstdDecompress } = zlib as NativeZstd;
  if (zstdCompress !== undefined && zstdDecompress !== undefined) {
    return { compress: promisify(zstdCompress), decompress: promisify(zstdDecompress) };
  }
  const { init, compress, decompress } = await import("@bokuweb/zstd-wasm");
  await init();
  return {
    compress: (bytes) => compress(bytes),
    decompress: (bytes) => {
      for (let size = Math.max(1 << 20, bytes.length * 8); ; size *= 2) {
        try {
          return decompress(bytes, { defaultHeapSize: size });
        } catch (error) {
          if (!ZSTD_NO_ROOM.test(messageOf(error)) || size * 2 > ZSTD_MOST_BYTES) throw error;
        }
      }
    },
  };
}
