import type { Store } from "../../connectors/store/store.js";
import type { ChosenRows } from "../../schemas/chosen-rows.js";
import type { ManifestFile } from "../../schemas/manifest.js";
import { BYTES, DIGEST_BYTES } from "../../schemas/scored-batch.js";
import type { ShardLayout } from "../../schemas/dataset.js";
import { fileNumber, shardStarts, shuffledOrder, type RowGroup } from "../pure/publish-plan.js";
import { sampleEntries, type SampleSource } from "./sample-entries.js";
import { TAR_END } from "./tar-entry.js";

/** The image's bytes, or null where nothing kept them. `digest` is 64 hexadecimal digits. */
export type BytesOf = (digest: string, uri: string, sizeBytes: number) => Promise<Uint8Array | null>;

export interface ShardOptions {
  readonly store: Store;
  readonly bytesOf: BytesOf;
  /** Key of the shards' folder, with its closing `/` */
  readonly folder: string;
  readonly layout: ShardLayout;
  /** Bytes read ahead at most, beside the image at hand */
  readonly aheadBytes: number;
  readonly source: SampleSource;
  /** May throw, to stop */
  readonly beforeImage?: () => void;
  /** `had`: whether the image had bytes when its row was archived */
  readonly onSample?: (inShard: boolean, had: boolean) => void;
}

interface SampleToWrite {
  /** in the group's order, and in the group */
  readonly index: number;
  readonly position: number;
  readonly entries: readonly Uint8Array[];
  readonly sizeBytes: number;
}

const IMAGES_AHEAD = 16;
/** Small images go to the store in pieces of at least this size: a write costs more than its bytes. */
const CHUNK_BYTES = 256 * 1024;

/** Writes WebDataset shards of samples (`sampleEntries`), numbered on from group to group. */
export class ShardWriter {
  readonly files: ManifestFile[] = [];
  readonly #options: ShardOptions;

  constructor(options: ShardOptions) {
    this.#options = options;
  }

  /** Writes a group's images in shuffled order. The number of each row's shard, -1 where its bytes are absent, [rows]. */
  async write(group: RowGroup): Promise<Int32Array> {
    const { store, folder, layout } = this.#options;
    const shardOf = new Int32Array(group.rows).fill(-1);
    const starts = shardStarts(group.rows, layout.count);
    let part = 1;
    const samples = this.#samples(group);
    let next = await samples.next();
    while (next.done !== true) {
      const shard = this.files.length;
      let rows = 0;
      const chunks = async function* (): AsyncGenerator<Uint8Array> {
        let size = TAR_END.length;
        let held: Uint8Array[] = [];
        let heldBytes = 0;
        while (next.done !== true) {
          const { position, index, entries, sizeBytes } = next.value;
          if (rows > 0 && (index >= starts[part]! || size + sizeBytes > layout.maxBytes)) break;
          while (index >= starts[part]!) part++;
          size += sizeBytes;
          rows++;
          shardOf[position] = shard;
          held.push(...entries);
          heldBytes += sizeBytes;
          if (heldBytes >= CHUNK_BYTES) {
            yield Buffer.concat(held, heldBytes);
            held = [];
            heldBytes = 0;
          }
          next = await samples.next();
        }
        yield Buffer.concat([...held, TAR_END]);
      };
      const key = `${folder}${fileNumber(shard)}.tar`;
      const written = await store.putStream(key, chunks());
      this.files.push({ key, ...written, rows });
    }
    return shardOf;
  }

  /** The group's images that are there, in shuffled order, read ahead within bounds. */
  async *#samples(group: RowGroup): AsyncGenerator<SampleToWrite> {
    const { bytesOf, source, aheadBytes, onSample, beforeImage } = this.#options;
    const order = shuffledOrder(group);
    const locate = rowLocator(group);
    const ahead: {
      index: number;
      position: number;
      rows: ChosenRows;
      row: number;
      digest: string;
      bytes: Promise<Uint8Array | null>;
    }[] = [];
    let pendingBytes = 0;
    let index = 0;
    try {
      while (index < order.length || ahead.length > 0) {
        beforeImage?.();
        while (
          index < order.length &&
          ahead.length < IMAGES_AHEAD &&
          (ahead.length === 0 || pendingBytes < aheadBytes)
        ) {
          const position = order[index]!;
          const { rows, row } = locate(position);
          const digest = digestText(rows, row);
          const bytes = bytesOf(digest, rows.uri[row]!, rows.sizeBytes[row]!);
          bytes.catch(() => undefined); // reported where it is awaited
          pendingBytes += rows.sizeBytes[row]!;
          ahead.push({ index, position, rows, row, digest, bytes });
          index++;
        }
        const { rows, row, digest, bytes, ...at } = ahead.shift()!;
        const image = await bytes;
        pendingBytes -= rows.sizeBytes[row]!;
        onSample?.(image !== null, rows.bytes[row] !== BYTES.absent);
        if (image !== null) {
          const entries = sampleEntries(rows, row, digest, image, source);
          yield { ...at, entries, sizeBytes: entries.reduce((sum, entry) => sum + entry.length, 0) };
        }
      }
    } finally {
      await Promise.allSettled(ahead.map(({ bytes }) => bytes));
    }
  }
}

/** 64 hexadecimal digits */
export function digestText(rows: Pick<ChosenRows, "digest">, row: number): string {
  const { buffer, byteOffset } = rows.digest;
  return Buffer.from(buffer, byteOffset + row * DIGEST_BYTES, DIGEST_BYTES).toString("hex");
}

/** Finds the class's rows and the row in them for a position in the group, by bisection. */
function rowLocator(group: RowGroup): (position: number) => { rows: ChosenRows; row: number } {
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
