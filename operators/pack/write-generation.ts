import { counted } from "../../schemas/counted.js";
import type { Store } from "../../connectors/store/store.js";
import { SluiceError } from "../../schemas/errors.js";
import { keys, type ChainName } from "../../schemas/keys.js";
import {
  decodeGeneration,
  encodeGeneration,
  PackIndex,
  type PackGeneration,
  type PackMember,
  type PlacedPack,
} from "../../schemas/pack.js";
import { goneAsNull, packMembers, readPackIndex } from "./pack-objects.js";

/** A pack that is written anew gets no larger. */
const MOST_BYTES = 256 * 1024 * 1024;

/** An object as it lies, and which of its members are taken over. */
export interface TakenPack {
  readonly placed: PlacedPack;
  readonly index: PackIndex;
  /** By number; null for all */
  readonly members: readonly number[] | null;
}

export interface GenerationOptions {
  readonly store: Store;
  readonly chain: ChainName;
  /** Packs of segments that start in [start, end) */
  readonly start: number;
  readonly end: number;
  /** The one that stands now; null where none does */
  readonly standing: PackGeneration | null;
  /** Of this writing alone: [a-z0-9]+ */
  readonly attempt: string;
  readonly nowMs: () => number;
}

/**
 * Writes what is taken over of some packs into new ones, and the generation that says so: created only if absent, once all is
 * written and read back. `parts`: what becomes one object each, as far as that gets no larger than 256 MB, and what is
 * left where it lies. Returns null where another process was quicker: its generation stands. Throws E_PACK_CORRUPT where a member
 * is not as it was written: then nothing has changed.
 */
export async function writeGeneration(
  parts: readonly (readonly TakenPack[] | PlacedPack)[],
  { dropped, ...options }: GenerationOptions & { readonly dropped: number },
): Promise<PackGeneration | null> {
  const { store, chain, start, end, standing, attempt, nowMs } = options;
  const number = (standing?.generation ?? 0) + 1;
  const written: string[] = [];
  const packs: PlacedPack[] = [];
  const giveUp = async (): Promise<void> => {
    for (const key of written) await store.delete(key);
  };
  try {
    for (const part of parts) {
      if (!isTaken(part)) {
        packs.push(part);
        continue;
      }
      for (const together of upTo(part, MOST_BYTES)) {
        const key = keys.writtenPack(chain, { start, generation: number, attempt, file: written.length });
        written.push(key);
        packs.push(await writeTogether(store, key, together));
      }
    }
  } catch (error) {
    await giveUp();
    throw error;
  }
  const generation: PackGeneration = {
    schemaVersion: 1,
    ...chain,
    start,
    end,
    generation: number,
    createdMs: nowMs(),
    packs: packs.sort((a, b) => a.from - b.from),
    dropped,
  };
  const key = keys.packGeneration(chain, start, number);
  if ((await store.putIfAbsent(key, encodeGeneration(generation))) === "created") return generation;
  // Where an answer was lost, what stands there names the same objects.
  const found = decodeGeneration(await store.get(key), chain, start, number);
  if (written.length > 0 && found.packs.some((pack) => pack.key === written[0])) return found;
  await giveUp();
  return null;
}

function isTaken(part: readonly TakenPack[] | PlacedPack): part is readonly TakenPack[] {
  return Array.isArray(part);
}

/** In order, each group's members no larger than `most`, unless one pack's are. */
function upTo(taken: readonly TakenPack[], most: number): TakenPack[][] {
  const groups: TakenPack[][] = [];
  let bytes = 0;
  for (const one of taken) {
    const size = takenBytes(one);
    const last = groups.at(-1);
    if (last !== undefined && bytes + size <= most) {
      last.push(one);
      bytes += size;
    } else {
      groups.push([one]);
      bytes = size;
    }
  }
  return groups;
}

export function takenBytes({ index, members }: TakenPack): number {
  const numbers = members ?? Array.from({ length: index.count }, (_, at) => at);
  return numbers.reduce((sum, at) => sum + index.sizeOf(at), 0);
}

/** One object of what several have; an image that two of them have is in it once. */
async function writeTogether(store: Store, key: string, taken: readonly TakenPack[]): Promise<PlacedPack> {
  const known = new Set<string>();
  const chosen = taken.map(({ index, members, placed }) => {
    const wanted = new Set<number>();
    for (const at of members ?? index.inOrder()) {
      const digest = index.digestOf(at).toString("hex");
      if (!known.has(digest)) wanted.add(at);
      known.add(digest);
    }
    return { key: placed.key, index, wanted };
  });
  const all = chosen.flatMap(({ index, wanted }) =>
    index
      .inOrder()
      .flatMap((at): PackMember[] =>
        wanted.has(at) ? [{ digest: index.digestOf(at), sizeBytes: index.sizeOf(at) }] : [],
      ),
  );
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    yield PackIndex.of(all).bytes;
    for (const { key: from, index, wanted } of chosen)
      for await (const { bytes } of packMembers(store, from, index, (at) => wanted.has(at))) yield bytes;
  };
  const { sizeBytes } = await store.putStream(key, chunks());
  await readBack(store, key, all.length);
  return { key, from: taken[0]!.placed.from, to: taken.at(-1)!.placed.to, sizeBytes, members: all.length };
}

/** Throws E_STORE_CORRUPT where a pack does not read as it was written. */
async function readBack(store: Store, key: string, members: number): Promise<void> {
  const index = await goneAsNull(readPackIndex(store, key));
  let read = 0;
  if (index !== null) for await (const { sizeBytes } of packMembers(store, key, index)) read += sizeBytes >= 0 ? 1 : 0;
  if (read === members) return;
  throw new SluiceError(
    "E_STORE_CORRUPT",
    `Expected ${counted(members, "kept image")} in ${key} as it was just written, found ${read}. Nothing names it and every pack is as it was. ` +
      "Check the disk or the object store, then run `sluice compact` again.",
    { key },
  );
}
