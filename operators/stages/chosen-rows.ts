import type { Store } from "../../connectors/store/store.js";
import type { ChosenRows } from "../../schemas/chosen-rows.js";
import { SluiceError } from "../../schemas/errors.js";
import type { Frontier } from "../../schemas/frontier.js";
import { keys, type ChainName } from "../../schemas/keys.js";
import { DIGEST_BYTES, type ScoredBatch } from "../../schemas/scored-batch.js";
import type { TopkRows } from "../pure/topk.js";
import { readSegment, segmentStart } from "./chain.js";

interface ClassEntries {
  readonly class: number;
  readonly rows: TopkRows;
}

/** Reads the archived row behind each ranked entry: the state keeps 32 bytes an entry, the archive all the rest. */
export async function chosenRows(
  store: Store,
  archive: { teacher: string; stream: string; frontier: Frontier },
  group: readonly ClassEntries[],
): Promise<ChosenRows[]> {
  const chosen = group.map(({ class: index, rows }) => emptyRows(index, rows));
  const places = group.flatMap(({ rows }, at) =>
    Array.from({ length: rows.count }, (_, row) => ({
      at,
      row,
      partition: rows.partition[row]!,
      offset: rows.offset[row]!,
    })),
  );
  places.sort((a, b) => a.partition - b.partition || a.offset - b.offset);
  for (let from = 0; from < places.length;) {
    const { partition } = places[from]!;
    let to = from;
    while (to < places.length && places[to]!.partition === partition) to++;
    await fillPartition(store, archive, partition, places.slice(from, to), chosen, group);
    from = to;
  }
  return chosen;
}

interface Place {
  readonly at: number;
  readonly row: number;
  readonly partition: number;
  readonly offset: number;
}

async function fillPartition(
  store: Store,
  archive: { teacher: string; stream: string; frontier: Frontier },
  partition: number,
  places: readonly Place[],
  chosen: readonly ChosenRows[],
  group: readonly ClassEntries[],
): Promise<void> {
  const chains = archive.frontier.filter((chain) => chain.partition === partition);
  const unfound = new Set(places);
  for (const { origin, end } of chains) {
    const chain: ChainName = { teacher: archive.teacher, stream: archive.stream, partition, origin };
    // The listing only says where to look; that a segment covers an offset is read from the segment itself.
    const starts: number[] = [];
    for await (const { key } of store.list(keys.chain(chain))) {
      if (key.endsWith(".arrow")) starts.push(segmentStart(key));
    }
    let at = 0;
    let batch: ScoredBatch | null = null;
    let loaded = -1;
    for (const place of places) {
      if (place.offset >= end || !unfound.has(place)) continue;
      while (at + 1 < starts.length && starts[at + 1]! <= place.offset) at++;
      const start = starts[at];
      if (start === undefined || start > place.offset) continue;
      if (loaded !== start) {
        batch = (await readSegment(store, chain, start)).batch;
        loaded = start;
      }
      const row = batch === null ? -1 : rowAt(batch, place.offset);
      if (batch === null || row < 0) continue;
      fillRow(chosen[place.at]!, place.row, batch, row, group[place.at]!.rows);
      unfound.delete(place);
    }
  }
  const missing = unfound.values().next().value;
  if (missing !== undefined) {
    throw new SluiceError(
      "E_CHAIN_GAP",
      `Expected ${unfound.size} archived rows of ${archive.stream}/${partition} behind ranked entries, the first at offset ` +
        `${missing.offset}, found no segment that holds them. Restore the missing segments.`,
    );
  }
}

/** Row of an offset in a batch of one partition, whose offsets ascend; -1 where it has none. */
function rowAt(batch: ScoredBatch, offset: number): number {
  const wanted = BigInt(offset);
  let low = 0;
  let high = batch.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (batch.offset[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low < batch.count && batch.offset[low] === wanted ? low : -1;
}

type Filled = ChosenRows & {
  readonly uri: string[];
  readonly licence: (string | null)[];
  readonly origin: (string | null)[];
};

function emptyRows(index: number, rows: TopkRows): Filled {
  const { count } = rows;
  return {
    class: index,
    count,
    keys: rows.keys,
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
    bytes: new Uint8Array(count),
  };
}

function fillRow(chosen: ChosenRows, to: number, batch: ScoredBatch, row: number, ranked: TopkRows): void {
  const digest = batch.digest.subarray(row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES);
  const view = new DataView(digest.buffer, digest.byteOffset, DIGEST_BYTES);
  for (let word = 0; word < 4; word++) {
    if (view.getUint32(word * 4) !== ranked.identity[to * 4 + word]!) {
      throw new SluiceError(
        "E_SEGMENT_CORRUPT",
        `Expected another image at offset ${batch.offset[row]!} than the archive has: a segment was replaced after it was ranked.`,
      );
    }
  }
  const filled = chosen as Filled;
  filled.digest.set(digest, to * DIGEST_BYTES);
  filled.eventTimeMs[to] = Number(batch.eventTimeMs[row]!);
  filled.sizeBytes[to] = batch.sizeBytes[row]!;
  filled.width[to] = batch.width[row]!;
  filled.height[to] = batch.height[row]!;
  filled.uri[to] = batch.uri.get(row) ?? "";
  filled.licence[to] = batch.licence.get(row);
  filled.origin[to] = batch.origin.get(row);
  filled.bytes[to] = batch.bytes[row]!;
}
