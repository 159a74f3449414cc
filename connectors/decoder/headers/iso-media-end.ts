import type { ByteReader } from "./byte-reader.js";

/**
 * Whether an AVIF stores its colours at half the size: the AV1 configuration of its first picture says so. Source: AV1 Codec ISO Media File
 * Format Binding, 2.3.3.
 */
export function hasHalvedColours(bytes: Uint8Array): boolean {
  const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf("av1C", 0, "latin1");
  const flags = at < 0 ? 0 : (bytes[at + 6] ?? 0);
  const isGrey = (flags & 0x10) !== 0;
  return !isGrey && (flags & 0x0c) !== 0;
}

/** Whether every top-level box of an ISO base media file (AVIF) ends within it. Source: ISO/IEC 14496-12, 4.2. */
export function isWholeIsoMedia(reader: ByteReader): boolean {
  for (let at = 0; at < reader.length;) {
    if (at + 16 > reader.length) return at + 8 <= reader.length && at + reader.u32(at) <= reader.length;
    const size = reader.u32(at);
    // 0: the box goes on to the end of the file. 1: its size is the 64-bit number after its type.
    if (size === 0) return true;
    const whole = size === 1 ? reader.u32(at + 8) * 2 ** 32 + reader.u32(at + 12) : size;
    if (whole < 8) return true;
    at += whole;
    if (at > reader.length) return false;
  }
  return true;
}
