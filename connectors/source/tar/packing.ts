import type { Transform } from "node:stream";
import zlib from "node:zlib";

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

type WithZstd = typeof zlib & { readonly createZstdDecompress?: () => Transform };

/** How a packing that Sluice reads is unpacked; undefined for one that it does not read here (zstd before Node 22.15). */
export function unpackerOf(packing: Packing): (() => Transform) | undefined {
  if (packing === "gzip") return () => zlib.createGunzip({ chunkSize: PACKED_CHUNK_BYTES });
  return packing === "zstd" ? (zlib as WithZstd).createZstdDecompress : undefined;
}

/**
 * What compressed chunks unpack to. All that lies before a place where they break off is given before the error is thrown:
 * a stream that is piped loses what it holds when it fails. gzip members and zstd frames may follow each other.
 */
export async function* unpacked(
  chunks: AsyncIterable<Uint8Array>,
  unpacker: () => Transform,
): AsyncGenerator<Uint8Array> {
  const stream = unpacker();
  let ready: Uint8Array[] = [];
  const failures: Error[] = [];
  stream.on("data", (chunk: Uint8Array) => ready.push(chunk));
  const closed = new Promise<void>((resolve) => {
    stream.once("close", resolve);
  });
  stream.on("error", (error: Error) => {
    failures.push(error);
  });
  try {
    for await (const chunk of chunks) {
      const written = new Promise<void>((resolve) => {
        stream.write(chunk, () => {
          resolve();
        });
      });
      await Promise.race([written, closed]);
      const now = ready;
      ready = [];
      yield* now;
      if (stream.destroyed) break;
    }
    stream.end();
    await closed;
    yield* ready;
    if (failures[0] !== undefined) throw failures[0];
  } finally {
    stream.destroy();
  }
}
