import type { Store } from "../../connectors/store/store.js";
import { isSluiceError, orNull, type SluiceError } from "../../schemas/errors.js";
import { keys, scoredPackPlace } from "../../schemas/keys.js";
import type { PackGeneration, PackIndex, PlacedPack } from "../../schemas/pack.js";
import type { ChainReader } from "../archive/chain-reader.js";
import { ChainPacks } from "./chain-packs.js";
import { namedPacks } from "./merge-packs.js";
import { goneAsNull, readPackIndex } from "./pack-objects.js";
import { garbageUnder } from "./sweep-packs.js";
import { writeGeneration, type TakenPack } from "./write-generation.js";

/** A pack is written anew when less of it is needed. */
const LIVE_SHARE = 0.5;

export interface CollectPacksOptions {
  readonly store: Store;
  readonly reader: ChainReader;
  /** Whether somebody needs an image; as of a moment after the pins were looked at. `digest`: 32 bytes */
  readonly isNeeded: (digest: Uint8Array) => boolean;
  /** Whether an image was recorded as erased; by default none was. It is counted where it lies still: nobody needs it */
  readonly isErased?: (digest: Uint8Array) => boolean;
  /** What generations that were created before have dropped is deleted: a grace before now, and no pin is older. ms */
  readonly untilMs: number;
  readonly dryRun: boolean;
  /** A name for each writing, [a-z0-9]+, never the same twice */
  readonly attempt: () => string;
  readonly nowMs: () => number;
  readonly onStep?: () => void;
  /** Is told of what cannot be read: it stays as it is */
  readonly onRefused: (error: SluiceError) => void;
}

export interface CollectedPacks {
  /** Images that nobody needs, left out of packs that were written anew; their old objects go a grace later */
  images: number;
  imageBytes: number;
  /** Images left out before that somebody needs again */
  restored: number;
  /** Objects deleted */
  deleted: number;
  deletedBytes: number;
  /** Packs whose segment never came to be, among those */
  orphans: number;
  /** Images that nobody needs in packs of which most is needed, or that no run covers yet */
  left: number;
  /** Images that were recorded as erased, in packs still: an erasure did not come to its end */
  erased: number;
}

/**
 * Takes images that nobody needs out of a chain's packs: those of which less than half is needed are written anew without them, in a
 * generation of their own. What they were in is deleted a grace later, when nobody reads it any more and what was dropped is still not
 * needed; what is needed again by then comes back.
 */
export async function collectPacks(options: CollectPacksOptions): Promise<CollectedPacks> {
  const { store, reader, onStep } = options;
  const { chain, runs } = reader;
  const done: CollectedPacks = {
    images: 0,
    imageBytes: 0,
    restored: 0,
    deleted: 0,
    deletedBytes: 0,
    orphans: 0,
    left: 0,
    erased: 0,
  };
  await runs.refresh();
  const packs = new ChainPacks(store, chain);
  for (const start of runs.startsOf(0)) {
    onStep?.();
    try {
      const end = await runs.endOfRun({ start, level: 0 });
      const standing = await packs.standingFrom(start);
      const isSwept = standing === null || (await sweepDropped(standing, packs, options, done));
      if (isSwept) await thinOut(start, end, standing, options, done);
    } catch (error) {
      if (!isSluiceError(error, "E_PACK_CORRUPT") && !isSluiceError(error, "E_SEGMENT_CORRUPT")) throw error;
      options.onRefused(error);
    }
  }
  await sweepOrphans(packs, options, done);
  if (options.isErased !== undefined) done.erased = await erasedIn(packs, store, options.isErased);
  return done;
}

/** Writes the packs of one run anew without what nobody needs. */
async function thinOut(
  start: number,
  end: number,
  standing: PackGeneration | null,
  { store, reader, isNeeded, dryRun, attempt, nowMs }: CollectPacksOptions,
  done: CollectedPacks,
): Promise<void> {
  const parts: (TakenPack[] | PlacedPack)[] = [];
  let dropped = standing?.dropped ?? 0;
  let anew = false;
  const placed = standing === null ? await allOf(namedPacks(store, reader, start, end)) : standing.packs;
  for (const pack of placed) {
    const index = await goneAsNull(readPackIndex(store, pack.key));
    if (index === null) {
      // Damage is another's to tell of; what says where it was stays.
      parts.push(pack);
      continue;
    }
    const { live, liveBytes, allBytes } = shareOf(index, isNeeded);
    const dead = index.count - live.length;
    if (dead === 0 || liveBytes >= LIVE_SHARE * allBytes) {
      done.left += dead;
      parts.push(pack);
      continue;
    }
    anew = true;
    dropped += dead;
    done.images += dead;
    done.imageBytes += allBytes - liveBytes;
    if (live.length > 0) parts.push([{ placed: pack, index, members: live }]);
  }
  if (!anew || dryRun) return;
  const { chain } = reader;
  await writeGeneration(parts, { store, chain, start, end, standing, attempt: attempt(), nowMs, dropped });
}

/** Erased images that any object of a chain's packs has, what was dropped and not deleted yet among them. */
async function erasedIn(
  { chain }: ChainPacks,
  store: Store,
  isErased: (digest: Uint8Array) => boolean,
): Promise<number> {
  const found = new Set<string>();
  for await (const { key } of store.list(keys.packs(chain))) {
    if (!key.endsWith(".pack")) continue;
    const index = await goneAsNull(orNull(readPackIndex(store, key), "E_PACK_CORRUPT"));
    for (let at = 0; index !== null && at < index.count; at++)
      if (isErased(index.digestOf(at))) found.add(index.digestOf(at).toString("hex"));
  }
  return found.size;
}

interface Share {
  /** Numbers of the members that are needed */
  readonly live: number[];
  readonly liveBytes: number;
  readonly allBytes: number;
}

function shareOf(index: PackIndex, isNeeded: (digest: Uint8Array) => boolean): Share {
  const live: number[] = [];
  let [liveBytes, allBytes] = [0, 0];
  for (let at = 0; at < index.count; at++) {
    allBytes += index.sizeOf(at);
    if (!isNeeded(index.digestOf(at))) continue;
    live.push(at);
    liveBytes += index.sizeOf(at);
  }
  return { live, liveBytes, allBytes };
}

/**
 * Deletes what lies under a standing generation; where somebody needs an image again that it dropped, that comes back first, in
 * the next generation. Whether nothing is left to wait for: no other generation is begun before.
 */
async function sweepDropped(
  standing: PackGeneration,
  packs: ChainPacks,
  options: CollectPacksOptions,
  done: CollectedPacks,
): Promise<boolean> {
  const { store, untilMs, dryRun } = options;
  const { chain } = packs;
  const garbage = await allOf(garbageUnder(store, chain, [standing]));
  if (garbage.length === 0) return true;
  if (standing.createdMs >= untilMs) return standing.dropped === 0;
  if (standing.dropped > 0 && (await restore(standing, packs, garbage, options, done))) return false;
  for (const { key, sizeBytes } of garbage) {
    if (!dryRun) await store.delete(key);
    done.deleted++;
    done.deletedBytes += sizeBytes;
  }
  return true;
}

/** Puts images that are needed again back from what lies under a generation; whether there were any. */
async function restore(
  standing: PackGeneration,
  packs: ChainPacks,
  garbage: readonly { readonly key: string; readonly sizeBytes: number }[],
  { store, isNeeded, dryRun, attempt, nowMs }: CollectPacksOptions,
  done: CollectedPacks,
): Promise<boolean> {
  const { chain } = packs;
  const { start, end } = standing;
  const known = new Set<string>();
  for (const { key } of standing.packs) {
    const index = await goneAsNull(readPackIndex(store, key));
    if (index === null) continue;
    for (let at = 0; at < index.count; at++) known.add(index.digestOf(at).toString("hex"));
  }
  const back: TakenPack[] = [];
  for (const { key, sizeBytes } of garbage) {
    const index = await goneAsNull(readPackIndex(store, key));
    if (index === null) continue;
    const members: number[] = [];
    for (let at = 0; at < index.count; at++) {
      const digest = index.digestOf(at);
      const name = digest.toString("hex");
      if (known.has(name) || !isNeeded(digest)) continue;
      known.add(name);
      members.push(at);
    }
    if (members.length === 0) continue;
    back.push({ placed: { key, from: start, to: end, sizeBytes, members: index.count }, index, members });
  }
  if (back.length === 0) return false;
  done.restored += back.reduce((sum, { members }) => sum + (members?.length ?? 0), 0);
  if (dryRun) return true;
  // Over the whole range: which of its packs each belongs to need not be known then.
  const dropped = standing.dropped;
  const parts = [...standing.packs, back];
  await writeGeneration(parts, { store, chain, start, end, standing, attempt: attempt(), nowMs, dropped });
  return true;
}

/** Deletes packs of segments that never came to be: the chain has passed their starts without naming them. */
async function sweepOrphans(
  packs: ChainPacks,
  { store, reader, isNeeded, dryRun }: CollectPacksOptions,
  done: CollectedPacks,
): Promise<void> {
  const { chain } = packs;
  const named = new Map<number, string | null>();
  const headers = reader.headers(chain.origin);
  let end = chain.origin;
  for (;;) {
    const next = await headers.next();
    if (next.done === true) break;
    named.set(next.value.start, next.value.pack);
    end = next.value.end;
  }
  const runsEnd = await reader.runs.end();
  for await (const { key, sizeBytes } of store.list(keys.scoredPacks(chain))) {
    const place = scoredPackPlace(key);
    if (place === null || place.start >= end) continue;
    if (named.get(place.start) === place.attempt) {
      const index = place.start < runsEnd ? null : await goneAsNull(readPackIndex(store, key));
      if (index === null) continue;
      done.left += index.count - shareOf(index, isNeeded).live.length;
      continue;
    }
    if ((await packs.covering(place.start)) !== null) continue;
    if (!dryRun) await store.delete(key);
    done.orphans++;
    done.deleted++;
    done.deletedBytes += sizeBytes;
  }
}

async function allOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
