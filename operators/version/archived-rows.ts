import { counted } from "../../schemas/counted.js";
import { SluiceError } from "../../schemas/errors.js";
import type { Frontier } from "../../schemas/frontier.js";
import type { ChainName } from "../../schemas/keys.js";
import { DIGEST_BYTES, type ScoredBatch } from "../../schemas/scored-batch.js";
import type { ArchiveReader } from "../archive/archive-reader.js";
import { SegmentLookup } from "../archive/segment-lookup.js";
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
  const locate = listLocator(lists.map(({ count }) => count));
  await readPlaces(archive, EntryPlaces.of(lists), (entry, batch, row, chain) => {
    const [list, at] = locate(entry);
    assertImage(batch.digest, row * DIGEST_BYTES, lists[list]!, at);
    give(list, at, batch, row, chain);
    return undefined;
  });
}

/** List and row of an entry, by its number among the entries of all lists. What is returned is valid until the next call. */
export function listLocator(counts: readonly number[]): (entry: number) => readonly [list: number, row: number] {
  const starts = new Float64Array(counts.length + 1);
  counts.forEach((count, list) => (starts[list + 1] = starts[list]! + count));
  // The list of every 256th entry: the one asked for is a few lists on at most, where lists are long.
  const lists = new Uint32Array(Math.ceil(starts.at(-1)! / NEAR) + 1);
  for (let near = 0, list = 0; near < lists.length; near++) {
    while (list + 1 < counts.length && starts[list + 1]! <= near * NEAR) list++;
    lists[near] = list;
  }
  const found: [number, number] = [0, 0];
  return (entry) => {
    let list = lists[Math.floor(entry / NEAR)]!;
    while (starts[list + 1]! <= entry) list++;
    found[0] = list;
    found[1] = entry - starts[list]!;
    return found;
  };
}

const NEAR = 256;

/** Reads the archive once, in its order, and gives the row of each entry. Throws as `eachArchivedRow`. */
export async function readPlaces(archive: RowPlaces, places: EntryPlaces, give: GiveRow): Promise<void> {
  for (let first = 0, end = 0; first < places.count; first = end) {
    const partition = places.partitionOf(places.order[first]!);
    while (end < places.count && places.partitionOf(places.order[end]!) === partition) end++;
    await readPartition(archive, partition, places, places.order.subarray(first, end), give);
  }
}

async function readPartition(
  archive: RowPlaces,
  partition: number,
  places: EntryPlaces,
  entries: Uint32Array,
  give: GiveRow,
): Promise<void> {
  const filled = new Uint8Array(entries.length);
  let wanted = 0;
  const isWanted = ({ digest }: ScoredBatch, row: number): boolean =>
    firstWord(digest, row * DIGEST_BYTES) === places.firstWordOf(wanted);
  for (const { origin, end } of archive.frontier.filter((chain) => chain.partition === partition)) {
    const chain = archive.archive.chain({ partition, origin });
    const lookup = await SegmentLookup.open(chain, entries.length);
    for (let place = 0; place < entries.length; place++) {
      wanted = entries[place]!;
      const offset = places.offsetOf(wanted);
      if (offset < origin || offset >= end || filled[place] === 1) continue;
      const found = lookup.here(offset, isWanted) ?? (await lookup.find(offset, isWanted));
      if (found === null) continue;
      const given = give(wanted, found.batch, found.row, chain.chain);
      if (given !== undefined) await given;
      filled[place] = 1;
    }
  }
  const missing = filled.indexOf(0);
  if (missing < 0) return;
  const count = filled.reduce((sum, one) => sum + 1 - one, 0);
  throw new SluiceError(
    "E_CHAIN_GAP",
    `Expected ${counted(count, "archived row")} of ${archive.stream}/${partition} behind ranked entries, the first at offset ` +
      `${places.offsetOf(entries[missing]!)}, found no segment that holds all of this. Restore the segments that are missing or were replaced.`,
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
