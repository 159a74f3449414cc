import { stat } from "node:fs/promises";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import { fsPath, type BytePath } from "./byte-path.js";
import { openFile, refusal, tooLarge } from "./open-file.js";
import { isGzip, membersOf } from "./tar-shard.js";

interface ShardIndex {
  /** Changes when the shard does */
  readonly stamp: string;
  readonly compressed: boolean;
  readonly members: ReadonlyMap<BytePath, { readonly offset: number; readonly sizeBytes: number }>;
  /** Why the members end where they do, if the shard breaks off */
  readonly broken: SluiceError | null;
}

/** Indexes kept: some hundred bytes a member */
const KEPT = 4;

/** Random access to members of tar shards. */
export class ShardIndexes {
  /** In the order of their last use */
  readonly #indexes = new Map<BytePath, Promise<ShardIndex>>();

  /** Errors: E_IMAGE_VANISHED, E_IMAGE_UNREADABLE, E_IMAGE_SIZE. */
  async open(shard: BytePath, member: BytePath, uri: string, maxBytes: number): Promise<Uint8Array> {
    const index = await this.#indexOf(shard, uri);
    const found = index.members.get(member);
    if (found === undefined) {
      if (index.broken !== null) {
        throw new SluiceError("E_IMAGE_UNREADABLE", index.broken.message, { cause: index.broken });
      }
      throw new SluiceError(
        "E_IMAGE_VANISHED",
        `Expected a member of that name in the shard, found none: ${uri}. Put the shard back as it was, then \`sluice quarantine retry\`.`,
      );
    }
    if (found.sizeBytes > maxBytes) throw tooLarge(uri, found.sizeBytes, maxBytes);
    if (!index.compressed) return openFile(shard, uri, maxBytes, found);
    for await (const { name, read } of membersOf(shard)) if (name === member) return read();
    throw new SluiceError("E_IMAGE_VANISHED", `Expected a shard that does not change while it is read: ${uri}.`);
  }

  async #indexOf(shard: BytePath, uri: string): Promise<ShardIndex> {
    const stamp = await stampOf(shard, uri);
    const kept = this.#indexes.get(shard);
    this.#indexes.delete(shard);
    const usable = kept !== undefined && (await kept.catch(() => null))?.stamp === stamp;
    const index = usable ? kept : indexOf(shard, stamp);
    this.#indexes.set(shard, index);
    for (const least of this.#indexes.keys()) {
      if (this.#indexes.size <= KEPT) break;
      this.#indexes.delete(least);
    }
    return index;
  }
}

async function stampOf(shard: BytePath, uri: string): Promise<string> {
  try {
    const { mtimeMs, size, ino } = await stat(fsPath(shard));
    return `${ino} ${mtimeMs} ${size}`;
  } catch (error) {
    throw refusal(error as NodeJS.ErrnoException, uri);
  }
}

async function indexOf(shard: BytePath, stamp: string): Promise<ShardIndex> {
  const members = new Map<BytePath, { offset: number; sizeBytes: number }>();
  let broken: SluiceError | null = null;
  let compressed = false;
  try {
    compressed = await isGzip(shard);
    for await (const { name, offset, sizeBytes } of membersOf(shard)) members.set(name, { offset, sizeBytes });
  } catch (error) {
    broken =
      error instanceof SluiceError ? error : new SluiceError("E_SOURCE_READ", messageOf(error), { cause: error });
  }
  return { stamp, compressed, members, broken };
}
