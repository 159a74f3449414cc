/** Castagnoli's polynomial, bits reversed */
const POLYNOMIAL = 0x82f63b78;
/** Bytes taken in one step */
const STEP = 8;

/** [STEP x 256]: what byte b does to the remainder when `at` more bytes follow it */
const TABLES = ((): Uint32Array => {
  const tables = new Uint32Array(STEP * 256);
  for (let byte = 0; byte < 256; byte++) {
    let remainder = byte;
    for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? POLYNOMIAL : 0);
    tables[byte] = remainder;
  }
  for (let at = 256; at < tables.length; at++) {
    const before = tables[at - 256]!;
    tables[at] = (before >>> 8) ^ tables[before & 0xff]!;
  }
  return tables;
})();

/** CRC-32C (RFC 3720, appendix B.4), as an unsigned number. Node's zlib has the other polynomial. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  let at = 0;
  for (const whole = bytes.length - (bytes.length % STEP); at < whole; at += STEP) {
    crc =
      TABLES[1792 + ((crc ^ bytes[at]!) & 0xff)]! ^
      TABLES[1536 + (((crc >>> 8) ^ bytes[at + 1]!) & 0xff)]! ^
      TABLES[1280 + (((crc >>> 16) ^ bytes[at + 2]!) & 0xff)]! ^
      TABLES[1024 + ((crc >>> 24) ^ bytes[at + 3]!)]! ^
      TABLES[768 + bytes[at + 4]!]! ^
      TABLES[512 + bytes[at + 5]!]! ^
      TABLES[256 + bytes[at + 6]!]! ^
      TABLES[bytes[at + 7]!]!;
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ TABLES[(crc ^ bytes[at]!) & 0xff]!;
  return (crc ^ 0xffffffff) >>> 0;
}
