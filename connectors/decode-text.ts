/** Text in UTF-8, or in UTF-16 with a byte order mark, without the mark; null for other bytes. */
export function decodeText(bytes: Uint8Array): string | null {
  const [first, second] = bytes;
  const encoding =
    first === 0xff && second === 0xfe ? "utf-16le" : first === 0xfe && second === 0xff ? "utf-16be" : "utf-8";
  let text: string;
  try {
    text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
  // UTF-16 without its mark reads as UTF-8 with every other byte zero.
  return text.includes("\0") ? null : text;
}
