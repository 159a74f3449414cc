import { stat } from "node:fs/promises";
import { messageOf, SluiceError, codeOf } from "../../../schemas/errors.js";
import { fsPath, shownPath, type BytePath } from "../byte-path.js";
import type { FileReader } from "../file-reader.js";
import { refusal, tooLarge } from "../open-file.js";
import { imageOrRefusal } from "../image-or-refusal.js";
import type { OpenedImage } from "../source.js";
import { membersInOnePass } from "./members-in-one-pass.js";
import { membersInPlace } from "./members-in-place.js";
import { unpackerOf } from "./packing.js";
import { ShardMembers, type AskedMember, type MemberPlace } from "./shard-members.js";
import type { MemberHeader } from "./tar-members.js";
import { openShard, packingAt } from "./tar-shard.js";

interface ShardIndex {
  /** Changes when the shard does */
  readonly stamp: string;
  readonly isPacked: boolean;
  readonly members: ShardMembers;
  /** Why the members end where they do, if the shard breaks off */
  readonly broken: SluiceError | null;
}

/** Indexes kept: some hundred bytes a member */
const KEPT = 4;

/** Random access to members of tar shards. */
export class ShardIndexes {
  /** In the order of their last use */
  readonly #indexes = new Map<BytePath, Promise<ShardIndex>>();
  readonly #files: FileReader;

  constructor(files: FileReader) {
    this.#files = files;
  }

  /** The bytes of a member, or of the file that it links to. Errors: E_IMAGE_VANISHED, E_IMAGE_UNREADABLE, E_IMAGE_SIZE. */
  async open(shard: BytePath, place: MemberPlace, uri: string, maxBytes: number): Promise<Uint8Array> {
    const index = await this.#indexOf(shard, uri);
    const member = fileIn(index, place, uri, maxBytes);
    if (!index.isPacked && member.sparse === null) return this.#files.open(shard, uri, maxBytes, member);
    return readAt(shard, member, uri);
  }

  /**
   * Several members, each once, in the shard's order. An index is made only where one of them does not lie as a plain file where
   * its uri says.
   */
  async *openMany(shard: BytePath, asked: readonly AskedMember[]): AsyncGenerator<OpenedImage, void, undefined> {
    const sorted = asked.toSorted((a, b) => (a.place.offset ?? Infinity) - (b.place.offset ?? Infinity) || a.at - b.at);
    const isPacked = await isPackedAt(shard);
    const left: AskedMember[] = [];
    yield* isPacked ? membersInOnePass(shard, sorted, left) : membersInPlace(shard, sorted, left);
    if (left.length === 0) return;
    if (!isPacked) {
      for (const { at, uri, sizeBytes, place } of left)
        yield { at, image: await imageOrRefusal(this.open(shard, place, uri, sizeBytes)) };
      return;
    }
    const behind: AskedMember[] = [];
    for (const one of left) {
      const found = await imageOrRefusal(
        this.#indexOf(shard, one.uri).then((index) => fileIn(index, one.place, one.uri, one.sizeBytes)),
      );
      if (found instanceof SluiceError) yield { at: one.at, image: found };
      else behind.push({ ...one, place: found });
    }
    const gone: AskedMember[] = [];
    yield* membersInOnePass(shard, behind, gone);
    for (const { at, uri } of gone) yield { at, image: changed(uri) };
  }

  async #indexOf(shard: BytePath, uri: string): Promise<ShardIndex> {
    const stamp = await stampOf(shard, uri);
    const kept = this.#indexes.get(shard);
    this.#indexes.delete(shard);
    const usable = kept !== undefined && (await kept).stamp === stamp;
    const index = usable ? kept : indexOf(shard, stamp);
    this.#indexes.set(shard, index);
    for (const least of this.#indexes.keys()) {
      if (this.#indexes.size <= KEPT) break;
      this.#indexes.delete(least);
    }
    return index;
  }
}

/** The file that a member's place in the shard stands for. Throws E_IMAGE_VANISHED, E_IMAGE_UNREADABLE, E_IMAGE_SIZE. */
function fileIn({ members, broken }: ShardIndex, place: MemberPlace, uri: string, maxBytes: number): MemberHeader {
  const named = members.find(place);
  if (named === null) {
    if (broken !== null) throw new SluiceError("E_IMAGE_UNREADABLE", broken.message, { cause: broken });
    throw new SluiceError(
      "E_IMAGE_VANISHED",
      `Expected a member of that name in the shard, found none: ${uri}. Put the shard back as it was, then \`sluice quarantine retry\`.`,
    );
  }
  const member = members.fileBehind(named);
  if (member === null) throw leadsNowhere(named, uri);
  if (member.sizeBytes > maxBytes) throw tooLarge(uri, member.sizeBytes, maxBytes);
  return member;
}

/** Whether a shard is packed; false where it cannot be opened, which is said when it is read. */
async function isPackedAt(shard: BytePath): Promise<boolean> {
  try {
    return unpackerOf(await packingAt(shard)) !== undefined;
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return false;
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

async function indexOf(path: BytePath, stamp: string): Promise<ShardIndex> {
  const members = new ShardMembers();
  let broken: SluiceError | null = null;
  let isPacked = false;
  let last = null as MemberHeader | null;
  try {
    const shard = await openShard(path);
    isPacked = shard.isPacked;
    try {
      for await (const member of shard.members()) {
        if (last !== null) members.add(last);
        last = member;
      }
    } finally {
      await shard.close();
    }
    if (last !== null) members.add(last);
  } catch (error) {
    broken =
      error instanceof SluiceError ? error : new SluiceError("E_SOURCE_READ", messageOf(error), { cause: error });
    // The one at which a shard breaks off is no member.
    const isWhole = broken.context.byte === (last?.offset ?? 0) + (last?.sizeBytes ?? 0);
    if (last !== null && isWhole) members.add(last);
  }
  return { stamp, isPacked, members, broken };
}

/** Reads a shard up to the member. */
async function readAt(path: BytePath, { offset }: MemberHeader, uri: string): Promise<Uint8Array> {
  const shard = await openShard(path);
  try {
    for await (const member of shard.members()) if (member.offset === offset) return await shard.read(member);
  } finally {
    await shard.close();
  }
  throw changed(uri);
}

function changed(uri: string): SluiceError {
  return new SluiceError("E_IMAGE_VANISHED", `Expected a shard that does not change while it is read: ${uri}.`);
}

function leadsNowhere({ kind, target }: MemberHeader, uri: string): SluiceError {
  const found = target === "" ? kind : `a ${kind} to "${shownPath(target)}", which is no file of the shard`;
  return new SluiceError(
    "E_IMAGE_UNREADABLE",
    `Expected an image in the shard, found ${found}: ${uri}. Make the shard again with the files themselves (\`tar --dereference --hard-dereference\`).`,
  );
}
