import type { Store } from "../../connectors/store/store.js";
import { isSluiceError, type SluiceError } from "../../schemas/errors.js";
import { keys } from "../../schemas/keys.js";
import type { PlacedPack } from "../../schemas/pack.js";
import type { ChainReader } from "../archive/chain-reader.js";
import { ChainPacks } from "./chain-packs.js";
import { goneAsNull, readPackIndex } from "./pack-objects.js";
import { writeGeneration, type TakenPack } from "./write-generation.js";

/** A pack that is as large stays where it is: an object more or less is no matter beside its bytes. */
const LARGE_BYTES = 32 * 1024 * 1024;

export interface MergePacksOptions {
  readonly store: Store;
  /** Reads the chain whose runs say which packs lie together */
  readonly reader: ChainReader;
  /** Only packs below runs of level 0 that begin at or behind this offset */
  readonly from: number;
  /** A name for each writing, [a-z0-9]+, never the same twice */
  readonly attempt: () => string;
  readonly nowMs: () => number;
  /** Is told of packs that cannot be read: they stay as they are */
  readonly onRefused: (error: SluiceError) => void;
}

export interface MergedPacks {
  /** Objects whose members lie in others now */
  readonly packs: number;
  readonly into: number;
  readonly sizeBytes: number;
}

/**
 * The packs of a run's segments -> a few large ones, where their generation says. Runs of level 0 say which lie together: their
 * boundaries never change. A generation that stands already is gone on from by `collect`, not here.
 */
export async function mergePacks(options: MergePacksOptions): Promise<MergedPacks> {
  const { reader, from, store, onRefused } = options;
  const packs = new ChainPacks(store, reader.chain);
  const known = new Set(await packs.starts());
  const merged = { packs: 0, into: 0, sizeBytes: 0 };
  for (const start of reader.runs.startsOf(0)) {
    if (start < from || known.has(start)) continue;
    try {
      const head = await reader.runs.headUnlessLost({ start, level: 0 });
      const done = head === null ? null : await mergeRange(start, head.end, options);
      if (done === null) continue;
      merged.packs += done.packs;
      merged.into += done.into;
      merged.sizeBytes += done.sizeBytes;
    } catch (error) {
      if (!isSluiceError(error, "E_PACK_CORRUPT") && !isSluiceError(error, "E_SEGMENT_CORRUPT")) throw error;
      onRefused(error);
    }
  }
  return merged;
}

async function mergeRange(start: number, end: number, options: MergePacksOptions): Promise<MergedPacks | null> {
  const { store, reader, attempt, nowMs } = options;
  const { chain } = reader;
  const parts: (TakenPack[] | PlacedPack)[] = [];
  let small = 0;
  for await (const placed of namedPacks(store, reader, start, end)) {
    if (placed.sizeBytes >= LARGE_BYTES) {
      parts.push(placed);
      continue;
    }
    small++;
    const taken: TakenPack = { placed, index: await readPackIndex(store, placed.key), members: null };
    const last = parts.at(-1);
    if (Array.isArray(last)) last.push(taken);
    else parts.push([taken]);
  }
  if (small < 2) return null;
  // What stands alone between large ones gains nothing by being copied.
  const worth = parts.map((part) => (Array.isArray(part) && part.length === 1 ? part[0]!.placed : part));
  if (!worth.some(Array.isArray)) return null;
  const made = await writeGeneration(worth, {
    store,
    chain,
    start,
    end,
    standing: null,
    attempt: attempt(),
    nowMs,
    dropped: 0,
  });
  if (made === null) return null;
  const anew = made.packs.filter(({ key }) => key.startsWith(keys.writtenPacks(chain)));
  return {
    packs: worth.reduce((sum, part) => sum + (Array.isArray(part) ? part.length : 0), 0),
    into: anew.length,
    sizeBytes: anew.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
}

/** The packs that segments of [start, end) name as their own and that are there, where no generation was written yet. */
export async function* namedPacks(
  store: Store,
  reader: ChainReader,
  start: number,
  end: number,
): AsyncGenerator<PlacedPack, void, undefined> {
  for await (const header of reader.headers(start, end)) {
    if (header.pack === null) continue;
    const key = keys.scoredPack(reader.chain, header.start, header.pack);
    const object = await store.head(key);
    if (object === null) continue;
    const index = await goneAsNull(readPackIndex(store, key));
    if (index === null) continue;
    const { sizeBytes } = object;
    yield { key, from: header.start, to: header.end, sizeBytes, members: index.count };
  }
}
