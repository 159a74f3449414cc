import { isSluiceError } from "../../schemas/errors.js";
import { endIn, type Frontier } from "../../schemas/frontier.js";
import type { ChainName } from "../../schemas/keys.js";
import { DIGEST_BYTES, type ScoredBatch } from "../../schemas/scored-batch.js";
import type { ArchiveReader } from "./archive-reader.js";
import type { ChainReader } from "./chain-reader.js";
import { RunDigests } from "./run-digests.js";
import { selectRows } from "./select-rows.js";

export interface RowsOfImagesOptions {
  readonly signal?: AbortSignal | undefined;
  /** Only what lies below; by default all that is archived */
  readonly frontier?: Frontier | undefined;
  /** null: a segment that is missing or damaged throws E_CHAIN_GAP, E_SEGMENT_CORRUPT. By default it is passed over */
  readonly onGap?: (() => void) | null | undefined;
}

/** One archived row of an image. */
export interface ImageRow {
  /** 64 hexadecimal digits */
  readonly sha256: string;
  readonly chain: ChainName;
  /** The row alone; its text is valid until the next row is asked for */
  readonly batch: ScoredBatch;
}

/**
 * All rows of some images under one teacher. Runs are asked by their own indexes of digests, a few requests an image; the tail, which is short, is
 * read once. `digests`: 64 hexadecimal digits each. Ranges that cannot be read are passed over, unless `onGap` says otherwise. Throws E_SEGMENT_CORRUPT for an index that cannot be read, E_STORE_IO.
 */
export async function* rowsOfImages(
  archive: ArchiveReader,
  digests: Iterable<string>,
  { signal, frontier, onGap = () => undefined }: RowsOfImagesOptions = {},
): AsyncGenerator<ImageRow, void, undefined> {
  const wanted = new Map([...new Set(digests)].map((sha256) => [sha256, Buffer.from(sha256, "hex")]));
  if (wanted.size === 0) return;
  const identities = new Set([...wanted.values()].map((digest) => digest.readUInt32BE(0)));
  for (const chain of await archive.chains()) {
    const reader = archive.chain(chain);
    const until = frontier === undefined ? Number.POSITIVE_INFINITY : endIn(frontier, chain);
    const isBelow = (batch: ScoredBatch): boolean => Number(batch.offset[0]!) < until;
    const from = Math.max(chain.origin, await reader.runs.end());
    for (const [sha256, digest] of wanted) {
      if (signal?.aborted === true) return;
      for (const batch of await rowsInRuns(archive, reader, digest)) if (isBelow(batch)) yield { sha256, chain, batch };
    }
    if (from >= until) continue;
    const end = frontier === undefined ? await reader.end(from, () => undefined) : until;
    for await (const { batch } of archive.segments(chain, from, end, onGap ?? undefined)) {
      if (signal?.aborted === true) return;
      const view = Buffer.from(batch.digest.buffer, batch.digest.byteOffset, batch.digest.byteLength);
      for (let row = 0; row < batch.count; row++) {
        if (!identities.has(view.readUInt32BE(row * DIGEST_BYTES))) continue;
        const sha256 = view.toString("hex", row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES);
        if (wanted.has(sha256)) yield { sha256, chain, batch: selectRows(batch, [row]) };
      }
    }
  }
}

/** Directories of runs' files by the object's key: what is asked for image by image is opened once. */
const opened = new WeakMap<ArchiveReader, Map<string, RunDigests>>();

async function rowsInRuns(archive: ArchiveReader, reader: ChainReader, digest: Uint8Array): Promise<ScoredBatch[]> {
  const { runs } = reader;
  const files = opened.get(archive) ?? new Map<string, RunDigests>();
  opened.set(archive, files);
  for (let looks = 0; ; looks++) {
    try {
      const rows: ScoredBatch[] = [];
      for (const run of await runs.standing()) {
        for (const file of (await runs.headUnlessLost(run))?.files ?? []) {
          const index = files.get(file.key) ?? (await RunDigests.open(archive.store, file, archive.blocks));
          files.set(file.key, index);
          for (const candidate of await index.find(digest)) {
            const row = await reader.digestsBatch(digest, candidate);
            if (row !== null) rows.push(row);
          }
        }
      }
      return rows;
    } catch (error) {
      // A run of a higher level has taken its place, and its files were swept.
      if (!isSluiceError(error, "E_STORE_MISSING") || looks > 0) throw error;
      await runs.refresh();
    }
  }
}

/** Those of some images that a teacher's archive has a row of. Throws as `rowsOfImages`. */
export async function seenImages(archive: ArchiveReader, digests: Iterable<string>): Promise<ReadonlySet<string>> {
  const seen = new Set<string>();
  for await (const { sha256 } of rowsOfImages(archive, digests)) seen.add(sha256);
  return seen;
}
