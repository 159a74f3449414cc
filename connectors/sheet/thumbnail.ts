import sharp from "sharp";

export interface Thumbnail {
  readonly bytes: Uint8Array;
  readonly type: "image/webp" | "image/png";
  readonly width: number;
  readonly height: number;
}

/** px: a picture beyond it is not decoded for a look at it */
const PIXEL_LIMIT = 100_000_000;
/** Up to this side, px, pixels are kept as they are: a small picture's pixels are what one looks at. */
const SMALL = 64;

/**
 * A picture made anew from its pixels, its longer side at most `side` px, upright, in sRGB: nothing of the file itself, which may be
 * anything, reaches a browser. null where it does not decode. What is broken off is shown as far as it goes.
 */
export async function thumbnail(bytes: Uint8Array, side: number): Promise<Thumbnail | null> {
  try {
    const made = sharp(bytes, { limitInputPixels: PIXEL_LIMIT, pages: 1, failOn: "none" })
      .rotate()
      .resize(side, side, { fit: "inside", withoutEnlargement: true })
      .toColourspace("srgb");
    const { width, height } = await sharp(bytes, { limitInputPixels: PIXEL_LIMIT, pages: 1 }).metadata();
    const small = Math.max(width, height) <= SMALL;
    const { data, info } = await (
      small ? made.png({ compressionLevel: 6 }) : made.webp({ quality: 82, effort: 2 })
    ).toBuffer({
      resolveWithObject: true,
    });
    return { bytes: data, type: small ? "image/png" : "image/webp", width: info.width, height: info.height };
  } catch {
    return null;
  }
}
