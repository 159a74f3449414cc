import { existsSync } from "node:fs";
import { join } from "node:path";
import { isSluiceError } from "../../../schemas/errors.js";
import type { StoredRecord } from "../../../schemas/image-record.js";
import { valueOf } from "./checked-table.js";
import { LMDB_FILE, LmdbFile, type LeafEntry } from "./lmdb-file.js";
import { decodeBounds, KEY_BYTES, namedPlace, placeOf, type Bounds } from "./partition-keys.js";
import { decodeRecord, FIXED_BYTES } from "./record-bytes.js";

/** What can be told of one partition of a damaged log. */
export interface SalvagedPartition {
  /** The offset after the last record that is known to have been in it */
  readonly end: number;
  /** Offsets of the records that are as they were written, ascending */
  readonly offsets: Float64Array;
}

/** A record's place in the file. */
interface Place {
  readonly offset: number;
  /** That wrote the page */
  readonly transaction: number;
  readonly page: number;
  readonly node: number;
}

/**
 * Looks through every page of a log's file for what still has its checksum, whether a tree leads to it or not: a record never
 * changes, so that an old copy of its page is as good as the newest.
 */
export class Salvage {
  readonly #file: LmdbFile;
  readonly #places = new Map<number, readonly Place[]>();
  readonly partitions = new Map<number, SalvagedPartition>();
  /** The sources' cursors, where it is certain that the `end`s are no older; else null */
  readonly cursors: ReadonlyMap<string, string> | null;

  /** null where there is no file. */
  static of(folder: string, topic: string): Salvage | null {
    return existsSync(join(folder, LMDB_FILE)) ? new Salvage(folder, topic) : null;
  }

  private constructor(folder: string, topic: string) {
    this.#file = new LmdbFile(folder);
    try {
      this.#file.meta();
    } catch (error) {
      // The pages are looked through all the same.
      if (!isSluiceError(error, "E_LOG_CORRUPT")) throw error;
    }
    const { bounds, cursors } = this.#names(topic);
    this.cursors = cursors;
    for (const [partition, places] of this.#records(bounds)) {
      // Of two at one offset the earlier was never committed.
      places.sort((a, b) => a.offset - b.offset || b.transaction - a.transaction);
      const distinct = places.filter(({ offset }, at) => offset !== places[at - 1]?.offset);
      this.#places.set(partition, distinct);
      const offsets = Float64Array.from(distinct, ({ offset }) => offset);
      this.partitions.set(partition, {
        offsets,
        end: Math.max(bounds.get(partition)?.end ?? 0, (offsets.at(-1) ?? -1) + 1),
      });
    }
    for (const [partition, { end }] of bounds)
      if (!this.partitions.has(partition)) this.partitions.set(partition, { offsets: new Float64Array(0), end });
  }

  /** Of offsets that are among those found, ascending. */
  *records(partition: number, from: number, until: number): Generator<StoredRecord, void, undefined> {
    let read = -1;
    let nodes: readonly LeafEntry[] = [];
    for (const place of this.#places.get(partition) ?? []) {
      if (place.offset < from || place.offset >= until) continue;
      if (read !== place.page) {
        const page = this.#file.page(place.page);
        nodes = page.kind === "leaf" ? page.nodes : [];
        read = place.page;
      }
      const value = this.#valueOf(nodes[place.node]!);
      if (value !== null) yield decodeRecord(Buffer.from(value), place.offset);
    }
  }

  close(): void {
    this.#file.close();
  }

  /** By partition, the bounds that reach furthest; and the cursors, where one page has the newest of both. */
  #names(topic: string): { bounds: Map<number, Bounds>; cursors: Map<string, string> | null } {
    const bounds = new Map<number, Bounds>();
    let newest = { transaction: -1, bounds: 0, cursors: new Map<string, string>() };
    let newestOfAll = -1;
    for (const { transaction, nodes } of this.#leaves()) {
      const here = { transaction, bounds: 0, cursors: new Map<string, string>() };
      let named = false;
      for (const node of nodes) {
        const place = namedPlace(node.key);
        if (place === null) continue;
        const value = this.#valueOf(node);
        if (value === null) continue;
        named = true;
        if (place.what === "cursor") here.cursors.set(place.name, value.toString());
        if (place.what !== "bounds" || place.topic !== topic) continue;
        here.bounds++;
        const found = decodeBounds(value);
        if (found.end >= (bounds.get(place.partition)?.end ?? 0)) bounds.set(place.partition, found);
      }
      if (named) newestOfAll = Math.max(newestOfAll, transaction);
      if (here.bounds > 0 && transaction > newest.transaction) newest = here;
    }
    // Where the bounds and the cursors of a page were written together, they are of one moment, and the newest there is.
    const whole = newest.bounds === bounds.size && newest.transaction === newestOfAll;
    return { bounds, cursors: whole ? newest.cursors : null };
  }

  #records(bounds: ReadonlyMap<number, Bounds>): Map<number, Place[]> {
    const partitionOf = new Map([...bounds].map(([partition, { id }]) => [id, partition]));
    const found = new Map<number, Place[]>();
    for (const { page, transaction, nodes } of this.#leaves()) {
      for (const [node, one] of nodes.entries()) {
        // Arrivals have such keys, too, and are shorter.
        if (one.key.length !== KEY_BYTES || one.sizeBytes < FIXED_BYTES + CRC_BYTES) continue;
        const { id, offset } = placeOf(one.key);
        // Of a log whose names are lost, the ids are the partitions of the one topic there was.
        const partition = bounds.size === 0 ? id : partitionOf.get(id);
        if (partition === undefined || this.#valueOf(one) === null) continue;
        let places = found.get(partition);
        if (places === undefined) found.set(partition, (places = []));
        places.push({ offset, transaction, page, node });
      }
    }
    return found;
  }

  *#leaves(): Generator<{ page: number; transaction: number; nodes: readonly LeafEntry[] }, void, undefined> {
    for (let number = 0; number < this.#file.pages; number++) {
      const page = this.#file.pageIfAny(number);
      if (page?.kind === "leaf") yield { page: number, transaction: page.transaction, nodes: page.nodes };
    }
  }

  /** null where it is not as it was written. */
  #valueOf({ key, value, overflow, sizeBytes }: LeafEntry): Buffer | null {
    if (value !== null) return valueOf(key, value);
    if (overflow === null || overflow.pages !== this.#file.overflowPages(sizeBytes)) return null;
    if (!this.#file.isOverflow(overflow.page, overflow.pages)) return null;
    return valueOf(key, this.#file.overflowValue(overflow.page, sizeBytes));
  }
}

/** Behind each value */
const CRC_BYTES = 4;
