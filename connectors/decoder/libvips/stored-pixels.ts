import type { ImageNote } from "../../../schemas/image-notes.js";
import type { Picture } from "../../../schemas/pixels.js";

/** A whole image as its file has it, before it is turned and scaled. */
export interface StoredPixels extends Picture {
  /** What was done to its colours */
  readonly notes: readonly ImageNote[];
}
