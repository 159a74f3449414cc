import type { ImageHeader } from "../../../schemas/decode-plan.js";
import { truncated, type ByteReader } from "./byte-reader.js";
import { isSluiceError } from "../../../schemas/errors.js";

const TRAILER = 0x3b;
const EXTENSION = 0x21;
const IMAGE = 0x2c;
const GRAPHIC_CONTROL = 0xf9;

const tableBytes = (flags: number): number => ((flags & 0x80) === 0 ? 0 : 3 * 2 ** ((flags & 7) + 1));

/** Reads the logical screen and counts the frames by walking the blocks, without decoding any. Source: GIF89a. */
export function readGifHeader(reader: ByteReader): ImageHeader {
  return {
    format: "gif",
    width: reader.u16(6, true),
    height: reader.u16(8, true),
    frames: Math.max(1, countFrames(reader).frames),
    colourSpace: "srgb",
    bitsPerChannel: 8,
    orientation: 1,
    colourProfile: null,
  };
}

/** Whether at least the first frame is there to its end. Later frames are not decoded. */
export function isWholeGif(reader: ByteReader): boolean {
  const { frames, ended } = countFrames(reader);
  return ended || frames > 1;
}

/** The bytes that are missing behind a file that ends after the last block of its first frame; null where it ends otherwise. */
export function endOfGif(reader: ByteReader): Uint8Array | null {
  let at = Math.min(reader.length, 13) + (reader.length > 13 ? tableBytes(reader.u8(10)) : 0);
  for (let hasFrame = false; at < reader.length;) {
    const isFrame = reader.u8(at) === IMAGE;
    if (!isFrame && reader.u8(at) !== EXTENSION) return null;
    hasFrame ||= isFrame;
    at += isFrame ? 11 : 2;
    if (isFrame && at - 2 < reader.length) at += tableBytes(reader.u8(at - 2));
    while (at < reader.length && reader.u8(at) > 0) at += reader.u8(at) + 1;
    if (at === reader.length && hasFrame) return Uint8Array.of(0, TRAILER);
    at += 1;
    if (at === reader.length && hasFrame) return Uint8Array.of(TRAILER);
  }
  return null;
}

/** Where the first frame lies on the screen, px, and the first colour of its table; null where there is no frame. */
export function firstGifFrame(reader: ByteReader): {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  readonly isTransparent: boolean;
  /** RGB; null where there is no table of colours */
  readonly firstColour: Uint8Array | null;
} | null {
  const table = tableBytes(reader.u8(10));
  let isTransparent = false;
  for (let at = 13 + table; reader.u8(at) === EXTENSION || reader.u8(at) === IMAGE;) {
    if (reader.u8(at) === EXTENSION) {
      if (reader.u8(at + 1) === GRAPHIC_CONTROL) isTransparent = (reader.u8(at + 3) & 1) === 1;
      at = afterBlocks(reader, at + 2);
      continue;
    }
    const colours = tableBytes(reader.u8(at + 9)) > 0 ? at + 10 : table > 0 ? 13 : null;
    const [left, top] = [reader.u16(at + 1, true), reader.u16(at + 3, true)];
    return {
      left,
      top,
      right: left + reader.u16(at + 5, true),
      bottom: top + reader.u16(at + 7, true),
      isTransparent,
      firstColour: colours === null ? null : reader.bytes.subarray(colours, colours + 3),
    };
  }
  return null;
}

/** `frames` counts those that have begun; `ended`: no block runs past the end of the file. */
function countFrames(reader: ByteReader): { frames: number; ended: boolean } {
  let frames = 0;
  try {
    let at = 13 + tableBytes(reader.u8(10));
    for (;;) {
      const kind = reader.u8(at);
      if (kind === EXTENSION) {
        at = afterBlocks(reader, at + 2);
      } else if (kind === IMAGE) {
        frames += 1;
        at = afterBlocks(reader, at + 11 + tableBytes(reader.u8(at + 9)));
      } else {
        // The trailer, or bytes that writers append in its place: no further frame can be found.
        return { frames, ended: kind === TRAILER || frames > 0 };
      }
    }
  } catch (error) {
    if (!isSluiceError(error, "E_IMAGE_TRUNCATED")) throw error;
    return { frames, ended: false };
  }
}

function afterBlocks(reader: ByteReader, start: number): number {
  let at = start;
  for (let size = reader.u8(at); size > 0; size = reader.u8(at)) at += size + 1;
  if (at + 1 > reader.length) throw truncated("gif", reader.length);
  return at + 1;
}
