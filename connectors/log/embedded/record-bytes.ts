import { SluiceError } from "../../../schemas/errors.js";
import type { LogRecord, StoredRecord } from "../../../schemas/image-record.js";

const VERSION = 1;
const HAS_KEY = 1;
const HAS_VALUE = 2;
/** version u8, flags u8, header count u16, timestamp f64, key length u32, headers' length u32 */
export const FIXED_BYTES = 20;
/** Each header: name length u16, value length u32, both in bytes of UTF-8 */
const HEADER_BYTES = 6;

/**
 * A record as the embedded log stores it, little-endian: the fixed part, the headers (name, value, …), the key, then
 * the value up to the end. Throws E_RECORD_SCHEMA for more than 65,535 headers or a header name above 65,535 bytes.
 */
export function encodeRecord({ key, value, headers, timestampMs }: LogRecord): Buffer {
  const entries = Object.entries(headers);
  let headersBytes = 0;
  for (const [name, text] of entries) {
    headersBytes += HEADER_BYTES + Buffer.byteLength(name) + Buffer.byteLength(text);
  }
  const keyBytes = key?.length ?? 0;
  const bytes = Buffer.allocUnsafe(FIXED_BYTES + headersBytes + keyBytes + (value?.length ?? 0));
  bytes[0] = VERSION;
  bytes[1] = (key === null ? 0 : HAS_KEY) | (value === null ? 0 : HAS_VALUE);
  if (entries.length > 0xffff) throw tooLarge(`${entries.length} headers`);
  bytes.writeUInt16LE(entries.length, 2);
  bytes.writeDoubleLE(timestampMs, 4);
  bytes.writeUInt32LE(keyBytes, 12);
  bytes.writeUInt32LE(headersBytes, 16);
  let at = FIXED_BYTES;
  for (const [name, text] of entries) {
    const nameBytes = bytes.write(name, at + HEADER_BYTES);
    if (nameBytes > 0xffff) throw tooLarge(`a header name of ${nameBytes} bytes`);
    const textBytes = bytes.write(text, at + HEADER_BYTES + nameBytes);
    bytes.writeUInt16LE(nameBytes, at);
    bytes.writeUInt32LE(textBytes, at + 2);
    at += HEADER_BYTES + nameBytes + textBytes;
  }
  if (key !== null) bytes.set(key, at);
  if (value !== null) bytes.set(value, at + keyBytes);
  return bytes;
}

/** The record's key and value are views of `bytes`. Throws E_LOG_IO where they were written by another version. */
export function decodeRecord(bytes: Buffer, offset: number): StoredRecord {
  if (bytes.length < FIXED_BYTES || bytes[0] !== VERSION) {
    throw new SluiceError(
      "E_LOG_IO",
      `Expected a record of version ${VERSION} at offset ${offset} of the embedded log, found version ${bytes[0] ?? "none"}. ` +
        "Open this data folder with the Sluice that wrote it.",
    );
  }
  const flags = bytes[1]!;
  const headerCount = bytes.readUInt16LE(2);
  const keyBytes = bytes.readUInt32LE(12);
  const keyStart = FIXED_BYTES + bytes.readUInt32LE(16);
  const headers: Record<string, string> = {};
  let at = FIXED_BYTES;
  for (let i = 0; i < headerCount; i++) {
    const nameEnd = at + HEADER_BYTES + bytes.readUInt16LE(at);
    const textEnd = nameEnd + bytes.readUInt32LE(at + 2);
    const name = bytes.toString("utf8", at + HEADER_BYTES, nameEnd);
    const text = bytes.toString("utf8", nameEnd, textEnd);
    // A header may be called "__proto__", and an assignment would lose it.
    if (name === "__proto__") Object.defineProperty(headers, name, { value: text, enumerable: true });
    else headers[name] = text;
    at = textEnd;
  }
  return {
    offset,
    key: (flags & HAS_KEY) === 0 ? null : bytes.subarray(keyStart, keyStart + keyBytes),
    value: (flags & HAS_VALUE) === 0 ? null : bytes.subarray(keyStart + keyBytes),
    headers,
    timestampMs: bytes.readDoubleLE(4),
  };
}

function tooLarge(what: string): SluiceError {
  return new SluiceError(
    "E_RECORD_SCHEMA",
    `Expected at most 65,535 headers with names of at most 65,535 bytes, found ${what}. Put it into the record's value.`,
  );
}
