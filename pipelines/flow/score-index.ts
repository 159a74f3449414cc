import type { Store } from "../../connectors/store/store.js";
import type { ChainPosition } from "../../operators/archive/archive.js";
import type { LostRange } from "../../schemas/lost-range.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { rowOf, type ArchivedScores } from "../../operators/archive/row-records.js";
import { rowAt } from "../../operators/archive/run-rows.js";
import type { ScoreIndex } from "../../operators/image/dedupe.js";
import { hexDigest, type Scored } from "../../operators/image/image-in-flight.js";
import { teacherDigest, type ModelCard } from "../../schemas/model-card.js";
import { SluiceError } from "../../schemas/errors.js";
import { keys, type ChainName } from "../../schemas/keys.js";
import { packOfRow } from "../../schemas/pack.js";
import { DIGEST_BYTES, type ScoredBatch } from "../../schemas/scored-batch.js";
import type { Segment } from "../../schemas/segment.js";
import type { Workspace } from "../open/workspace.js";
import { LeftToRuns, type OffsetRange } from "./left-to-runs.js";

/** A map of bytes on this machine's disk whose writes are atomic. */
export interface LocalTable {
  get(key: Uint8Array): Uint8Array | undefined;
  /** All or nothing; durable when it settles */
  putMany(entries: Iterable<readonly [Uint8Array, Uint8Array]>): Promise<void>;
}

/** First 128 bits of the digest: what the top-K takes for an image's identity, too */
const IDENTITY_BYTES = 16;
/** partition u32, origin f64, offset f64 */
const PLACE_BYTES = 20;
/** Rows of the tail's segments that were asked for last, kept decoded: repeats come in clusters */
const OPEN_ROWS = 32_768;
/** Where runs have so many offsets more than the index, they are left to the runs' own indexes of digests. */
const LEFT_AT_LEAST = 32_768;
/** Of all chains together: some 80 MB of memory at most. What is older is read. */
const LEFT_AT_MOST = 64_000_000;
/** Images that are waited for at once are fewer. */
const MOST_LOOKED = 8192;
/** Starts of a tail's segments that are kept before the runs are looked at */
const MOST_STARTS = 1024;

/**
 * Opens the index of one teacher's scores over a stream, in the workspace's local tables. Another `archive.topM` has a table of its own: rows
 * with fewer classes are not copied, and the image is scored again. So has another stream: its offsets are others, and its packs are freed when
 * it needs their images no more.
 */
export function openScoreIndex({ store, tables, config }: Workspace, card: ModelCard): LocalScoreIndex {
  const teacher = teacherDigest(card);
  const topM = Math.min(config.archive.topM, card.labels.length);
  const { stream } = config;
  const table = tables.table(`scores-${teacher.slice(0, 32)}-${topM}-${stream}`);
  return new LocalScoreIndex(store, table, { teacher, stream, topM }, tables.table(`packs-${stream}`));
}

export interface ScoreIndexOptions {
  readonly teacher: string;
  readonly stream: string;
  /** Rows with fewer classes are passed over. Default: none are */
  readonly topM?: number;
  /** Offsets that runs must have more than this index to be asked for them. Default 32,768 */
  readonly leftAtLeast?: number;
}

/**
 * Where each archived digest has its scores: 40 bytes an image on disk, none in memory. A cache of the archive: it says
 * itself how far it has followed each chain, and goes on from there. On a machine that has followed little of it the runs' own indexes
 * are asked, and only the tail is read.
 */
export class LocalScoreIndex implements ScoreIndex {
  readonly #table: LocalTable;
  readonly #packs: LocalTable | undefined;
  readonly #archive: ArchiveReader;
  readonly #topM: number;
  readonly #leftAtLeast: number;
  /** By chain and start; the one that was asked for last is the last */
  readonly #open = new Map<string, { readonly batch: Promise<ScoredBatch | null>; rows: number }>();
  #openRows = 0;
  /** Starts of the segments of each chain's tail that this index has followed, ascending */
  readonly #tails = new Map<string, number[]>();
  readonly #left: LeftToRuns;
  /** By chain: what the table says, too */
  readonly #known = new Map<string, Followed>();
  /** As the archive's reader knows it */
  #lost: readonly LostRange[] = [];
  /** By digest: what `look` has found last, and the pack that may have it */
  readonly #looked = new Map<string, { readonly scored: Scored; readonly pack: string | null }>();

  /** `packs`: where the stream keeps each digest's bytes, of all teachers; without it every image is stored where it is met */
  constructor(store: Store, table: LocalTable, options: ScoreIndexOptions, packs?: LocalTable) {
    const { topM = 1, leftAtLeast = LEFT_AT_LEAST, ...archive } = options;
    this.#table = table;
    this.#packs = packs;
    this.#archive = new ArchiveReader(store, archive);
    this.#topM = topM;
    this.#leftAtLeast = leftAtLeast;
    this.#left = new LeftToRuns(this.#archive, topM);
  }

  look(digest: Uint8Array): Promise<void> | null {
    if (!this.#left.mayHave(digest) || this.#table.get(digest.subarray(0, IDENTITY_BYTES)) !== undefined) return null;
    return this.#look(digest);
  }

  async #look(digest: Uint8Array): Promise<void> {
    const found = await this.#left.find(digest);
    if (found === null) return;
    this.#looked.set(hexDigest(digest), { scored: { scores: found.scores }, pack: found.pack });
    if (this.#looked.size > MOST_LOOKED) this.#looked.delete(this.#looked.keys().next().value!);
  }

  find(digest: Uint8Array): Promise<Scored> | null {
    const found = this.#table.get(digest.subarray(0, IDENTITY_BYTES));
    if (found === undefined) return this.#fromLook(digest);
    const place = Buffer.from(found.buffer, found.byteOffset, found.byteLength);
    const chain = { ...this.#archive.archive, partition: place.readUInt32LE(0), origin: place.readDoubleLE(4) };
    const offset = place.readDoubleLE(12);
    return this.#isLost(chain, offset) ? this.#fromLook(digest) : this.#read(chain, offset, digest);
  }

  #isLost(chain: ChainName, at: number): boolean {
    return this.#lost.some(
      ({ partition, origin, start, end }) =>
        partition === chain.partition && origin === chain.origin && start <= at && at < end,
    );
  }

  #fromLook(digest: Uint8Array): Promise<Scored> | null {
    if (this.#looked.size === 0) return null;
    const found = this.#looked.get(hexDigest(digest));
    return found === undefined ? null : Promise.resolve(found.scored);
  }

  async #read(chain: ChainName, offset: number, digest: Uint8Array): Promise<Scored> {
    const found = await this.#row(chain, offset, digest);
    if (found === null || !Buffer.from(found.digest).equals(digest)) {
      throw new SluiceError(
        "E_SEGMENT_CORRUPT",
        `Expected the scores of image ${Buffer.from(digest).toString("hex")} at offset ${offset} of ${chain.stream}/${chain.partition}, ` +
          `found ${found === null ? "none of it" : "another image"}: the archive was changed. Delete the folder "log" beside it to index it anew.`,
      );
    }
    return { scores: found.scores };
  }

  async #row(chain: ChainName, offset: number, digest: Uint8Array): Promise<ArchivedScores | null> {
    const reader = this.#archive.chain(chain);
    for (let looks = 0; looks < 2; looks++) {
      if (offset < (await reader.runs.end())) return reader.runRow(offset, digest);
      const batch = await this.#tailBatch(chain, offset);
      const row = batch === null ? -1 : rowAt(batch, offset);
      if (batch !== null && row >= 0) return rowOf(batch, row);
      // A run has it meanwhile, or its segment came while the starts were read.
      this.#tails.delete(keys.chain(chain));
    }
    return offset < (await reader.runs.end()) ? reader.runRow(offset, digest) : null;
  }

  async #tailBatch(chain: ChainName, offset: number): Promise<ScoredBatch | null> {
    const start = await this.#tailStart(chain, offset);
    if (start === undefined) return null;
    const name = `${keys.chain(chain)}${start}`;
    const known = this.#open.get(name);
    if (known !== undefined) {
      this.#open.delete(name);
      this.#open.set(name, known);
      return known.batch;
    }
    const segment = this.#archive.chain(chain).tailSegment(start);
    const opened = { batch: segment.then((found) => found?.batch ?? null), rows: 0 };
    this.#open.set(name, opened);
    try {
      const batch = await opened.batch;
      if (this.#open.get(name) === opened) {
        opened.rows = batch?.count ?? 0;
        this.#openRows += opened.rows;
        this.#closeOldest(name);
      }
      return batch;
    } catch (error) {
      // One that fails is not kept: the next one that asks reads again.
      if (this.#open.get(name) === opened) this.#open.delete(name);
      throw error;
    }
  }

  #closeOldest(last: string): void {
    for (const [name, { rows }] of this.#open) {
      if (this.#openRows <= OPEN_ROWS || name === last) return;
      this.#open.delete(name);
      this.#openRows -= rows;
    }
  }

  /** Start of the segment of the tail that an offset lies in. */
  async #tailStart(chain: ChainName, offset: number): Promise<number | undefined> {
    const name = keys.chain(chain);
    const known = this.#tails.get(name);
    if (known !== undefined) {
      const start = known.findLast((one) => one <= offset);
      if (start !== undefined) return start;
    }
    // What was followed before this process began.
    const reader = this.#archive.chain(chain);
    const starts: number[] = [];
    for await (const { start } of reader.headers(Math.max(chain.origin, await reader.runs.end()))) starts.push(start);
    this.#tails.set(name, starts);
    return starts.findLast((one) => one <= offset);
  }

  /** Takes in what the archive has beyond what the index knows; returns where the chain ends. */
  async catchUp(chain: ChainName): Promise<ChainPosition> {
    const reader = this.#archive.chain(chain);
    this.#lost = await this.#archive.lostRanges();
    await this.#leaveToRuns(chain);
    const { left, ...known } = this.#position(chain);
    let position: ChainPosition = known;
    await this.#left.set(chain, left);
    const from = position.end;
    for await (const segment of reader.segments(from, await reader.end(from))) {
      await this.take(segment);
      position = segment.header;
    }
    return position;
  }

  /** What runs have and this index has not: of that they are asked. */
  async #leaveToRuns(chain: ChainName): Promise<void> {
    const known = this.#position(chain);
    const reader = this.#archive.chain(chain);
    const last = await reader.runs.lastHead();
    if (last === null || last.end - known.end < this.#leftAtLeast) return;
    const others = [...this.#known.values()].reduce((sum, { left }) => sum + sizeOf(left), 0);
    const room = Math.max(0, LEFT_AT_MOST - others);
    const from =
      last.end - known.end <= room
        ? known.end
        : await reader.boundaryAtOrBelow(Math.min(last.end - 1, last.end - room));
    for await (const segment of reader.segments(known.end, from)) await this.take(segment);
    const { left } = this.#position(chain);
    const position = { end: last.end, watermarkMs: last.watermarkMs, left: [...left, [from, last.end] as const] };
    await this.#follow(chain, position, []);
  }

  /** Takes in entries, and how far the chain has been followed with them. */
  async #follow(chain: ChainName, position: Followed, entries: [Uint8Array, Uint8Array][]): Promise<void> {
    await this.#table.putMany([
      ...entries,
      [positionKey(chain), Buffer.from(JSON.stringify({ ...position, losses: this.#lost.length }))],
    ]);
    this.#known.set(keys.chain(chain), position);
  }

  /** Whole name of a pack that kept a digest's bytes, under whatever teacher, or may have; null where none is known. */
  packOf(digest: Uint8Array): string | null {
    const found = this.#packs?.get(digest.subarray(0, IDENTITY_BYTES));
    if (found !== undefined) return Buffer.from(found).toString("latin1");
    return this.#packs === undefined ? null : (this.#looked.get(hexDigest(digest))?.pack ?? null);
  }

  /** Takes in a segment just archived. */
  async take({ header, batch }: Segment): Promise<void> {
    await this.#keepPacks(header, batch);
    const entries: [Uint8Array, Uint8Array][] = [];
    for (let row = 0; row < batch.count && batch.topM >= this.#topM; row++) {
      if (batch.copied[row] === 1) continue;
      const place = Buffer.alloc(PLACE_BYTES);
      place.writeUInt32LE(header.partition, 0);
      place.writeDoubleLE(header.origin, 4);
      place.writeDoubleLE(Number(batch.offset[row]), 12);
      entries.push([batch.digest.slice(row * DIGEST_BYTES, row * DIGEST_BYTES + IDENTITY_BYTES), place]);
    }
    const { end, watermarkMs } = header;
    await this.#follow(header, { end, watermarkMs, left: this.#position(header).left }, entries);
    await this.#followedTail(header);
  }

  async #keepPacks(header: Segment["header"], batch: ScoredBatch): Promise<void> {
    if (this.#packs === undefined) return;
    const entries: [Uint8Array, Uint8Array][] = [];
    for (let row = 0; row < batch.count; row++) {
      const pack = batch.pack.get(row);
      if (pack === null) continue;
      const identity = batch.digest.slice(row * DIGEST_BYTES, row * DIGEST_BYTES + IDENTITY_BYTES);
      entries.push([identity, Buffer.from(packOfRow(pack, header), "latin1")]);
    }
    if (entries.length > 0) await this.#packs.putMany(entries);
  }

  /** Of what runs have by now no start is kept. */
  async #followedTail(header: Segment["header"]): Promise<void> {
    const starts = this.#tails.get(keys.chain(header));
    if (starts === undefined) return;
    starts.push(header.start);
    if (starts.length < MOST_STARTS) return;
    const end = await this.#archive.chain(header).runs.look();
    this.#tails.set(
      keys.chain(header),
      starts.filter((start) => start >= end),
    );
  }

  #position(chain: ChainName): Followed {
    const known = this.#known.get(keys.chain(chain));
    if (known !== undefined) return known;
    const found = this.#table.get(positionKey(chain));
    if (found === undefined) return { end: chain.origin, watermarkMs: null, left: [] };
    const followed = JSON.parse(Buffer.from(found).toString()) as Followed;
    // What was declared lost since may end elsewhere than what was followed did.
    const isAsBefore = (followed.losses ?? 0) === this.#lost.length;
    const position = isAsBefore ? followed : { end: chain.origin, watermarkMs: null, left: [] };
    this.#known.set(keys.chain(chain), position);
    return position;
  }
}

/** How far a chain was followed, and which ranges of it are not in the table: they are left to the runs. */
interface Followed extends ChainPosition {
  readonly left: readonly OffsetRange[];
  /** Declarations of lost offsets that were known; none where left out */
  readonly losses?: number;
}

function sizeOf(ranges: readonly OffsetRange[]): number {
  return ranges.reduce((sum, [start, end]) => sum + end - start, 0);
}

/** Longer than any digest's key, so the two never meet. */
function positionKey(chain: { stream: string; partition: number; origin: number }): Uint8Array {
  return Buffer.from(`position of chain ${chain.stream}/${chain.partition}/${chain.origin}`);
}
