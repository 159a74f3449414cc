/**
 * Paths as the file system has them: bytes, not text. A name that is no UTF-8 (old archives have them) must reach its
 * file all the same, so inside the sources a path is a "byte path": a string with one character, 0 to 255, a byte.
 * Byte paths sort by code unit, which for UTF-8 names is the order of their code points.
 */
export type BytePath = string;

export function bytePath(path: string | Uint8Array): BytePath {
  return (
    typeof path === "string" ? Buffer.from(path) : Buffer.from(path.buffer, path.byteOffset, path.length)
  ).toString("latin1");
}

/** For calls of node:fs. */
export function fsPath(path: BytePath): Buffer {
  return Buffer.from(path, "latin1");
}

/** For people. */
export function shownPath(path: BytePath): string {
  return fsPath(path).toString();
}

/** All but unreserved and sub-delimiting characters and the slash, as `pathToFileURL` of Node does it for ASCII. */
const ENCODED = /[\0-\x20"#%<>?\\^`{|}\x7f-\xff]/g;

export function percentEncode(path: BytePath): string {
  return path.replace(ENCODED, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
}

/** The byte path behind percent-encoded text; characters beyond ASCII stand for their UTF-8. */
export function percentDecode(text: string): BytePath {
  const bytes = /[^\0-\x7f]/.test(text) ? bytePath(text) : text;
  return bytes.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}
