import type { ScoredBatch } from "../../schemas/scored-batch.js";
import { awaitedLater, orNull } from "../../schemas/errors.js";
import { isGroupLost } from "./group-reader.js";
import type { ChainReader } from "./chain-reader.js";
import { rowAt } from "./run-rows.js";
import { SegmentMemory } from "./segment-objects.js";

export interface FoundRow {
  readonly batch: ScoredBatch;
  readonly row: number;
}

/** What is read at a time: a row group of a run, or a segment of the tail. */
interface Piece {
  /** First offset */
  readonly start: number;
  read(memory: SegmentMemory): Promise<ScoredBatch | null>;
}

/** Times that the archive may be compacted under a reader's feet before that is a fault */
const MOST_CHANGES = 100;

/**
 * Finds archived rows of one chain by their offsets, asked for in ascending order: each piece is read once. A found row
 * is valid until the next `find`.
 */
export class SegmentLookup {
  readonly #reader: ChainReader;
  readonly #rows: number;
  #pieces: readonly Piece[] = [];
  #at = 0;
  #loaded: Piece | null = null;
  #batch: ScoredBatch | null = null;
  /** Where `#batch` is, and where the next piece is read to meanwhile */
  #memory = new SegmentMemory();
  #memoryAhead = new SegmentMemory();
  #ahead: { readonly piece: Piece; readonly batch: Promise<ScoredBatch | null> } | null = null;

  private constructor(reader: ChainReader, rows: number) {
    this.#reader = reader;
    this.#rows = rows;
  }

  /** `rows`: how many will be asked for; where they are as many as pieces, the next piece is read ahead. */
  static async open(reader: ChainReader, rows: number): Promise<SegmentLookup> {
    const lookup = new SegmentLookup(reader, rows);
    await lookup.#refresh();
    return lookup;
  }

  /** The piece read last; null where there is none */
  get batch(): ScoredBatch | null {
    return this.#batch;
  }

  /** The row in `batch` where that has the one that is wanted, else -1: nothing has to be waited for. */
  here(offset: number, isWanted: (batch: ScoredBatch, row: number) => boolean): number {
    const batch = this.#batch;
    const row = batch === null ? -1 : rowAt(batch, offset);
    return batch !== null && row >= 0 && isWanted(batch, row) ? row : -1;
  }

  /**
   * The row at an offset that `isWanted`; null where the chain has none. A repeated segment of the tail may start nearer to
   * the offset than the one that the chain leads to: where it has no such row, the earlier ones are asked.
   */
  async find(offset: number, isWanted: (batch: ScoredBatch, row: number) => boolean): Promise<FoundRow | null> {
    for (let changes = 0; changes < MOST_CHANGES; changes++) {
      const found = await this.#look(offset, isWanted);
      if (found !== "changed") return found;
      await this.#reader.runs.readAnew();
      await this.#refresh();
    }
    return null;
  }

  async #look(
    offset: number,
    isWanted: (batch: ScoredBatch, row: number) => boolean,
  ): Promise<FoundRow | null | "changed"> {
    const pieces = this.#pieces;
    while (this.#at + 1 < pieces.length && pieces[this.#at + 1]!.start <= offset) this.#at++;
    for (let at = this.#at; at >= 0; at--) {
      const piece = pieces[at];
      if (piece === undefined || piece.start > offset) return null;
      const batch = await this.#read(piece);
      if (batch === null) return "changed";
      const row = rowAt(batch, offset);
      if (row >= 0 && isWanted(batch, row)) return { batch, row };
    }
    return null;
  }

  async #read(piece: Piece): Promise<ScoredBatch | null> {
    if (this.#loaded === piece && this.#batch !== null) return this.#batch;
    this.#batch = null;
    this.#loaded = piece;
    if (this.#ahead?.piece === piece) {
      [this.#memory, this.#memoryAhead] = [this.#memoryAhead, this.#memory];
      const { batch } = this.#ahead;
      this.#ahead = null;
      this.#batch = await batch;
    } else this.#batch = await piece.read(this.#memory);
    const next = this.#rows >= this.#pieces.length ? this.#pieces[this.#at + 1] : undefined;
    if (next !== undefined && this.#ahead?.piece !== next) {
      await Promise.allSettled([this.#ahead?.batch]);
      this.#ahead = { piece: next, batch: awaitedLater(next.read(this.#memoryAhead)) };
    }
    return this.#batch;
  }

  async #refresh(): Promise<void> {
    await Promise.allSettled([this.#ahead?.batch]);
    this.#ahead = null;
    this.#loaded = null;
    this.#batch = null;
    this.#pieces = await piecesOf(this.#reader);
    this.#at = 0;
  }
}

/** All pieces of a chain, in order. Those of the tail are where the listing says; what is in them they say themselves. */
async function piecesOf(reader: ChainReader): Promise<Piece[]> {
  const { runs, chain } = reader;
  await runs.refresh();
  const end = await runs.end();
  const losses = await runs.losses();
  const pieces: Piece[] = [];
  for (let at = chain.origin; at < end;) {
    const lost = losses.at(at);
    const index = lost === null ? await runs.indexAt(at) : await orNull(runs.indexAt(at), "E_SEGMENT_CORRUPT");
    if (index === null) {
      at = lost!.end;
      continue;
    }
    index.rowGroups.forEach((group, number) => {
      if (isGroupLost(index, number, losses)) return;
      pieces.push({
        start: index.startOf(group.first),
        read: (memory) => orNull(reader.readGroup(index, number, memory), "E_STORE_MISSING"),
      });
    });
    at = index.end;
  }
  for (const start of await reader.tailStarts()) {
    pieces.push({ start, read: async (memory) => (await reader.tailSegment(start, memory))?.batch ?? null });
  }
  return pieces;
}
