import type { Store } from "../../connectors/store/store.js";
import type { ChainPosition } from "../../operators/stages/archive.js";
import { followToEnd, readSegment } from "../../operators/stages/chain.js";
import type { ScoreIndex } from "../../operators/stages/dedupe.js";
import type { Scored } from "../../operators/stages/image-in-flight.js";
import { rowScores } from "../../operators/pure/segment-builder.js";
import { SluiceError } from "../../schemas/errors.js";
import type { ChainName } from "../../schemas/keys.js";
import { DIGEST_BYTES, type ScoredBatch } from "../../schemas/scored-batch.js";
import type { Segment } from "../../schemas/segment.js";
import type { Workspace } from "./workspace.js";

/** A map of bytes on this machine's disk whose writes are atomic. */
export interface LocalTable {
  get(key: Uint8Array): Uint8Array | undefined;
  /** All or nothing; durable when it settles */
  putMany(entries: Iterable<readonly [Uint8Array, Uint8Array]>): Promise<void>;
}

/** A score index that follows the archive, and so knows where it ends. */
export interface ChainFollower extends ScoreIndex {
  /** Takes in what the archive has beyond what the index knows; returns where the chain ends. */
  catchUp(chain: ChainName): Promise<ChainPosition>;
  /** Takes in a segment just archived. */
  onSegment(segment: Segment): Promise<void>;
}

/** First 128 bits of the digest: what the top-K takes for an image's identity, too */
const IDENTITY_BYTES = 16;
/** partition u32, row u32, origin f64, start f64 */
const PLACE_BYTES = 24;
/** Segments whose rows were asked for lately, kept decoded: repeats come in runs */
const OPEN_SEGMENTS = 8;

/** Opens the index of one teacher's scores over a stream, in the workspace's local tables. */
export function openScoreIndex(workspace: Workspace, teacher: string): ChainFollower {
  return new LocalScoreIndex(workspace.store, workspace.tables.table(`scores-${teacher.slice(0, 32)}`), {
    teacher,
    stream: workspace.config.stream,
  });
}

/**
 * Where each archived digest has its scores: 40 bytes an image on disk, none in memory. A cache of the archive: it says
 * itself how far it has followed each chain, and goes on from there.
 */
export class LocalScoreIndex implements ChainFollower {
  readonly #store: Store;
  readonly #table: LocalTable;
  readonly #archive: { teacher: string; stream: string };
  readonly #open = new Map<string, Promise<ScoredBatch>>();

  constructor(store: Store, table: LocalTable, archive: { teacher: string; stream: string }) {
    this.#store = store;
    this.#table = table;
    this.#archive = archive;
  }

  find(digest: Uint8Array): Promise<Scored> | null {
    const found = this.#table.get(digest.subarray(0, IDENTITY_BYTES));
    if (found === undefined) return null;
    const place = Buffer.from(found.buffer, found.byteOffset, found.byteLength);
    const chain: ChainName = {
      ...this.#archive,
      partition: place.readUInt32LE(0),
      origin: place.readDoubleLE(8),
    };
    return this.#read(chain, place.readDoubleLE(16), place.readUInt32LE(4), digest);
  }

  async #read(chain: ChainName, start: number, row: number, digest: Uint8Array): Promise<Scored> {
    const batch = await this.#segment(chain, start);
    const found = batch.digest.subarray(row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES);
    if (!Buffer.from(found).equals(digest)) {
      throw new SluiceError(
        "E_SEGMENT_CORRUPT",
        `Expected the scores of image ${Buffer.from(digest).toString("hex")} in row ${row} of the segment at ${start} of ` +
          `${chain.stream}/${chain.partition}, found another image: the archive was changed. Delete the folder "log" beside it to index it anew.`,
      );
    }
    return { scores: rowScores(batch, row) };
  }

  #segment(chain: ChainName, start: number): Promise<ScoredBatch> {
    const name = `${chain.partition}/${chain.origin}/${start}`;
    let opened = this.#open.get(name);
    if (opened === undefined) {
      opened = readSegment(this.#store, chain, start).then(({ batch }) => batch);
      opened.catch(() => this.#open.delete(name));
    }
    // Last used, last in the map: the first one is the one to go.
    this.#open.delete(name);
    this.#open.set(name, opened);
    if (this.#open.size > OPEN_SEGMENTS) this.#open.delete(this.#open.keys().next().value!);
    return opened;
  }

  async catchUp(chain: ChainName): Promise<ChainPosition> {
    let position = this.#position(chain);
    const starts: number[] = [];
    await followToEnd(this.#store, chain, position.end, (header) => {
      starts.push(header.start);
    });
    for (const start of starts) {
      const segment = await readSegment(this.#store, chain, start);
      await this.onSegment(segment);
      position = segment.header;
    }
    return position;
  }

  async onSegment({ header, batch }: Segment): Promise<void> {
    const entries: [Uint8Array, Uint8Array][] = [];
    for (let row = 0; row < batch.count; row++) {
      if (batch.copied[row] === 1) continue;
      const place = Buffer.alloc(PLACE_BYTES);
      place.writeUInt32LE(header.partition, 0);
      place.writeUInt32LE(row, 4);
      place.writeDoubleLE(header.origin, 8);
      place.writeDoubleLE(header.start, 16);
      entries.push([batch.digest.slice(row * DIGEST_BYTES, row * DIGEST_BYTES + IDENTITY_BYTES), place]);
    }
    const { end, watermarkMs } = header;
    entries.push([positionKey(header), Buffer.from(JSON.stringify({ end, watermarkMs }))]);
    await this.#table.putMany(entries);
  }

  #position(chain: ChainName): ChainPosition {
    const found = this.#table.get(positionKey(chain));
    if (found === undefined) return { end: chain.origin, watermarkMs: null };
    return JSON.parse(Buffer.from(found).toString()) as ChainPosition;
  }
}

/** Longer than any digest's key, so the two never meet. */
function positionKey(chain: { stream: string; partition: number; origin: number }): Uint8Array {
  return Buffer.from(`position of chain ${chain.stream}/${chain.partition}/${chain.origin}`);
}
