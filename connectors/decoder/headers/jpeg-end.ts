import sharp from "sharp";
import { ByteReader } from "./byte-reader.js";

const SOS = 0xda;
const END_OF_IMAGE = Uint8Array.of(0xff, 0xd9);
const COEFFICIENTS = 64;

/** Bytes of a scan that goes on, in two ways */
const MORE = [0x55, 0xaa].map((byte) => new Uint8Array(32).fill(byte));

/**
 * A JPEG whose end-of-image marker is missing, with the marker put there; null where pixels are missing, too: its scans do not bring
 * every coefficient to full precision, or what follows the last byte would go on with the picture. Source: ITU-T T.81, annexes B and G.
 */
export async function withEnd(bytes: Uint8Array, limitInputPixels: number): Promise<Uint8Array | null> {
  const scanned = withoutPadding(bytes);
  if (!hasEveryScan(scanned)) return null;
  const ended = Buffer.concat([scanned, END_OF_IMAGE]);
  const decoded = (file: Uint8Array): Promise<Buffer> =>
    sharp(file, { failOn: "none", limitInputPixels, ignoreIcc: true }).raw().toBuffer();
  try {
    const pixels = await decoded(ended);
    for (const more of MORE) {
      if (!pixels.equals(await decoded(Buffer.concat([scanned, more, END_OF_IMAGE])))) return null;
    }
  } catch {
    // libvips has but one kind of error, and says of no file that it cannot be read for another reason than its content.
    return null;
  }
  return ended;
}

/** Cameras fill up a block with zeros. Entropy-coded bytes end in ones; a zero behind 0xff belongs to it, and 0xff alone is half of something. */
function withoutPadding(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  if (bytes[end - 1] !== 0xff) return bytes.subarray(0, end);
  return bytes.subarray(0, end < bytes.length ? end + 1 : end - 1);
}

function hasEveryScan(bytes: Uint8Array): boolean {
  const reader = new ByteReader(bytes, "jpeg");
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  /** By component: the coefficients that some scan has brought to their last bit */
  const done = new Map<number, Uint8Array>();
  let isProgressive = false;
  for (let at = 2; at + 4 <= reader.length;) {
    if (reader.u8(at) !== 0xff) {
      at = buffer.indexOf(0xff, at);
      if (at < 0) break;
      continue;
    }
    const marker = reader.u8(at + 1);
    if (marker === 0xff) at += 1;
    else if (marker === 0 || marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) at += 2;
    else {
      const end = at + 2 + reader.u16(at + 2);
      if (end > reader.length) return false;
      if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
        isProgressive = marker === 0xc2 || marker === 0xca;
        for (let index = 0; index < reader.u8(at + 9); index++) {
          done.set(reader.u8(at + 10 + index * 3), new Uint8Array(COEFFICIENTS));
        }
      }
      if (marker === SOS) noteScan(reader, at + 4, isProgressive, done);
      at = end;
    }
  }
  return done.size > 0 && [...done.values()].every((coefficients) => coefficients.every((one) => one === 1));
}

function noteScan(reader: ByteReader, at: number, isProgressive: boolean, done: Map<number, Uint8Array>): void {
  const components = reader.u8(at);
  const parameters = at + 1 + components * 2;
  const first = isProgressive ? reader.u8(parameters) : 0;
  const last = isProgressive ? reader.u8(parameters + 1) : COEFFICIENTS - 1;
  const isLastBit = !isProgressive || (reader.u8(parameters + 2) & 0x0f) === 0;
  if (!isLastBit) return;
  for (let index = 0; index < components; index++) done.get(reader.u8(at + 1 + index * 2))?.fill(1, first, last + 1);
}
