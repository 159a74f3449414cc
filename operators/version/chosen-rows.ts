import { counted } from "../../schemas/counted.js";
import type { ChosenRows } from "../../schemas/chosen-rows.js";
import { SluiceError } from "../../schemas/errors.js";
import type { Frontier } from "../../schemas/frontier.js";
import type { ChainName } from "../../schemas/keys.js";
import type { LeftOut } from "../../schemas/left-out.js";
import { packOfRow } from "../../schemas/pack.js";
import { DIGEST_BYTES, type ScoredBatch } from "../../schemas/scored-batch.js";
import type { ClassScores, Ranking } from "../select/ranking.js";
import type { TopkRows } from "../topk/topk.js";
import type { ArchiveReader } from "../archive/archive-reader.js";
import { SegmentLookup } from "../archive/segment-lookup.js";

/** What is chosen of a class, as its state has it. */
export interface ClassEntries {
  readonly class: number;
  readonly rows: TopkRows;
  /** How often each row was there before, [n] */
  readonly repeat: Uint32Array;
  /** 1 for rows behind rank K + R, whose bytes nobody promised to keep, [n]; none where left out */
  readonly deep?: Uint8Array | undefined;
  readonly leftOut?: readonly LeftOut[] | undefined;
}

/** Where ranked entries are archived. */
export interface RowPlaces {
  readonly archive: ArchiveReader;
  readonly stream: string;
  readonly frontier: Frontier;
}

/** Where the rows are archived, and how their scores are read. */
export interface RowArchive extends RowPlaces {
  readonly ranking: Ranking;
}

/** Reads the archived row behind each ranked entry: the state keeps 32 bytes an entry, the archive all the rest. */
export async function chosenRows(archive: RowArchive, group: readonly ClassEntries[]): Promise<ChosenRows[]> {
  const chosen = group.map(emptyRows);
  let scored: ScoredBatch | null = null;
  let scores: ClassScores | null = null;
  const lists = group.map(({ rows }) => rows);
  await eachArchivedRow(archive, lists, (at, to, batch, row, chain) => {
    if (batch !== scored) {
      scores = archive.ranking.byProbability ? null : archive.ranking.scores(batch);
      scored = batch;
    }
    fillRow(chosen[at]!, to, batch, row, chain);
    if (scores !== null) fillProbability(chosen[at]!, to, scores, row);
  });
  return chosen;
}

/**
 * Gives the archived row behind each entry of some lists: which list and entry, and the row, which is valid until the next one. In the archive's
 * order. Throws E_CHAIN_GAP where one is missing, E_SEGMENT_CORRUPT.
 */
export async function eachArchivedRow(
  archive: RowPlaces,
  lists: readonly TopkRows[],
  give: (list: number, entry: number, batch: ScoredBatch, row: number, chain: ChainName) => void,
): Promise<void> {
  for (const [partition, places] of placesByPartition(lists)) {
    await readPartition(archive, partition, places, lists, give);
  }
}

/** Where ranked entries are archived: columns, since a version may have millions of rows. */
interface Places {
  readonly count: number;
  /** Number of the class in the group, [n] */
  readonly at: Uint32Array;
  /** Row of the class, [n] */
  readonly row: Uint32Array;
  /** Ascending, [n] */
  readonly offset: Float64Array;
}

function placesByPartition(lists: readonly TopkRows[]): Map<number, Places> {
  const counts = new Map<number, number>();
  for (const rows of lists) {
    for (const partition of rows.partition) counts.set(partition, (counts.get(partition) ?? 0) + 1);
  }
  const found = [...counts].sort(([a], [b]) => a - b);
  return new Map(found.map(([partition, count]) => [partition, placesOf(lists, partition, count)]));
}

function placesOf(lists: readonly TopkRows[], partition: number, count: number): Places {
  const at = new Uint32Array(count);
  const row = new Uint32Array(count);
  const offset = new Float64Array(count);
  let taken = 0;
  lists.forEach((rows, index) => {
    for (let entry = 0; entry < rows.count; entry++) {
      if (rows.partition[entry] !== partition) continue;
      at[taken] = index;
      row[taken] = entry;
      offset[taken] = rows.offset[entry]!;
      taken++;
    }
  });
  const order = Uint32Array.from({ length: count }, (_, place) => place).sort((a, b) => offset[a]! - offset[b]!);
  return {
    count,
    at: at.map((_, place) => at[order[place]!]!),
    row: row.map((_, place) => row[order[place]!]!),
    offset: offset.map((_, place) => offset[order[place]!]!),
  };
}

async function readPartition(
  archive: RowPlaces,
  partition: number,
  places: Places,
  lists: readonly TopkRows[],
  give: Parameters<typeof eachArchivedRow>[2],
): Promise<void> {
  const filled = new Uint8Array(places.count);
  for (const { origin, end } of archive.frontier.filter((chain) => chain.partition === partition)) {
    const chain = archive.archive.chain({ partition, origin });
    const lookup = await SegmentLookup.open(chain, places.count);
    for (let place = 0; place < places.count; place++) {
      const offset = places.offset[place]!;
      if (offset < origin || offset >= end || filled[place] === 1) continue;
      const [at, to] = [places.at[place]!, places.row[place]!];
      const rows = lists[at]!;
      const isWanted = (batch: ScoredBatch, row: number): boolean => isImage(batch, row, rows, to);
      const found = lookup.here(offset, isWanted) ?? (await lookup.find(offset, isWanted));
      if (found === null) continue;
      give(at, to, found.batch, found.row, chain.chain);
      filled[place] = 1;
    }
  }
  const missing = filled.indexOf(0);
  if (missing >= 0) {
    const count = filled.reduce((sum, one) => sum + 1 - one, 0);
    throw new SluiceError(
      "E_CHAIN_GAP",
      `Expected ${counted(count, "archived row")} of ${archive.stream}/${partition} behind ranked entries, the first at offset ` +
        `${places.offset[missing]!}, found no segment that holds all of this. Restore the segments that are missing or were replaced.`,
    );
  }
}

type Filled = ChosenRows & {
  readonly uri: string[];
  readonly licence: (string | null)[];
  readonly origin: (string | null)[];
  readonly notes: (string | null)[];
  readonly pack: (string | null)[];
};

function emptyRows({ class: index, rows, repeat, deep, leftOut }: ClassEntries): Filled {
  const { count } = rows;
  return {
    class: index,
    count,
    keys: rows.keys,
    // Where another thing ranks, the archived row says; it is filled in with the rest.
    probability: rows.keys.map(Math.exp),
    repeat,
    digest: new Uint8Array(count * DIGEST_BYTES),
    partition: Int32Array.from(rows.partition),
    offset: rows.offset,
    eventTimeMs: new Float64Array(count),
    sizeBytes: new Uint32Array(count),
    width: new Uint32Array(count),
    height: new Uint32Array(count),
    uri: new Array<string>(count),
    licence: new Array<string | null>(count),
    origin: new Array<string | null>(count),
    notes: new Array<string | null>(count),
    bytes: new Uint8Array(count),
    pack: new Array<string | null>(count),
    ...(deep === undefined ? {} : { deep }),
    ...(leftOut === undefined ? {} : { leftOut }),
  };
}

/** Whether an archived row is the image of a ranked entry. */
function isImage({ digest }: ScoredBatch, row: number, ranked: TopkRows, entry: number): boolean {
  for (let word = 0; word < 4; word++) {
    const at = row * DIGEST_BYTES + 4 * word;
    const found = (digest[at]! << 24) | (digest[at + 1]! << 16) | (digest[at + 2]! << 8) | digest[at + 3]!;
    if (found >>> 0 !== ranked.identity[4 * entry + word]!) return false;
  }
  return true;
}

function fillRow(chosen: ChosenRows, to: number, batch: ScoredBatch, row: number, chain: ChainName): void {
  const digest = batch.digest.subarray(row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES);
  const filled = chosen as Filled;
  filled.digest.set(digest, to * DIGEST_BYTES);
  filled.eventTimeMs[to] = Number(batch.eventTimeMs[row]!);
  filled.sizeBytes[to] = batch.sizeBytes[row]!;
  filled.width[to] = batch.width[row]!;
  filled.height[to] = batch.height[row]!;
  filled.uri[to] = batch.uri.get(row) ?? "";
  filled.licence[to] = batch.licence.get(row);
  filled.origin[to] = batch.origin.get(row);
  filled.notes[to] = batch.notes.get(row);
  filled.bytes[to] = batch.bytes[row]!;
  const pack = batch.pack.get(row);
  filled.pack[to] = pack === null ? null : packOfRow(pack, chain);
}

function fillProbability(chosen: ChosenRows, to: number, scores: ClassScores, row: number): void {
  for (let place = row * scores.topM; place < (row + 1) * scores.topM; place++) {
    if (scores.classes[place] !== chosen.class) continue;
    chosen.probability[to] = Math.exp(scores.keys[place]!);
    return;
  }
  throw new SluiceError(
    "E_SEGMENT_CORRUPT",
    `Expected class ${chosen.class} among the best of a ranked image, found other classes: a segment was replaced after it was ranked.`,
  );
}
