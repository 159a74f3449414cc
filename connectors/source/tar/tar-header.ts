import { bytePath, type BytePath } from "../byte-path.js";

export const BLOCK_BYTES = 512;
const ZEROS = Buffer.alloc(BLOCK_BYTES);

/** One block of a tar archive, of any dialect: v7, ustar, GNU, star, pax. */
export interface TarHeader {
  readonly name: BytePath;
  readonly linkName: BytePath;
  /** One character; "0" where it is NUL */
  readonly type: string;
  readonly sizeBytes: number;
  /** Seconds */
  readonly mtimeS: number;
}

/** Whether a block is what can begin a member or end an archive: a header, or zeros. */
export function isTarBlock(block: Buffer): boolean {
  return block.equals(ZEROS) || hasChecksum(block);
}

/** null for a block of zeros. Throws for one whose checksum is wrong. */
export function parseHeader(block: Buffer): TarHeader | null {
  if (block[0] === 0 && block.equals(ZEROS)) return null;
  if (!hasChecksum(block)) throw new Error("no tar header where one must be");
  const magic = block.toString("latin1", 257, 263);
  const prefixEnd = block.toString("latin1", 508, 512) === "tar\0" ? 345 + 131 : 500;
  // GNU keeps other things where ustar has the prefix.
  const prefix = magic === "ustar\0" ? textAt(block, 345, prefixEnd) : "";
  const name = textAt(block, 0, 100);
  const type = String.fromCharCode(block[156]!);
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    linkName: textAt(block, 157, 257),
    type: type === "\0" ? "0" : type,
    sizeBytes: numberAt(block, 124, 12),
    mtimeS: numberAt(block, 136, 12),
  };
}

/** The bytes are added up as if the checksum's own were blanks; some old writers took them as signed. */
function hasChecksum(block: Buffer): boolean {
  let unsigned = 8 * 32;
  let signed = 8 * 32;
  for (let at = 0; at < BLOCK_BYTES; at++) {
    if (at >= 148 && at < 156) continue;
    const byte = block[at]!;
    unsigned += byte;
    signed += byte < 0x80 ? byte : byte - 0x100;
  }
  const sum = numberAt(block, 148, 8);
  return sum === unsigned || sum === signed;
}

function textAt(block: Buffer, from: number, to: number): BytePath {
  const text = block.toString("latin1", from, to);
  const end = text.indexOf("\0");
  return end === -1 ? text : text.slice(0, end);
}

/** Octal digits, or a binary number whose first bit is set. NaN for anything else. */
export function numberAt(block: Buffer, from: number, length: number): number {
  const field = block.subarray(from, from + length);
  if ((field[0]! & 0x80) !== 0) {
    const negative = field[0] === 0xff;
    let value = negative ? -1 : field[0]! & 0x7f;
    for (const byte of field.subarray(1)) value = value * 256 + byte;
    return value;
  }
  const text = field
    .toString("latin1")
    .replace(/[\0 ]+$/, "")
    .trimStart();
  if (text === "") return 0;
  return /^[0-7]+$/.test(text) ? parseInt(text, 8) : NaN;
}

/** What a pax header says, in its order: sparse maps repeat a key. Values are bytes, as byte paths. */
export type PaxRecords = readonly (readonly [key: string, value: string])[];

/** Records are `<length> <key>=<value>\n`, the length being that of the whole. Throws for what is none. */
export function parsePax(bytes: Buffer): PaxRecords {
  const records: [string, string][] = [];
  let at = 0;
  while (at < bytes.length && bytes[at] !== 0) {
    const blank = bytes.indexOf(0x20, at);
    const length = Number(bytes.toString("latin1", at, blank));
    const equals = bytes.indexOf(0x3d, blank);
    if (blank === -1 || equals === -1 || !(length > 0) || equals >= at + length || at + length > bytes.length) {
      throw new Error("a pax header that does not read as one");
    }
    records.push([bytes.toString("latin1", blank + 1, equals), bytePath(bytes.subarray(equals + 1, at + length - 1))]);
    at += length;
  }
  return records;
}
