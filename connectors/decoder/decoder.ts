import type { DecodePlan, ImageHeader } from "../../schemas/decode-plan.js";
import type { ImageNote } from "../../schemas/image-notes.js";
import type { Picture } from "../../schemas/pixels.js";

export interface DecodedImage {
  /** u8, [height x width x channels] of the plan's output, RGB or grey, sRGB */
  readonly pixels: Uint8Array;
  /** What was done to the image that its header did not foretell */
  readonly notes: readonly ImageNote[];
}

/**
 * Sees the whole picture as its file has it, before it is turned, scaled or made grey (smaller, where the plan shrinks on load). The
 * pixels are the decoder's own and change when this returns.
 */
export type Onlooker = (stored: Picture) => void;

/**
 * Decodes encoded images, to the pixels that Pillow gives for the same plan.
 * Errors: E_IMAGE_EMPTY, E_IMAGE_FORMAT, E_IMAGE_TRUNCATED, E_IMAGE_CORRUPT. Implementations: sharp.
 */
export interface Decoder {
  readonly name: string;
  /** Reads no more than the header. */
  header(bytes: Uint8Array): Promise<ImageHeader>;
  /** `header` is what `header()` returned for the same bytes; a file that turns out larger is refused as corrupt. */
  decode(bytes: Uint8Array, header: ImageHeader, plan: DecodePlan, onlooker?: Onlooker): Promise<DecodedImage>;
}
