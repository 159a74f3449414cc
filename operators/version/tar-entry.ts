import { SluiceError } from "../../schemas/errors.js";

const BLOCK = 512;
const encoder = new TextEncoder();

/** Bytes that a file of `sizeBytes` takes in a tar archive: a header and whole blocks. */
export function tarEntryBytes(sizeBytes: number): number {
  return BLOCK + Math.ceil(sizeBytes / BLOCK) * BLOCK;
}

/** Two empty blocks end an archive. */
export const TAR_END = new Uint8Array(2 * BLOCK);

/**
 * One file as a POSIX ustar entry: header, content, padding. Owner 0, mode 0644 and time 0, so that equal files give
 * equal bytes. `name` is at most 100 ASCII characters.
 */
export function tarEntry(name: string, content: Uint8Array): Uint8Array {
  if (name.length > 100 || content.length >= 8 ** 11) {
    throw new SluiceError(
      "E_INTERNAL",
      `A tar entry holds names of 100 characters and 8 GiB, found "${name}" of ${content.length} bytes.`,
    );
  }
  const entry = new Uint8Array(tarEntryBytes(content.length));
  const text = (at: number, value: string): void => void encoder.encodeInto(value, entry.subarray(at));
  const octal = (at: number, width: number, value: number): void => {
    text(at, value.toString(8).padStart(width - 1, "0"));
  };
  text(0, name);
  octal(100, 8, 0o644);
  octal(108, 8, 0);
  octal(116, 8, 0);
  octal(124, 12, content.length);
  octal(136, 12, 0);
  text(148, "        ");
  text(156, "0");
  text(257, "ustar\0" + "00");
  octal(329, 8, 0);
  octal(337, 8, 0);
  let sum = 0;
  for (let at = 0; at < BLOCK; at++) sum += entry[at]!;
  text(148, sum.toString(8).padStart(6, "0") + "\0 ");
  entry.set(content, BLOCK);
  return entry;
}
