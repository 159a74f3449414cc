import zlib from "node:zlib";
import { throughStream } from "./through-stream.js";
import { unpackedZstd } from "./zstd.js";

/** What a file of images may be packed in. "none" is what begins as none of the others do: a tar, if it is one. */
export type Packing = "none" | "gzip" | "zstd" | "xz" | "bzip2" | "lz4" | "zip" | "7z" | "rar";

const BEGINNINGS: readonly (readonly [Packing, string])[] = [
  ["gzip", "1f8b"],
  ["zstd", "28b52ffd"],
  ["xz", "fd377a585a00"],
  ["bzip2", "425a68"],
  ["lz4", "04224d18"],
  ["zip", "504b0304"],
  ["zip", "504b0506"],
  ["7z", "377abcaf271c"],
  ["rar", "526172211a07"],
];

/** Told by the first bytes, never by the name: people call gzip files .tar. zstd may begin with a skippable frame. */
export function packingOf(start: Uint8Array): Packing {
  const hex = Buffer.from(start.subarray(0, 8)).toString("hex");
  if (/^5[0-9a-f]2a4d18/.test(hex)) return "zstd";
  return BEGINNINGS.find(([, beginning]) => hex.startsWith(beginning))?.[0] ?? "none";
}

/**
 * Compressed bytes given to the decompressor at a time, and bytes that it gives at a time: each is a turn of the event loop, which photographs (they
 * do not compress) have one for each. One of them unpacks to at most some thousand.
 */
export const PACKED_CHUNK_BYTES = 64 * 1024;

/** What compressed chunks unpack to. All that lies before a place where they break off is given before the error is thrown. */
export type Unpacker = (chunks: AsyncGenerator<Uint8Array>) => AsyncGenerator<Uint8Array>;

/** How a packing that Sluice reads is unpacked; undefined for the others. gzip members and zstd frames may follow each other. */
export function unpackerOf(packing: Packing): Unpacker | undefined {
  if (packing === "gzip")
    return (chunks) => throughStream(chunks, () => zlib.createGunzip({ chunkSize: PACKED_CHUNK_BYTES }));
  return packing === "zstd" ? (chunks) => unpackedZstd(chunks) : undefined;
}
