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
  readonly kernel: "nearest" | "linear" | "cubic" | "mitchell" | "lanczos2" | "lanczos3";
  readonly shrinkOnLoad: boolean;
}
