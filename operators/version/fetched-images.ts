import type { Store } from "../../connectors/store/store.js";
import type { ChosenRows } from "../../schemas/chosen-rows.js";
import { DIGEST_BYTES } from "../../schemas/scored-batch.js";
import type { RowGroup } from "./publish-plan.js";
import { Spool, type SpoolPlace } from "./spool.js";

/** An image whose bytes a version needs. */
export interface NeededImage {
  /** 64 hexadecimal digits */
  readonly digest: string;
  readonly uri: string;
  readonly sizeBytes: number;
  /** Whole name of the pack that kept its bytes when its row was archived; null where none did */
  readonly pack: string | null;
}

export interface ReadImage {
  /** Which one of those needed, from 0 */
  readonly at: number;
  /** null where nothing has them any more */
  readonly bytes: Uint8Array | null;
}

/** Reads images, each once, in whatever order suits where they lie. */
export type ReadImages = (needed: readonly NeededImage[]) => AsyncIterable<ReadImage>;

/** A row of a group with its image. */
export interface RowImage {
  /** in the order asked for, and in the group */
  readonly index: number;
  readonly position: number;
  readonly rows: ChosenRows;
  readonly row: number;
  readonly digest: string;
  readonly bytes: Uint8Array | null;
}

export interface FetchedImagesOptions {
  readonly store: Pick<Store, "scratch">;
  readonly read: ReadImages;
  /** Image bytes held in memory; more of them wait in a scratch file */
  readonly memoryBytes: number;
  /** May throw, to stop */
  readonly beforeImage?: () => void;
  /** An image was read, or is known to be absent, that so many rows have */
  readonly onRead?: (rows: number) => void;
}

/**
 * The images of a group's rows in another order than that in which they are read. They are read a run of rows at a time, as many as the
 * scratch disk has room for: all of them, unless the version is larger than half of it. An image of several rows is read once a run.
 */
export class FetchedImages {
  readonly #options: FetchedImagesOptions;
  readonly #run: Spool;
  /** Apart, because they stay while runs come and go */
  readonly #kept: Spool;
  readonly #keptAt = new Map<number, SpoolPlace | null>();

  constructor(options: FetchedImagesOptions) {
    const { store, memoryBytes } = options;
    this.#options = options;
    this.#run = new Spool(store, memoryBytes);
    this.#kept = new Spool(store, memoryBytes);
  }

  /** Rows in the order of the positions `order`. Images of positions that `keeps` names can be had until the next group. */
  async *of(
    group: RowGroup,
    order: Float64Array,
    keeps: (position: number) => boolean,
  ): AsyncGenerator<RowImage, void, undefined> {
    this.#kept.clear();
    this.#keptAt.clear();
    const locate = rowLocator(group);
    let groupBytes = 0;
    for (const { sizeBytes } of group.classes) for (const size of sizeBytes) groupBytes += size;
    const isSmall = groupBytes <= this.#options.memoryBytes;
    const runBytes = isSmall ? groupBytes : await this.#run.capacity();
    for (let from = 0; from < order.length;) {
      const run = runFrom(order, from, runBytes, locate);
      const places = await this.#fetch(run, order.subarray(from), keeps);
      for (const image of run.images) {
        this.#options.beforeImage?.();
        const position = order[from]!;
        const { rows, row } = locate(position);
        const place = places[image] ?? null;
        const bytes = place === null ? null : await this.#run.read(place);
        yield { index: from, position, rows, row, digest: run.needed[image]!.digest, bytes };
        from++;
      }
      this.#run.clear();
    }
  }

  /** The image of a position of the last group that `keeps` named. */
  async kept(position: number): Promise<Uint8Array | null> {
    const place = this.#keptAt.get(position) ?? null;
    return place === null ? null : this.#kept.read(place);
  }

  async close(): Promise<void> {
    try {
      await this.#run.close();
    } finally {
      await this.#kept.close();
    }
  }

  /** Where each image of a run lies in the spool, null for an absent one. `order`: the run's positions and more. */
  async #fetch(
    { needed, images }: Run,
    order: Float64Array,
    keeps: (position: number) => boolean,
  ): Promise<readonly (SpoolPlace | null)[]> {
    const { read, beforeImage, onRead } = this.#options;
    const places = new Array<SpoolPlace | null>(needed.length).fill(null);
    const rowsOf = new Uint32Array(needed.length);
    const keptOf = new Map<number, number[]>();
    for (const [index, image] of images.entries()) {
      rowsOf[image]!++;
      if (keeps(order[index]!)) keptOf.set(image, [...(keptOf.get(image) ?? []), order[index]!]);
    }
    beforeImage?.();
    for await (const { at, bytes } of read(needed)) {
      beforeImage?.();
      onRead?.(rowsOf[at]!);
      if (bytes === null) continue;
      places[at] = await this.#run.add(bytes);
      const positions = keptOf.get(at);
      if (positions === undefined) continue;
      const kept = await this.#kept.add(bytes);
      for (const position of positions) this.#keptAt.set(position, kept);
    }
    return places;
  }
}

interface Run {
  /** Distinct images */
  readonly needed: readonly NeededImage[];
  /** Of each row of the run, which of them it has */
  readonly images: readonly number[];
}

/** Rows until their images have `mostBytes`; one at least. */
function runFrom(order: Float64Array, from: number, mostBytes: number, locate: Locate): Run {
  const needed: NeededImage[] = [];
  const images: number[] = [];
  const known = new Map<string, number>();
  let bytes = 0;
  for (let index = from; index < order.length; index++) {
    const { rows, row } = locate(order[index]!);
    const digest = digestText(rows, row);
    let image = known.get(digest);
    if (image === undefined) {
      const sizeBytes = rows.sizeBytes[row]!;
      if (needed.length > 0 && bytes + sizeBytes > mostBytes) break;
      bytes += sizeBytes;
      image = needed.length;
      known.set(digest, image);
      needed.push({ digest, uri: rows.uri[row]!, sizeBytes, pack: rows.pack[row] ?? null });
    }
    images.push(image);
  }
  return { needed, images };
}

/** 64 hexadecimal digits */
export function digestText(rows: Pick<ChosenRows, "digest">, row: number): string {
  const { buffer, byteOffset } = rows.digest;
  return Buffer.from(buffer, byteOffset + row * DIGEST_BYTES, DIGEST_BYTES).toString("hex");
}

type Locate = (position: number) => { readonly rows: ChosenRows; readonly row: number };

/** Finds the class's rows and the row in them for a position in the group, by bisection. */
function rowLocator(group: RowGroup): Locate {
  return (position) => {
    let low = 0;
    let high = group.classes.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (group.starts[middle]! <= position) low = middle;
      else high = middle;
    }
    return { rows: group.classes[low]!, row: position - group.starts[low]! };
  };
}
