import sharp from "sharp";
import { ByteReader } from "./byte-reader.js";
import { endOfGif } from "./gif-header.js";

/** A block of picture data that goes on, in two ways */
const MORE = [0x55, 0xaa].map((byte) => Uint8Array.of(32, ...new Uint8Array(32).fill(byte)));

/**
 * A GIF of one frame whose last bytes are missing (the trailer, or the empty block before it as well), with them put there; null where pixels are
 * missing, too: the file ends within a block, or what follows its last block would go on with the picture. Source: GIF89a, sections 15 and 27.
 */
export async function withGifEnd(bytes: Uint8Array, limitInputPixels: number): Promise<Uint8Array | null> {
  const missing = endOfGif(new ByteReader(bytes, "gif"));
  if (missing === null) return null;
  const ended = Buffer.concat([bytes, missing]);
  if (missing.length === 1) return ended;
  const decoded = (file: Uint8Array): Promise<Buffer> =>
    sharp(file, { failOn: "none", limitInputPixels }).raw().toBuffer();
  try {
    const pixels = await decoded(ended);
    for (const more of MORE) {
      if (!pixels.equals(await decoded(Buffer.concat([bytes, more, missing])))) return null;
    }
  } catch {
    // libvips has but one kind of error, and says of no file that it cannot be read for another reason than its content.
    return null;
  }
  return ended;
}
