/** What an image's header says, before any pixel is decoded. */
export interface ImageHeader {
  /** as the bytes say: jpeg, png, webp, gif, tiff, avif, bmp */
  readonly format: string;
  /** px as stored, before orientation */
  readonly width: number;
  readonly height: number;
  readonly frames: number;
  /** srgb, b-w, cmyk … */
  readonly colourSpace: string;
  readonly bitsPerChannel: number;
  /** EXIF orientation, 1 to 8 */
  readonly orientation: number;
  /** The embedded ICC profile; null where there is none, or none that can be read */
  readonly colourProfile: Uint8Array | null;
  /** What channels beyond grey or RGB hold, where the header says that there are any (PNG, TIFF) */
  readonly extraChannels?: "alpha" | "other";
}

/** What to do with an image: made by the pure decode plan from its header and the teacher's card. */
export interface DecodePlan {
  /** Size of the whole image after orientation and scaling, px */
  readonly scaled: { readonly width: number; readonly height: number };
  /** The part of it that the model sees, px in the scaled image; the rest of `output` is black (mode `pad`) */
  readonly crop: { readonly left: number; readonly top: number; readonly width: number; readonly height: number };
  /** Where the cropped part lies in the output, px */
  readonly place: { readonly left: number; readonly top: number };
  readonly output: { readonly width: number; readonly height: number; readonly channels: 1 | 3 };
  readonly kernel: "nearest" | "box" | "linear" | "hamming" | "cubic" | "lanczos3";
  /** Whether the kernel is stretched over all pixels that make one of the result */
  readonly antialias: boolean;
  readonly shrinkOnLoad: boolean;
  /** EXIF orientation to undo, 1 to 8 */
  readonly orientation: number;
  readonly colourProfile: "ignore" | "convert";
  readonly alpha: "black" | "drop";
}
