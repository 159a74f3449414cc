import { putHashed, type Store } from "../../connectors/store/store.js";
import type { ManifestFile } from "../../schemas/manifest.js";
import { BYTES } from "../../schemas/scored-batch.js";
import type { ShardLayout } from "../../schemas/dataset.js";
import { fileNumber, shardStarts, shuffledOrder, type RowGroup } from "./publish-plan.js";
import type { FetchedImages } from "./fetched-images.js";
import { sampleEntries, type SampleSource } from "./sample-entries.js";
import { TAR_END } from "./tar-entry.js";

export interface ShardOptions {
  readonly store: Store;
  readonly images: FetchedImages;
  /** Key of the shards' folder, with its closing `/` */
  readonly folder: string;
  readonly layout: ShardLayout;
  readonly source: SampleSource;
  /** `had`: whether the image had bytes when its row was archived, and stands where they are kept */
  readonly onSample?: (inShard: boolean, had: boolean) => void;
}

interface SampleToWrite {
  /** in the group's order, and in the group */
  readonly index: number;
  readonly position: number;
  readonly entries: readonly Uint8Array[];
  readonly sizeBytes: number;
}

/** Small images go to the store in pieces of at least this size: a write costs more than its bytes. */
const CHUNK_BYTES = 256 * 1024;

/** Writes WebDataset shards of samples (`sampleEntries`), numbered on from group to group. */
export class ShardWriter {
  readonly files: ManifestFile[] = [];
  readonly #options: ShardOptions;

  constructor(options: ShardOptions) {
    this.#options = options;
  }

  /**
   * Writes a group's images in shuffled order. The number of each row's shard, -1 where its bytes are absent, [rows]. `keeps`: as of
   * `FetchedImages`.
   */
  async write(group: RowGroup, keeps: (position: number) => boolean): Promise<Int32Array> {
    const { store, folder, layout } = this.#options;
    const shardOf = new Int32Array(group.rows).fill(-1);
    const starts = shardStarts(group.rows, layout.count);
    let part = 1;
    const samples = this.#samples(group, keeps);
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
      const written = await putHashed(store, key, chunks());
      this.files.push({ key, ...written, rows });
    }
    return shardOf;
  }

  /** The group's samples whose images are there, in shuffled order. */
  async *#samples(group: RowGroup, keeps: (position: number) => boolean): AsyncGenerator<SampleToWrite> {
    const { images, source, onSample } = this.#options;
    for await (const { rows, row, digest, bytes, ...at } of images.of(group, shuffledOrder(group), keeps)) {
      onSample?.(bytes !== null, rows.bytes[row] !== BYTES.absent && rows.deep?.[row] !== 1);
      if (bytes === null) continue;
      const entries = sampleEntries(rows, row, digest, bytes, source);
      yield { ...at, entries, sizeBytes: entries.reduce((sum, entry) => sum + entry.length, 0) };
    }
  }
}
