/** Packages that come without types; only what is used of them. */
declare module "snappyjs" {
  export function compress(bytes: Buffer): Buffer;
  export function uncompress(bytes: Buffer): Buffer;
}

declare module "lz4js" {
  export function compressBound(sizeBytes: number): number;
  /** Returns how much of `to` it has filled, 0 where nothing is gained. */
  export function compressBlock(
    from: Uint8Array,
    to: Uint8Array,
    start: number,
    length: number,
    hashTable: Uint32Array,
  ): number;
  export function decompress(bytes: Uint8Array): Uint8Array;
}
