import type { PlainError } from "../../connectors/engine/pool/worker-protocol.js";
import type { DecodedBytes, DecodingOptions, RefusedBytes } from "../../operators/image/decode.js";

/** What a decoding thread is started with. */
export interface DecodeThreadSetup extends Pick<DecodingOptions, "card" | "config"> {
  /** Pixels of images in decoding at once, in all threads: of a `PixelRoom` */
  readonly room: SharedArrayBuffer;
}

/** What a thread says once it is loaded. Ended before that, a native library in it would take the whole process with it. */
export const LOADED = "loaded";
/** Asks a thread to end behind what it was given. */
export const END = "end";

/** Images for a thread, one behind the other. The memory comes back with the answer, and is used again. */
export interface DecodeRequest {
  readonly memory: ArrayBuffer;
  readonly images: readonly { readonly uri: string; readonly sizeBytes: number }[];
}

/** Bytes of a perceptual hash */
export const HASH_BYTES = 32;

/** Of one image; its pixels and its hash lie at its place of those of all. */
export type DecodedImageAnswer =
  (Omit<DecodedBytes, "pixels" | "pdq"> & { readonly quality: number }) | RefusedBytes | { readonly error: PlainError };

export interface DecodeAnswer {
  readonly memory: ArrayBuffer;
  /** u8, [images x height x width x channels] of the teacher's input */
  readonly pixels: ArrayBuffer;
  /** u8, [images x HASH_BYTES] */
  readonly hashes: ArrayBuffer;
  readonly images: readonly DecodedImageAnswer[];
}
