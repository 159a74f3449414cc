import sharp, { type Sharp } from "sharp";
import type { SeededRandom } from "../../operators/training/seeded-random.js";
import { SIDE } from "./mnist.js";

export interface BrokenFile {
  /** What is wrong with it */
  readonly fault: string;
  readonly extension: string;
  readonly bytes: Uint8Array;
}

/** Files of the sorts that a real folder of pictures holds and that go to the quarantine one by one; of the last sorts, only where `decode.strict` says so. */
export async function breakFile(index: number, digit: Uint8Array, random: SeededRandom): Promise<BrokenFile> {
  const make = FAULTS[index % FAULTS.length]!;
  return make(digit, random);
}

const FAULTS: readonly ((digit: Uint8Array, random: SeededRandom) => Promise<BrokenFile> | BrokenFile)[] = [
  () => ({ fault: "empty", extension: "jpg", bytes: new Uint8Array(0) }),
  async (digit, random) => {
    const whole = await grey(digit).jpeg({ quality: 92 }).toBuffer();
    return { fault: "truncated", extension: "jpg", bytes: whole.subarray(0, whole.length - 150 - random.below(100)) };
  },
  async (digit, random) => {
    const whole = await grey(digit).png().toBuffer();
    return { fault: "truncated", extension: "png", bytes: whole.subarray(0, 60 + random.below(40)) };
  },
  (_digit, random) => ({
    fault: "text",
    extension: "jpg",
    bytes: new TextEncoder().encode(`<html><body>404 Not Found (${random.uint32()})</body></html>\n`),
  }),
  (_digit, random) => ({ fault: "gigantic", extension: "png", bytes: giganticPng(random.uint32()) }),
  (_digit, random) => ({ fault: "garbage", extension: "jpg", bytes: garbageJpeg(random) }),
  async (digit) => ({ fault: "wrong extension", extension: "jpg", bytes: await grey(digit).png().toBuffer() }),
  async (_digit, random) => ({
    fault: "tiny",
    extension: "png",
    bytes: await sharp(Uint8Array.of(random.below(256), random.below(256), random.below(256)), {
      raw: { width: 1, height: 1, channels: 3 },
    })
      .png()
      .toBuffer(),
  }),
  async (digit) => ({
    fault: "cmyk",
    extension: "jpg",
    bytes: await grey(digit).toColourspace("cmyk").jpeg({ quality: 92 }).toBuffer(),
  }),
  async (digit) => ({
    fault: "16 bits a channel",
    extension: "png",
    bytes: await grey(digit).toColourspace("grey16").png().toBuffer(),
  }),
  async (digit) => ({
    fault: "animated",
    extension: "gif",
    bytes: await sharp(Buffer.concat([digit, digit.map((value) => 255 - value)]), {
      raw: { width: SIDE, height: 2 * SIDE, channels: 1, pageHeight: SIDE },
    })
      .gif()
      .toBuffer(),
  }),
];

function grey(digit: Uint8Array): Sharp {
  return sharp(digit, { raw: { width: SIDE, height: SIDE, channels: 1 } }).toColourspace("b-w");
}

/** A PNG whose header announces 100,000 x 100,000 pixels: 10 GB once decoded. */
function giganticPng(salt: number): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(100_000, 0);
  header.writeUInt32BE(100_000, 4);
  header.set([8, 0, 0, 0, 0], 8);
  const salted = Buffer.alloc(4);
  salted.writeUInt32BE(salt);
  const magic = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([magic, pngChunk("IHDR", header), pngChunk("IDAT", salted), pngChunk("IEND", Buffer.alloc(0))]);
}

function pngChunk(type: string, content: Buffer): Buffer {
  const chunk = Buffer.alloc(12 + content.length);
  chunk.writeUInt32BE(content.length, 0);
  chunk.write(type, 4, "latin1");
  content.copy(chunk, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + content.length)), 8 + content.length);
  return chunk;
}

/** CRC-32 as PNG has it (node:zlib has one only from Node 22). */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** A JPEG's first and last bytes, between them bytes that are none. */
function garbageJpeg(random: SeededRandom): Uint8Array {
  const bytes = Uint8Array.from({ length: 400 }, () => random.below(256));
  bytes.set([0xff, 0xd8, 0xff, 0xe0, 0x00, 0x10, 0x4a, 0x46, 0x49, 0x46, 0x00]);
  bytes.set([0xff, 0xd9], bytes.length - 2);
  return bytes;
}
