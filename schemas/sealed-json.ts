import { crc32 } from "node:zlib";
import { z } from "zod";
import { messageOf, SluiceError } from "./errors.js";

/** The last member of a sealed object: 8 hexadecimal digits, taken as zeros when the checksum is made. */
const MEMBER = '"crc32":';
const DIGITS = 8;
const ZEROS = "0".repeat(DIGITS);

/**
 * A JSON object and a newline; its last member is a CRC-32 over all of these bytes: a reader notices any bit that is not as
 * written.
 */
export function sealJson(value: object, indent?: number): Buffer {
  const bytes = Buffer.from(JSON.stringify({ ...value, crc32: ZEROS }, null, indent) + "\n");
  const at = digitsAt(bytes);
  bytes.write(crcDigits(crc32(bytes)), at, "latin1");
  return bytes;
}

/** What was sealed. Throws TypeError where the bytes are not those that were written. */
export function openSealedJson(bytes: Uint8Array): unknown {
  const copy = Buffer.from(bytes);
  const at = digitsAt(copy);
  const written = copy.toString("latin1", at, at + DIGITS);
  copy.write(ZEROS, at, "latin1");
  const found = crcDigits(crc32(copy));
  if (written !== found)
    throw new TypeError(`its checksum is ${found}, the one written with it ${JSON.stringify(written)}`);
  const members = z.record(z.string(), z.unknown()).parse(JSON.parse(copy.toString()));
  return Object.fromEntries(Object.entries(members).filter(([name]) => name !== "crc32"));
}

/** What was sealed, by its schema. Throws E_STORE_CORRUPT: `what` was expected at the key, and `repair` says what to do. */
export function readSealed<T>(
  schema: z.ZodType<T>,
  bytes: Uint8Array,
  { key, what, repair }: { readonly key: string; readonly what: string; readonly repair: string },
): T {
  try {
    return schema.parse(openSealedJson(bytes));
  } catch (cause) {
    throw new SluiceError("E_STORE_CORRUPT", `Expected ${what} at ${key}, found: ${messageOf(cause)}. ${repair}`, {
      cause,
      key,
    });
  }
}

export function crcDigits(crc: number): string {
  return crc.toString(16).padStart(DIGITS, "0");
}

/** Where the digits of the checksum begin. */
function digitsAt(bytes: Buffer): number {
  const member = bytes.lastIndexOf(MEMBER, undefined, "latin1");
  const at = member < 0 ? -1 : bytes.indexOf('"', member + MEMBER.length, "latin1") + 1;
  if (at <= 0 || at + DIGITS > bytes.length) throw new TypeError('it has no "crc32" at its end');
  return at;
}
