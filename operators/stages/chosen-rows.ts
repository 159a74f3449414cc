import type { Store } from "../../connectors/store/store.js";
import type { ChosenRows } from "../../schemas/chosen-rows.js";
import { SluiceError } from "../../schemas/errors.js";
import type { Frontier } from "../../schemas/frontier.js";
import type { ChainName } from "../../schemas/keys.js";
import { DIGEST_BYTES, type ScoredBatch } from "../../schemas/scored-batch.js";
import type { ClassScores, Ranking } from "../pure/ranking.js";
import type { TopkRows } from "../pure/topk.js";
import { SegmentLookup } from "./segment-lookup.js";

/** What is chosen of a class, as its state has it. */
export interface ClassEntries {
  readonly class: number;
  readonly rows: TopkRows;
  /** How often each row was there before, [n] */
  readonly repeat: Uint32Array;
}

/** Where the rows are archived, and how their scores are read. */
export interface RowArchive {
  readonly teacher: string;
  readonly stream: string;
  readonly frontier: Frontier;
  readonly ranking: Ranking;
}

/** Reads the archived row behind each ranked entry: the state keeps 32 bytes an entry, the archive all the rest. */
export async function chosenRows(
  store: Store,
  archive: RowArchive,
  group: readonly ClassEntries[],
): Promise<ChosenRows[]> {
  const chosen = group.map(emptyRows);
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
  archive: RowArchive,
  partition: number,
  places: readonly Place[],
  chosen: readonly ChosenRows[],
  group: readonly ClassEntries[],
): Promise<void> {
  const chains = archive.frontier.filter((chain) => chain.partition === partition);
  const unfound = new Set(places);
  for (const { origin, end } of chains) {
    const chain: ChainName = { teacher: archive.teacher, stream: archive.stream, partition, origin };
    const lookup = await SegmentLookup.open(store, chain);
    let scored: ScoredBatch | null = null;
    let scores: ClassScores | null = null;
    for (const place of places) {
      if (place.offset < origin || place.offset >= end || !unfound.has(place)) continue;
      const { rows } = group[place.at]!;
      const found = await lookup.find(place.offset, (batch, row) => isImage(batch, row, rows, place.row));
      if (found === null) continue;
      const { batch, row } = found;
      if (batch !== scored) {
        scores = archive.ranking.byProbability ? null : archive.ranking.scores(batch);
        scored = batch;
      }
      fillRow(chosen[place.at]!, place.row, batch, row);
      if (scores !== null) fillProbability(chosen[place.at]!, place.row, scores, row);
      unfound.delete(place);
    }
  }
  const missing = unfound.values().next().value;
  if (missing !== undefined) {
    throw new SluiceError(
      "E_CHAIN_GAP",
      `Expected ${unfound.size} archived rows of ${archive.stream}/${partition} behind ranked entries, the first at offset ` +
        `${missing.offset}, found no segment that holds them and those images. Restore the segments that are missing or were replaced.`,
    );
  }
}

type Filled = ChosenRows & {
  readonly uri: string[];
  readonly licence: (string | null)[];
  readonly origin: (string | null)[];
};

function emptyRows({ class: index, rows, repeat }: ClassEntries): Filled {
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
    bytes: new Uint8Array(count),
  };
}

/** Whether an archived row is the image of a ranked entry. */
function isImage(batch: ScoredBatch, row: number, ranked: TopkRows, entry: number): boolean {
  for (let word = 0; word < 4; word++) {
    const at = row * DIGEST_BYTES + 4 * word;
    const found = new DataView(batch.digest.buffer, batch.digest.byteOffset + at, 4).getUint32(0);
    if (found !== ranked.identity[4 * entry + word]!) return false;
  }
  return true;
}

function fillRow(chosen: ChosenRows, to: number, batch: ScoredBatch, row: number): void {
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
  filled.bytes[to] = batch.bytes[row]!;
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
