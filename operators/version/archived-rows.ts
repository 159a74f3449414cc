import { counted } from "../../schemas/counted.js";
import { SluiceError } from "../../schemas/errors.js";
import type { Frontier } from "../../schemas/frontier.js";
import type { ChainName } from "../../schemas/keys.js";
import { DIGEST_BYTES, type ScoredBatch } from "../../schemas/scored-batch.js";
import type { ArchiveReader } from "../archive/archive-reader.js";
import { SegmentLookup, type FoundRow } from "../archive/segment-lookup.js";
import type { TopkRows } from "../topk/topk.js";
import { EntryPlaces } from "./entry-places.js";

/** Where ranked entries are archived. */
export interface RowPlaces {
  readonly archive: ArchiveReader;
  readonly stream: string;
  readonly frontier: Frontier;
}

/** Is given an entry and its archived row, which is valid until the next one; what it returns is waited for. */
export type GiveRow = (entry: number, batch: ScoredBatch, row: number, chain: ChainName) => Promise<void> | undefined;

/**
 * Gives the archived row behind each entry of some lists: which list and entry, and the row, which is valid until the next one. In the archive's
 * order. Throws E_CHAIN_GAP where one is missing, E_SEGMENT_CORRUPT.
 */
export async function eachArchivedRow(
  archive: RowPlaces,
  lists: readonly TopkRows[],
  give: (list: number, entry: number, batch: ScoredBatch, row: number, chain: ChainName) => void,
): Promise<void> {
  let first = 0;
  const starts = lists.map(({ count }) => (first += count) - count);
  const listOf = endLocator(lists.map(({ count }, list) => starts[list]! + count));
  await readPlaces(archive, EntryPlaces.of(lists), (entry, batch, row, chain) => {
    const list = listOf(entry);
    const at = entry - starts[list]!;
    assertImage(batch.digest, row * DIGEST_BYTES, lists[list]!, at);
    give(list, at, batch, row, chain);
    return undefined;
  });
}

/** Which of consecutive ranges of entries, that end where `ends` says, an entry lies in. */
export function endLocator(ends: readonly number[]): (entry: number) => number {
  const end = Float64Array.from(ends);
  // The range of every 256th entry: the one asked for is a few ranges on at most, where ranges are long.
  const near = new Uint32Array(Math.ceil((end.at(-1) ?? 0) / NEAR) + 1);
  for (let at = 0, range = 0; at < near.length; at++) {
    while (range + 1 < end.length && end[range]! <= at * NEAR) range++;
    near[at] = range;
  }
  return (entry) => {
    let range = near[Math.floor(entry / NEAR)]!;
    while (end[range]! <= entry) range++;
    return range;
  };
}

const NEAR = 256;

/** Reads the archive once, in its order, and gives the row of each entry. Throws as `eachArchivedRow`. */
export async function readPlaces(archive: RowPlaces, places: EntryPlaces, give: GiveRow): Promise<void> {
  for (let first = 0, end = 0; first < places.count; first = end) {
    const partition = places.partitionAt(first);
    while (end < places.count && places.partitionAt(end) === partition) end++;
    await readPartition(archive, places, { partition, first, end }, give);
  }
}

/** Places [first, end), all of one partition. */
interface PartitionPlaces {
  readonly partition: number;
  readonly first: number;
  readonly end: number;
}

async function readPartition(
  archive: RowPlaces,
  places: EntryPlaces,
  { partition, first, end }: PartitionPlaces,
  give: GiveRow,
): Promise<void> {
  const filled = new Uint8Array(end - first);
  let firstWordOfWanted = 0;
  const isWanted = ({ digest }: ScoredBatch, row: number): boolean =>
    firstWord(digest, row * DIGEST_BYTES) === firstWordOfWanted;
  for (const { origin, end: chainEnd } of archive.frontier.filter((chain) => chain.partition === partition)) {
    const reader = archive.archive.chain({ partition, origin });
    const lookup = await SegmentLookup.open(reader, end - first);
    let batch: ScoredBatch | null = null;
    let row = -1;
    let at = -1;
    for (let place = first; place < end; place++) {
      const offset = places.offsetAt(place);
      if (offset < origin || offset >= chainEnd || filled[place - first] === 1) continue;
      firstWordOfWanted = places.firstWordAt(place);
      // An image stands in several classes.
      if (batch === null || at !== offset || !isWanted(batch, row)) {
        at = offset;
        row = lookup.here(offset, isWanted);
        const found: FoundRow | null =
          row >= 0 && lookup.batch !== null ? { batch: lookup.batch, row } : await lookup.find(offset, isWanted);
        batch = found?.batch ?? null;
        if (batch === null || found === null) continue;
        row = found.row;
      }
      const given = give(places.entryAt(place), batch, row, reader.chain);
      if (given !== undefined) await given;
      filled[place - first] = 1;
    }
  }
  const missing = filled.indexOf(0);
  if (missing < 0) return;
  const count = filled.reduce((sum, one) => sum + 1 - one, 0);
  throw new SluiceError(
    "E_CHAIN_GAP",
    `Expected ${counted(count, "archived row")} of ${archive.stream}/${partition} behind ranked entries, the first at offset ` +
      `${places.offsetAt(first + missing)}, found no segment that holds all of this. Restore the segments that are missing or were replaced.`,
  );
}

function firstWord(digest: Uint8Array, at: number): number {
  return ((digest[at]! << 24) | (digest[at + 1]! << 16) | (digest[at + 2]! << 8) | digest[at + 3]!) >>> 0;
}

/** Throws E_SEGMENT_CORRUPT where a digest is not that of a ranked entry, of which the first word has been compared. */
export function assertImage(digest: Uint8Array, digestAt: number, ranked: TopkRows, entry: number): void {
  for (let word = 0; word < 4; word++) {
    if (firstWord(digest, digestAt + 4 * word) === ranked.identity[4 * entry + word]) continue;
    throw new SluiceError(
      "E_SEGMENT_CORRUPT",
      `Expected a ranked image at offset ${ranked.offset[entry]!} of partition ${ranked.partition[entry]!}, found another one: a segment was replaced ` +
        "after it was ranked. Restore it.",
    );
  }
}
