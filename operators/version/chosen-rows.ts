import type { ChosenRows } from "../../schemas/chosen-rows.js";
import { SluiceError } from "../../schemas/errors.js";
import type { ChainName } from "../../schemas/keys.js";
import type { LeftOut } from "../../schemas/left-out.js";
import { packOfRow } from "../../schemas/pack.js";
import { DIGEST_BYTES, type ScoredBatch } from "../../schemas/scored-batch.js";
import type { ClassScores, Ranking } from "../select/ranking.js";
import type { TopkRows } from "../topk/topk.js";
import { eachArchivedRow, type RowPlaces } from "./archived-rows.js";

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
    if (scores !== null) chosen[at]!.probability[to] = probabilityOf(scores, row, chosen[at]!.class);
  });
  return chosen;
}

/** Rows in the making. */
export type FilledRows = ChosenRows & {
  readonly uri: string[];
  readonly licence: (string | null)[];
  readonly origin: (string | null)[];
  readonly notes: (string | null)[];
  readonly pack: (string | null)[];
};

/** Rows whose archived part is still to be filled in. */
export function emptyRows({ class: index, rows, repeat, deep, leftOut }: ClassEntries): FilledRows {
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

function fillRow(chosen: ChosenRows, to: number, batch: ScoredBatch, row: number, chain: ChainName): void {
  const digest = batch.digest.subarray(row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES);
  const filled = chosen as FilledRows;
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

/** The probability of a class, from the scores of a row that ranks in it. Throws E_SEGMENT_CORRUPT. */
export function probabilityOf(scores: ClassScores, row: number, classIndex: number): number {
  for (let place = row * scores.topM; place < (row + 1) * scores.topM; place++) {
    if (scores.classes[place] === classIndex) return Math.exp(scores.keys[place]!);
  }
  throw new SluiceError(
    "E_SEGMENT_CORRUPT",
    `Expected class ${classIndex} among the best of a ranked image, found other classes: a segment was replaced after it was ranked.`,
  );
}
