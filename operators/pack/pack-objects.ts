import type { Store } from "../../connectors/store/store.js";
import { sha256Hex } from "../../schemas/canonical.js";
import { isSluiceError } from "../../schemas/errors.js";
import { corruptPack, PackIndex, packIndexBytes, type PackMember } from "../../schemas/pack.js";

/** A pack as an object. */
export interface PackSource extends PackMember {
  readonly bytes: Uint8Array;
}

/** Holds the index of most packs: some 1,400 members */
const FIRST_READ_BYTES = packIndexBytes(1400);
/** Members that lie next to each other are read together, up to so many bytes; so many are read over rather than asked apart. */
const READ = { mostBytes: 4 * 2 ** 20, gapBytes: 64 * 1024 };

/** Writes a pack to a key that no other writer uses. Whose digests occur twice is the caller's fault. */
export async function writePack(store: Store, key: string, members: readonly PackSource[]): Promise<number> {
  const bytes = members.map((member) => member.bytes);
  return (await store.putStream(key, packChunks(members, bytes))).sizeBytes;
}

/** A pack as it is written: its index, and the members' bytes in their order, which may be come by one at a time. */
export async function* packChunks(
  members: readonly PackMember[],
  bytes: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield PackIndex.of(members).bytes;
  yield* bytes;
}

/** Where a pack's members lie. Throws E_STORE_MISSING, E_PACK_CORRUPT. */
export async function readPackIndex(store: Store, key: string): Promise<PackIndex> {
  const first = await store.getRange(key, 0, FIRST_READ_BYTES);
  const size = PackIndex.sizeIn(first, key);
  return PackIndex.read(size <= first.length ? first : await store.getRange(key, 0, size), key);
}

/** A member's place among those that are wanted of a pack. */
export interface MemberPlace {
  /** In the pack's index */
  readonly member: number;
  /** What the caller knows it by */
  readonly at: number;
}

/** Members that are read with one request. */
interface Stretch {
  readonly start: number;
  readonly end: number;
  readonly places: readonly MemberPlace[];
}

/** What members are read with, in the order in which they lie; the same member may be wanted more than once. */
export function stretchesOf(index: PackIndex, wanted: readonly MemberPlace[]): Stretch[] {
  const ordered = [...wanted].sort((a, b) => index.startOf(a.member) - index.startOf(b.member));
  const stretches: { start: number; end: number; places: MemberPlace[] }[] = [];
  for (const place of ordered) {
    const start = index.startOf(place.member);
    const end = start + index.sizeOf(place.member);
    const last = stretches.at(-1);
    if (last !== undefined && start <= last.end + READ.gapBytes && end - last.start <= READ.mostBytes) {
      last.end = Math.max(last.end, end);
      last.places.push(place);
    } else stretches.push({ start, end, places: [place] });
  }
  return stretches;
}

export interface ReadMember {
  readonly at: number;
  /** null where they are not those of the digest */
  readonly bytes: Uint8Array | null;
}

/** Reads one stretch; each member is checked by its digest. Throws E_STORE_MISSING. */
export async function readStretch(
  store: Store,
  key: string,
  index: PackIndex,
  { start, end, places }: Stretch,
): Promise<ReadMember[]> {
  const held = end > start ? await store.getRange(key, start, end) : new Uint8Array(0);
  return places.map(({ member, at }) => {
    const from = index.startOf(member) - start;
    const bytes = held.subarray(from, from + index.sizeOf(member));
    return { at, bytes: sha256Hex(bytes) === index.digestOf(member).toString("hex") ? bytes : null };
  });
}

/**
 * Every member of a pack in the order in which they lie, each checked. Throws E_STORE_MISSING, and E_PACK_CORRUPT at the
 * first that is not as it was written.
 */
export async function* packMembers(
  store: Store,
  key: string,
  index: PackIndex,
  isWanted: (member: number) => boolean = () => true,
): AsyncGenerator<PackSource, void, undefined> {
  const wanted = index.inOrder().filter(isWanted);
  for (const stretch of stretchesOf(
    index,
    wanted.map((member) => ({ member, at: member })),
  )) {
    for (const { at, bytes } of await readStretch(store, key, index, stretch)) {
      const digest = index.digestOf(at);
      if (bytes === null) throw corruptPack(key, `image ${digest.toString("hex")} in it has other bytes`);
      yield { digest, sizeBytes: bytes.length, bytes };
    }
  }
}

/** What was asked for; null where the object is gone. */
export async function goneAsNull<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (isSluiceError(error, "E_STORE_MISSING")) return null;
    throw error;
  }
}
