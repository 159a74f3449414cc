import type { ImageNote } from "../../schemas/image-notes.js";

/** A whole image as its file has it, before it is turned and scaled: u8, [height x width x channels], grey or RGB. */
export interface StoredPixels {
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  /** What was done to its colours */
  readonly notes: readonly ImageNote[];
}
