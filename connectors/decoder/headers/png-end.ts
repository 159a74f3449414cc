import { inflateSync } from "node:zlib";
import { orNullNow } from "../../../schemas/errors.js";
import { ByteReader } from "./byte-reader.js";
import { NOT_INFLATED, readPngHeader } from "./png-header.js";

const SIGNATURE_BYTES = 8;
const CHUNK_OVERHEAD_BYTES = 12;
const END = Buffer.from("0000000049454e44ae426082", "hex");
/** Of a pixel at most (four channels of 16 bits), and of a row its filter; interlaced pictures have more, shorter rows */
const [PIXEL_BYTES, ROW_BYTES] = [8, 4];

/**
 * A PNG whose last chunk, IEND, is missing, with it put there; null where pixels are missing, too: what the whole chunks have of them does not unpack to
 * its end. What follows the last whole chunk is left out. Source: PNG, third edition, 5.6.
 */
export function withPngEnd(bytes: Uint8Array): Uint8Array | null {
  const reader = new ByteReader(bytes, "png");
  const { width, height } = readPngHeader(reader);
  const packed: Uint8Array[] = [];
  let at = SIGNATURE_BYTES;
  while (at + CHUNK_OVERHEAD_BYTES <= reader.length) {
    const next = at + CHUNK_OVERHEAD_BYTES + reader.u32(at);
    if (next > reader.length) break;
    if (reader.text(at + 4, 4) === "IDAT") packed.push(bytes.subarray(at + 8, next - 4));
    at = next;
  }
  const maxOutputLength = Math.max(64, width * height * PIXEL_BYTES + height * ROW_BYTES + width);
  const pixels = orNullNow(() => inflateSync(Buffer.concat(packed), { maxOutputLength }), ...NOT_INFLATED);
  return pixels === null ? null : Buffer.concat([bytes.subarray(0, at), END]);
}
