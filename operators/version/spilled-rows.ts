import type { ChosenRows } from "../../schemas/chosen-rows.js";
import { packOfRow } from "../../schemas/pack.js";
import { DIGEST_BYTES, type ScoredBatch } from "../../schemas/scored-batch.js";
import type { ChainName } from "../../schemas/keys.js";
import type { TopkRows } from "../topk/topk.js";
import type { ClassScores } from "../select/ranking.js";
import { assertImage, listLocator, readPlaces } from "./archived-rows.js";
import type { ChosenClass } from "./choose-rows.js";
import { emptyRows, probabilityOf, type FilledRows, type RowArchive } from "./chosen-rows.js";
import { EntryPlaces } from "./entry-places.js";
import { Spool, type SpoolPlace } from "./spool.js";

/** Bytes of rows that wait for their group's next piece */
const PIECE_BYTES = 2 ** 18;
/** Position and probability, before the image's record */
const ROW_BYTES = 4 + 8;
/** Of an image's record, without its texts: digest, event time, size, width and height, and where the bytes were */
const IMAGE_BYTES = DIGEST_BYTES + 8 + 12 + 1;
/** uri, licence, origin, notes and pack: each with its length, 4 bytes, before it */
const TEXTS = 5;
const NO_TEXT = 0xffff_ffff;

/** Classes whose rows are in memory together. */
type ClassGroup = readonly ChosenClass[];

/**
 * The archived rows behind groups of classes, whose order is theirs: the archive is read once, in its order, each row goes to its group's part of a scratch
 * file, and the groups are read back one after the other. In memory are where the entries lie, 16 bytes each, and one group.
 */
export async function* spilledRows(
  archive: RowArchive,
  groups: readonly ClassGroup[],
): AsyncGenerator<ChosenRows, void, undefined> {
  const spool = new Spool(archive.archive.store, 0);
  try {
    const parts = await spill(archive, groups, spool);
    for (const [index, group] of groups.entries()) yield* await readBack(group, parts[index]!, spool);
  } finally {
    await spool.close();
  }
}

async function spill(archive: RowArchive, groups: readonly ClassGroup[], spool: Spool): Promise<GroupPart[]> {
  const classes = groups.flat();
  const parts = groups.map(() => new GroupPart(spool));
  const partOf = groups.flatMap((group, index) => group.map(() => parts[index]!));
  const startInGroup = groups.flatMap((group) => {
    let sum = 0;
    return group.map(({ count }) => (sum += count) - count);
  });
  const places = new EntryPlaces(classes.reduce((sum, { count }) => sum + count, 0));
  for (const one of classes) places.add(one.entries().rows);
  places.sort();
  const locate = listLocator(classes.map(({ count }) => count));
  const image = new ImageRecord();
  let scored: ScoredBatch | null = null;
  let scores: ClassScores | null = null;
  await readPlaces(archive, places, (entry, batch, row, chain) => {
    if (batch !== scored) {
      scores = archive.ranking.byProbability ? null : archive.ranking.scores(batch);
      scored = batch;
    }
    image.write(batch, row, chain);
    const [list, at] = locate(entry);
    const probability = scores === null ? Number.NaN : probabilityOf(scores, row, classes[list]!.class);
    return partOf[list]!.add(startInGroup[list]! + at, probability, image);
  });
  for (const part of parts) await part.end();
  return parts;
}

/** One group's rows in the spool, in pieces, in the archive's order. */
class GroupPart {
  readonly pieces: SpoolPlace[] = [];
  readonly #spool: Spool;
  #bytes: Buffer | null = null;
  rows = 0;
  #end = 0;

  constructor(spool: Spool) {
    this.#spool = spool;
  }

  /** To be waited for where it is not undefined. */
  add(position: number, probability: number, image: ImageRecord): Promise<void> | undefined {
    const size = ROW_BYTES + image.size;
    const full = this.#bytes !== null && this.#end + size > this.#bytes.length;
    const waiting = full ? this.end() : undefined;
    this.#bytes ??= Buffer.allocUnsafeSlow(Math.max(PIECE_BYTES, size));
    this.#bytes.writeUInt32LE(position, this.#end);
    this.#bytes.writeDoubleLE(probability, this.#end + 4);
    image.bytes.copy(this.#bytes, this.#end + ROW_BYTES, 0, image.size);
    this.#end += size;
    this.rows++;
    return waiting;
  }

  async end(): Promise<void> {
    if (this.#bytes === null) return;
    const piece = this.#bytes.subarray(0, this.#end);
    this.#bytes = null;
    this.#end = 0;
    this.pieces.push(await this.#spool.add(piece));
  }
}

/** What a version says of an image, as bytes: encoded once for all classes that it stands in. */
class ImageRecord {
  bytes = Buffer.allocUnsafeSlow(4096);
  size = 0;
  #batch: ScoredBatch | null = null;
  #row = -1;

  write(batch: ScoredBatch, row: number, chain: ChainName): void {
    if (batch === this.#batch && row === this.#row) return;
    this.#batch = batch;
    this.#row = row;
    const pack = batch.pack.get(row);
    const texts = [
      batch.uri.get(row) ?? "",
      batch.licence.get(row),
      batch.origin.get(row),
      batch.notes.get(row),
      pack === null ? null : packOfRow(pack, chain),
    ];
    // A character takes three bytes at most.
    const most = IMAGE_BYTES + texts.reduce((sum, text) => sum + 4 + 3 * (text?.length ?? 0), 0);
    if (most > this.bytes.length) this.bytes = Buffer.allocUnsafeSlow(2 * most);
    const { bytes } = this;
    bytes.set(batch.digest.subarray(row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES));
    let at = DIGEST_BYTES;
    at = bytes.writeDoubleLE(Number(batch.eventTimeMs[row]!), at);
    at = bytes.writeUInt32LE(batch.sizeBytes[row]!, at);
    at = bytes.writeUInt32LE(batch.width[row]!, at);
    at = bytes.writeUInt32LE(batch.height[row]!, at);
    at = bytes.writeUInt8(batch.bytes[row]!, at);
    for (const text of texts) {
      const length = text === null ? NO_TEXT : bytes.write(text, at + 4);
      bytes.writeUInt32LE(length, at);
      at += 4 + (text === null ? 0 : length);
    }
    this.size = at;
  }
}

async function readBack(group: ClassGroup, part: GroupPart, spool: Spool): Promise<ChosenRows[]> {
  const records = await recordsOf(part, spool);
  let position = 0;
  return group.map((one) => {
    const entries = one.entries();
    const chosen = emptyRows(entries);
    for (let row = 0; row < chosen.count; row++) readRecord(records, position++, entries.rows, chosen, row);
    return chosen;
  });
}

/** A group's records, and where each begins: rows are filled in their own order, since columns written in another one miss the processor's cache. */
interface Records {
  readonly bytes: Buffer;
  /** By position in the group */
  readonly starts: Uint32Array;
}

async function recordsOf(part: GroupPart, spool: Spool): Promise<Records> {
  const pieces: Uint8Array[] = [];
  for (const place of part.pieces) pieces.push(await spool.read(place));
  const bytes = Buffer.concat(pieces);
  const starts = new Uint32Array(part.rows);
  for (let at = 0; at < bytes.length;) {
    starts[bytes.readUInt32LE(at)] = at;
    at += ROW_BYTES + IMAGE_BYTES;
    for (let text = 0; text < TEXTS; text++) {
      const length = bytes.readUInt32LE(at);
      at += length === NO_TEXT ? 4 : 4 + length;
    }
  }
  return { bytes, starts };
}

function readRecord(
  { bytes, starts }: Records,
  position: number,
  ranked: TopkRows,
  rows: FilledRows,
  to: number,
): void {
  let at = starts[position]!;
  const probability = bytes.readDoubleLE(at + 4);
  // NaN: it is the rank key's already.
  if (!Number.isNaN(probability)) rows.probability[to] = probability;
  at += ROW_BYTES;
  assertImage(bytes, at, ranked, to);
  for (let byte = 0; byte < DIGEST_BYTES; byte++) rows.digest[to * DIGEST_BYTES + byte] = bytes[at + byte]!;
  at += DIGEST_BYTES;
  rows.eventTimeMs[to] = bytes.readDoubleLE(at);
  rows.sizeBytes[to] = bytes.readUInt32LE(at + 8);
  rows.width[to] = bytes.readUInt32LE(at + 12);
  rows.height[to] = bytes.readUInt32LE(at + 16);
  rows.bytes[to] = bytes[at + 20]!;
  at = readText(bytes, at + 21, rows.uri, to);
  at = readText(bytes, at, rows.licence, to);
  at = readText(bytes, at, rows.origin, to);
  at = readText(bytes, at, rows.notes, to);
  readText(bytes, at, rows.pack, to);
}

/** Returns where the text ends. */
function readText(bytes: Buffer, at: number, column: (string | null)[], to: number): number {
  const length = bytes.readUInt32LE(at);
  column[to] = length === NO_TEXT ? null : bytes.toString("utf8", at + 4, at + 4 + length);
  return length === NO_TEXT ? at + 4 : at + 4 + length;
}
