import type { ByteReader } from "./byte-reader.js";

/** How brightness and two colours become RGB. Source: ITU-T H.273, 8.3 */
export interface ColourCode {
  /** Code of its table 4 */
  readonly matrix: number;
  readonly isFullRange: boolean;
}

/** An AVIF that a decoder leaves as it is stored, and what its boxes say that Python does with it. */
export interface StoredPicture {
  readonly bytes: Uint8Array;
  /** The EXIF orientation that its turns stand for */
  readonly orientation: number;
  readonly frames: number;
}

export interface AsStored {
  readonly bytes: Uint8Array;
  /** Null where no box says it: then what is packed in the file does */
  readonly code: ColourCode | null;
}

/** Primaries and transfer are not said; the matrix is the one that passes on what is stored, as green, blue and red; the range is full. */
const NCLX = Uint8Array.of(...Buffer.from("nclx"), 0, 2, 0, 2, 0, 0, 0x80);
/** Where matrix and range stand in it */
const MATRIX_AT = 8;
const RANGE_AT = 10;

/**
 * The same AVIF, saying that what it stores is green, blue and red: a decoder that makes RGB then gives brightness and both colours as they are. With
 * it how they become RGB. Null where the file says that in two ways, or is built otherwise than files are that hold one picture.
 * Source: ISO/IEC 14496-12, 8.11 and 12.1.5; ISO/IEC 23008-12, 9.3.
 */
export function asStored(reader: ByteReader): AsStored | null {
  const meta = find(boxesIn(reader, 0, reader.length), "meta");
  if (meta === undefined) return null;
  // `meta`, `pitm` and `ipma` have a version and flags before what is in them.
  const inner = boxesIn(reader, meta.start + 4, meta.end);
  const properties = find(inner, "iprp");
  const pitm = find(inner, "pitm");
  if (properties === undefined || pitm === undefined) return null;
  const parts = boxesIn(reader, properties.start, properties.end);
  const list = find(parts, "ipco");
  const uses = find(parts, "ipma");
  if (list === undefined || uses === undefined) return null;
  const listed = boxesIn(reader, list.start, list.end);
  const said = listed.filter(({ kind, start }) => kind === "colr" && reader.text(start, 4) === "nclx");
  if (said.length > 0) return replaced(reader, said);
  const primary = reader.u8(pitm.start) === 0 ? reader.u16(pitm.start + 4) : reader.u32(pitm.start + 4);
  const used = withUse(reader, uses, primary, listed.length + 1);
  if (used === null) return null;
  const own = (one: Box): Uint8Array => reader.bytes.subarray(one.at, one.end);
  const held = (one: Box): Uint8Array => reader.bytes.subarray(one.start, one.end);
  const told = parts.map((one) => {
    if (one === list) return box("ipco", held(list), box("colr", NCLX));
    return one === uses ? box("ipma", used) : own(one);
  });
  const head = reader.bytes.subarray(meta.start, meta.start + 4);
  const made = box("meta", head, ...inner.map((one) => (one === properties ? box("iprp", ...told) : own(one))));
  // What the file holds stays where it is, since its places are counted from the file's start: the new box comes last.
  const bytes = joined([reader.bytes, made]);
  bytes.set(Buffer.from("free"), meta.kindAt);
  return { bytes, code: null };
}

function replaced(reader: ByteReader, said: readonly Box[]): AsStored | null {
  const codes = said.map(({ start }): ColourCode => ({
    matrix: reader.u16(start + MATRIX_AT),
    isFullRange: (reader.u8(start + RANGE_AT) & 0x80) !== 0,
  }));
  const [code] = codes;
  if (codes.some((one) => one.matrix !== code!.matrix || one.isFullRange !== code!.isFullRange)) return null;
  const bytes = new Uint8Array(reader.bytes);
  for (const { start, end } of said) bytes.set(NCLX.subarray(0, end - start), start);
  return { bytes, code: code! };
}

/** What `ipma` holds, with one property more for an item; null where it does not name the item. */
function withUse(reader: ByteReader, uses: Box, item: number, property: number): Uint8Array | null {
  const isWideItem = reader.u8(uses.start) > 0;
  const isWideProperty = (reader.u8(uses.start + 3) & 1) !== 0;
  if (property > (isWideProperty ? 0x7fff : 0x7f)) return null;
  const entries = reader.u32(uses.start + 4);
  let at = uses.start + 8;
  for (let entry = 0; entry < entries && at < uses.end; entry++) {
    const found = isWideItem ? reader.u32(at) : reader.u16(at);
    const countAt = at + (isWideItem ? 4 : 2);
    const count = reader.u8(countAt);
    const end = countAt + 1 + count * (isWideProperty ? 2 : 1);
    if (found === item && count < 0xff) {
      const added = isWideProperty ? Uint8Array.of(property >> 8, property & 0xff) : Uint8Array.of(property);
      const made = joined([reader.bytes.subarray(uses.start, end), added, reader.bytes.subarray(end, uses.end)]);
      made[countAt - uses.start] = count + 1;
      return made;
    }
    at = end;
  }
  return null;
}

/** EXIF orientation by turns of 90 degrees against the clock (`irot`) and then a flip (`imir`): none, top to bottom, left to right */
const ORIENTATIONS: readonly (readonly number[])[] = [
  [1, 4, 2],
  [8, 5, 7],
  [3, 2, 4],
  [6, 7, 5],
];

/**
 * The same AVIF as one picture whose pixels lie as they are stored: that is what Python sees, where an EXIF orientation takes the place of the boxes that turn. Of
 * a sequence it is the still picture beside it. Null where the file is turned in a way that no EXIF orientation says.
 * Source: ISO/IEC 23008-12, 6.5.10 and 6.5.12.
 */
export function storedPicture(reader: ByteReader): StoredPicture | null {
  const top = boxesIn(reader, 0, reader.length);
  const bytes = new Uint8Array(reader.bytes);
  // A decoder for stills takes no file that calls itself a sequence first.
  if (reader.text(8, 4) === "avis") bytes.set(Buffer.from("avif"), 8);
  const frames = framesIn(reader, find(top, "moov"));
  const meta = find(top, "meta");
  const properties = meta === undefined ? undefined : find(boxesIn(reader, meta.start + 4, meta.end), "iprp");
  const list = properties === undefined ? undefined : find(boxesIn(reader, properties.start, properties.end), "ipco");
  const listed = list === undefined ? [] : boxesIn(reader, list.start, list.end);
  const turns = listed.filter(({ kind }) => kind === "irot" || kind === "imir");
  const [turn = [], flip = []] = ["irot", "imir"].map((wanted) => turns.filter(({ kind }) => kind === wanted));
  const isInOrder = turns.length < 2 || (turns[0]!.kind === "irot" && turns[1]!.kind === "imir");
  if (turn.length > 1 || flip.length > 1 || !isInOrder) return null;
  const quarters = turn[0] === undefined ? 0 : reader.u8(turn[0].start) & 3;
  const axis = flip[0] === undefined ? 0 : 1 + (reader.u8(flip[0].start) & 1);
  for (const { kindAt, start } of turns) {
    // A flip has no value that does nothing; a turn by none has.
    bytes.set(Buffer.from("irot"), kindAt);
    bytes[start] = 0;
  }
  return { bytes, orientation: ORIENTATIONS[quarters]![axis]!, frames };
}

/** Of the first track: how many samples `stsz` counts. */
function framesIn(reader: ByteReader, movie: Box | undefined): number {
  let box = movie;
  for (const kind of ["trak", "mdia", "minf", "stbl", "stsz"]) {
    if (box === undefined) return 1;
    box = find(boxesIn(reader, box.start, box.end), kind);
  }
  return box === undefined ? 1 : Math.max(1, reader.u32(box.start + 8));
}

interface Box {
  readonly kind: string;
  readonly at: number;
  readonly kindAt: number;
  /** Of what is in it */
  readonly start: number;
  readonly end: number;
}

function boxesIn(reader: ByteReader, from: number, to: number): Box[] {
  const boxes: Box[] = [];
  for (let at = from; at + 8 <= to;) {
    const size = reader.u32(at);
    // 0: the box goes on to the end. 1: its size is the 64-bit number behind its kind.
    const header = size === 1 ? 16 : 8;
    const length = size === 0 ? to - at : size === 1 ? reader.u32(at + 8) * 2 ** 32 + reader.u32(at + 12) : size;
    if (length < header || at + length > to) break;
    boxes.push({ kind: reader.text(at + 4, 4), at, kindAt: at + 4, start: at + header, end: at + length });
    at += length;
  }
  return boxes;
}

function find(boxes: readonly Box[], wanted: string): Box | undefined {
  return boxes.find(({ kind }) => kind === wanted);
}

function box(kind: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const size = parts.reduce((sum, { length }) => sum + length, 8);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(size);
  head.write(kind, 4, "latin1");
  return joined([head, ...parts]);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
