import type { ChosenRows } from "../../schemas/chosen-rows.js";
import type { ScoredBatch } from "../../schemas/scored-batch.js";
import type { ClassScores } from "../select/ranking.js";
import { endLocator, readPlaces } from "./archived-rows.js";
import type { ChosenClass } from "./choose-rows.js";
import { probabilityOf, type RowArchive } from "./chosen-rows.js";
import { EntryPlaces } from "./entry-places.js";
import { ImageRecord } from "./image-record.js";
import { RecordedRows, ROW_WORDS } from "./recorded-rows.js";
import { Spool, type SpoolPlace } from "./spool.js";

/** Words of rows that wait for their group's next piece */
const PIECE_WORDS = 2 ** 14;

/** Classes whose rows are in memory together. */
type ClassGroup = readonly ChosenClass[];

/**
 * The archived rows behind groups of classes, whose order is theirs: the archive is read once, in its order, each row goes to its group's part of a scratch
 * file, and the groups are read back one after the other. In memory are where the entries lie, 16 bytes each, one group, and of the file what
 * `memoryBytes` says.
 */
export async function* spilledRows(
  archive: RowArchive,
  groups: readonly ClassGroup[],
  memoryBytes: number,
): AsyncGenerator<ChosenRows, void, undefined> {
  const spool = new Spool(archive.archive.store, memoryBytes);
  try {
    const parts = await spill(archive, groups, spool);
    for (const [index, group] of groups.entries()) {
      const recorded = await parts[index]!.recorded();
      let first = 0;
      for (const one of group) {
        yield recorded.ofClass(one.entries(), first);
        first += one.count;
      }
    }
  } finally {
    await spool.close();
  }
}

async function spill(archive: RowArchive, groups: readonly ClassGroup[], spool: Spool): Promise<GroupPart[]> {
  const classes = groups.flat();
  const places = new EntryPlaces(classes.reduce((sum, { count }) => sum + count, 0));
  for (const one of classes) places.add(one.entries().rows);
  places.sort();
  let first = 0;
  const parts = groups.map((group) => {
    const part = new GroupPart(spool, first);
    first += group.reduce((sum, { count }) => sum + count, 0);
    return part;
  });
  const partOf = endLocator(parts.map((_, index) => parts[index + 1]?.first ?? first));
  const classOf = endLocator(endsOf(classes));
  const image = new ImageRecord();
  let scored: ScoredBatch | null = null;
  let scores: ClassScores | null = null;
  const ends = endsOf(classes);
  const probabilityIn = (scored: ClassScores, row: number, entry: number): number => {
    const at = classOf(entry);
    const one = classes[at]!;
    // The class of an image that people placed may be none of its best: its probability is known.
    return one.isByLabel(entry - ends[at]! + one.count) ? Number.NaN : probabilityOf(scored, row, one.class);
  };
  await readPlaces(archive, places, (entry, batch, row, chain) => {
    if (batch !== scored) {
      scores = archive.ranking.byProbability ? null : archive.ranking.scores(batch);
      scored = batch;
    }
    image.write(batch, row, chain);
    const probability = scores === null ? Number.NaN : probabilityIn(scores, row, entry);
    return parts[partOf(entry)]!.add(entry, probability, image);
  });
  for (const part of parts) await part.end();
  return parts;
}

function endsOf(classes: ClassGroup): number[] {
  let end = 0;
  return classes.map(({ count }) => (end += count));
}

/** One group's rows in the spool, in pieces, in the archive's order. */
class GroupPart {
  /** Number of the group's first entry among all */
  readonly first: number;
  readonly #pieces: SpoolPlace[] = [];
  readonly #spool: Spool;
  #words: Uint32Array<ArrayBuffer> | null = null;
  #view = new DataView(new ArrayBuffer(0));
  #end = 0;
  #rows = 0;

  constructor(spool: Spool, first: number) {
    this.#spool = spool;
    this.first = first;
  }

  /** To be waited for where it is not undefined. */
  add(entry: number, probability: number, image: ImageRecord): Promise<void> | undefined {
    const size = ROW_WORDS + image.size;
    const full = this.#words !== null && this.#end + size > this.#words.length;
    const waiting = full ? this.end() : undefined;
    const words = (this.#words ??= this.#open(size));
    const at = this.#end;
    words[at] = entry - this.first;
    this.#view.setFloat64(4 * at + 4, probability, true);
    const from = image.words;
    for (let word = image.size - 1; word >= 0; word--) words[at + ROW_WORDS + word] = from[word]!;
    this.#end = at + size;
    this.#rows++;
    return waiting;
  }

  #open(leastWords: number): Uint32Array<ArrayBuffer> {
    const words = new Uint32Array(Math.max(PIECE_WORDS, leastWords));
    this.#view = new DataView(words.buffer);
    return words;
  }

  async end(): Promise<void> {
    if (this.#words === null) return;
    const piece = new Uint8Array(this.#words.buffer, 0, 4 * this.#end);
    this.#words = null;
    this.#end = 0;
    this.#pieces.push(await this.#spool.add(piece));
  }

  async recorded(): Promise<RecordedRows> {
    const pieces: Uint8Array[] = [];
    for (const place of this.#pieces.splice(0)) pieces.push(await this.#spool.read(place));
    return new RecordedRows(pieces, this.#rows);
  }
}
