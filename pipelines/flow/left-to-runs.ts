import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { RunDigests } from "../../operators/archive/run-digests.js";
import type { FoundRow } from "../../operators/archive/row-records.js";
import { isSluiceError } from "../../schemas/errors.js";
import { keys, type ChainName } from "../../schemas/keys.js";

/** Offsets [start, end) of a chain */
export type OffsetRange = readonly [start: number, end: number];

interface Left {
  readonly chain: ChainName;
  readonly ranges: readonly OffsetRange[];
  files: readonly RunDigests[];
}

/**
 * Finds images in ranges that runs have, by the runs' own indexes of digests: some 1.3 bytes a row in memory, one request more for an image
 * that is there.
 */
export class LeftToRuns {
  readonly #archive: ArchiveReader;
  readonly #topM: number;
  /** By chain */
  readonly #left = new Map<string, Left>();

  /** Rows with fewer than `topM` classes are passed over. */
  constructor(archive: ArchiveReader, topM: number) {
    this.#archive = archive;
    this.#topM = topM;
  }

  /** The ranges of one chain from now on, in place of those before. */
  async set(chain: ChainName, ranges: readonly OffsetRange[]): Promise<void> {
    const name = keys.chain(chain);
    if (ranges.length === 0) {
      this.#left.delete(name);
      return;
    }
    if (JSON.stringify(this.#left.get(name)?.ranges) === JSON.stringify(ranges)) return;
    this.#left.set(name, { chain, ranges, files: await this.#open(chain, ranges) });
  }

  async #open(chain: ChainName, ranges: readonly OffsetRange[]): Promise<RunDigests[]> {
    const { runs } = this.#archive.chain(chain);
    const losses = await runs.losses();
    for (let looks = 0; ; looks++) {
      const files: RunDigests[] = [];
      try {
        for (const run of await runs.standing()) {
          if (!ranges.some((range) => range[0] < run.end && run.start < range[1])) continue;
          // At the first look the file may have gone with its run, in whose place a higher one stands.
          const isLost = looks > 0 && losses.meets(run.start, run.end);
          for (const file of (await runs.headUnlessLost(run))?.files ?? []) {
            const { store, blocks } = this.#archive;
            const digests = await RunDigests.openUnlessLost(store, file, isLost, blocks);
            if (digests !== null) files.push(digests);
          }
        }
        return files;
      } catch (error) {
        // A run of a higher level has taken its place, and its files were swept.
        const isGone = isSluiceError(error, "E_STORE_MISSING") || isSluiceError(error, "E_SEGMENT_CORRUPT");
        if (!isGone || looks > 0) throw error;
        await runs.readAnew();
      }
    }
  }

  /** false: no run has the digest in those ranges. */
  mayHave(digest: Uint8Array): boolean {
    for (const { files } of this.#left.values()) if (files.some((file) => file.mayHave(digest))) return true;
    return false;
  }

  /** The scores of the first row that is the digest's; null where there is none. Throws E_SEGMENT_CORRUPT. */
  async find(digest: Uint8Array): Promise<FoundRow | null> {
    for (const left of this.#left.values()) {
      for (let looks = 0; ; looks++) {
        try {
          const found = await this.#findIn(left, digest);
          if (found !== null) return found;
          break;
        } catch (error) {
          if (!isSluiceError(error, "E_STORE_MISSING") || looks > 0) throw error;
          await this.#archive.chain(left.chain).runs.readAnew();
          left.files = await this.#open(left.chain, left.ranges);
        }
      }
    }
    return null;
  }

  async #findIn({ chain, files }: Left, digest: Uint8Array): Promise<FoundRow | null> {
    const reader = this.#archive.chain(chain);
    for (const file of files) {
      for (const candidate of await file.find(digest)) {
        const found = await reader.digestsRow(digest, candidate);
        if (found !== null && found.scores.classes.length >= this.#topM) return found;
      }
    }
    return null;
  }
}
