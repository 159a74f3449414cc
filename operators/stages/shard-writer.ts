import type { Store } from "../../connectors/store/store.js";
import type { ChosenRows } from "../../schemas/chosen-rows.js";
import type { ManifestFile } from "../../schemas/manifest.js";
import { DIGEST_BYTES } from "../../schemas/scored-batch.js";
import { fileNumber, imageExtension, sampleName, shuffledOrder, type RowGroup } from "../pure/publish-plan.js";
import { TAR_END, tarEntry } from "./tar-entry.js";

/** The image's bytes, or null where nothing kept them. `digest` is 64 hexadecimal digits. */
export type BytesOf = (digest: string, uri: string, sizeBytes: number) => Promise<Uint8Array | null>;

export interface ShardOptions {
  readonly store: Store;
  readonly bytesOf: BytesOf;
  /** Key of the shards' folder, with its closing `/` */
  readonly folder: string;
  /** A shard holds at most this, or one sample */
  readonly shardBytes: number;
  /** Bytes read ahead at most, beside the image at hand */
  readonly aheadBytes: number;
  readonly labels: readonly string[];
  /** May throw, to stop */
  readonly beforeImage?: () => void;
  readonly onSample?: (inShard: boolean) => void;
}

const IMAGES_AHEAD = 16;
/** Small images go to the store in pieces of at least this size: a write costs more than its bytes. */
const CHUNK_BYTES = 256 * 1024;
const encoder = new TextEncoder();

/**
 * Writes WebDataset shards: a sample is `<name>.<extension>` (the image as it was), `<name>.cls` (the class in
 * decimal) and `<name>.json`. Numbered on from group to group.
 */
export class ShardWriter {
  readonly files: ManifestFile[] = [];
  readonly #options: ShardOptions;

  constructor(options: ShardOptions) {
    this.#options = options;
  }

  /** Writes a group's images in shuffled order. The number of each row's shard, -1 where its bytes are absent, [rows]. */
  async write(group: RowGroup): Promise<Int32Array> {
    const { store, folder, shardBytes } = this.#options;
    const shardOf = new Int32Array(group.rows).fill(-1);
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
          const { position, entries, sizeBytes } = next.value;
          if (rows > 0 && size + sizeBytes > shardBytes) break;
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
  async *#samples(group: RowGroup): AsyncGenerator<{ position: number; entries: Uint8Array[]; sizeBytes: number }> {
    const { bytesOf, labels, aheadBytes, onSample, beforeImage } = this.#options;
    const order = shuffledOrder(group);
    const locate = rowLocator(group);
    const ahead: {
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
          const position = order[index++]!;
          const { rows, row } = locate(position);
          const digest = digestText(rows, row);
          const bytes = bytesOf(digest, rows.uri[row]!, rows.sizeBytes[row]!);
          bytes.catch(() => undefined); // reported where it is awaited
          pendingBytes += rows.sizeBytes[row]!;
          ahead.push({ position, rows, row, digest, bytes });
        }
        const { position, rows, row, digest, bytes } = ahead.shift()!;
        const image = await bytes;
        pendingBytes -= rows.sizeBytes[row]!;
        onSample?.(image !== null);
        if (image !== null) {
          const entries = sampleEntries(rows, row, digest, image, labels);
          yield { position, entries, sizeBytes: entries.reduce((sum, entry) => sum + entry.length, 0) };
        }
      }
    } finally {
      await Promise.allSettled(ahead.map(({ bytes }) => bytes));
    }
  }
}

function sampleEntries(
  rows: ChosenRows,
  row: number,
  digest: string,
  image: Uint8Array,
  labels: readonly string[],
): Uint8Array[] {
  const name = sampleName(rows.class, row + 1);
  const about = {
    class: rows.class,
    label: labels[rows.class],
    rank: row + 1,
    key: rows.keys[row],
    probability: rows.probability[row],
    sha256: digest,
    uri: rows.uri[row],
    event_time_ms: rows.eventTimeMs[row],
    licence: rows.licence[row] ?? null,
    origin: rows.origin[row] ?? null,
  };
  return [
    tarEntry(`${name}.${imageExtension(image)}`, image),
    tarEntry(`${name}.cls`, encoder.encode(String(rows.class))),
    tarEntry(`${name}.json`, encoder.encode(JSON.stringify(about))),
  ];
}

/** 64 hexadecimal digits */
export function digestText(rows: ChosenRows, row: number): string {
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
