import type { Store } from "../../connectors/store/store.js";
import { messageOf, orNull, SluiceError } from "../../schemas/errors.js";
import type { RunFileEntry } from "../../schemas/run.js";
import { DigestDirectory, type CandidateRow } from "./digest-index.js";

/** One file's rows by their digests: the directory is in memory, a block of entries is read for a digest that may be there. */
export class RunDigests {
  readonly #blocks: Pick<Store, "getRange">;
  readonly #file: RunFileEntry;
  readonly #directory: DigestDirectory;

  private constructor(blocks: Pick<Store, "getRange">, file: RunFileEntry, directory: DigestDirectory) {
    this.#blocks = blocks;
    this.#file = file;
    this.#directory = directory;
  }

  /** Throws E_STORE_MISSING, E_SEGMENT_CORRUPT. `blocks`: where entries are read, by default from the store */
  static async open(store: Store, file: RunFileEntry, blocks: Pick<Store, "getRange"> = store): Promise<RunDigests> {
    const { directory, end } = file.digests;
    const bytes = await store.getRange(file.key, directory, end);
    try {
      return new RunDigests(blocks, file, new DigestDirectory(bytes, file.digests));
    } catch (error) {
      throw corruptDigests(file, error);
    }
  }

  /** As `open`; null where they are damaged or gone and some of the file's rows are declared lost. */
  static openUnlessLost(
    store: Store,
    file: RunFileEntry,
    isLost: boolean,
    blocks?: Pick<Store, "getRange">,
  ): Promise<RunDigests | null> {
    const opened = RunDigests.open(store, file, blocks);
    return isLost ? orNull(opened, "E_STORE_MISSING", "E_SEGMENT_CORRUPT") : opened;
  }

  mayHave(digest: Uint8Array): boolean {
    return this.#directory.mayHave(digest);
  }

  /** The rows that may be a digest's, in the order of the file: what tells is the row. Throws as `open`. */
  async find(digest: Uint8Array): Promise<CandidateRow[]> {
    if (!this.mayHave(digest)) return [];
    const blocks = this.#directory.blocksOf(digest);
    if (blocks.first >= blocks.end) return [];
    const { start, end } = this.#directory.rangeOf(this.#file.digests, blocks);
    const bytes = await this.#blocks.getRange(this.#file.key, start, end);
    try {
      return this.#directory.rowsIn(bytes, blocks.first, digest);
    } catch (error) {
      throw corruptDigests(this.#file, error);
    }
  }
}

/** Reads all of a file's digests. Throws as `RunDigests.open`. */
export async function assertDigests(store: Store, file: RunFileEntry): Promise<void> {
  const { start, directory: directoryAt, end } = file.digests;
  const [entries, bytes] = [
    await store.getRange(file.key, start, directoryAt),
    await store.getRange(file.key, directoryAt, end),
  ];
  try {
    new DigestDirectory(bytes, file.digests).rowsIn(entries, 0, new Uint8Array(32));
  } catch (error) {
    throw corruptDigests(file, error);
  }
}

function corruptDigests({ key, digests }: RunFileEntry, cause: unknown): SluiceError {
  return new SluiceError(
    "E_SEGMENT_CORRUPT",
    `Expected where images lie in bytes [${digests.start}, ${digests.end}) of ${key}, found others: ${messageOf(cause)}. Restore the object from a copy, or make it again from its rows: \`sluice archive repair ${key} --yes\`.`,
    { cause, key },
  );
}
