import type { Store } from "../../connectors/store/store.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import { keys, scoredPackPlace, writtenPackName } from "../../schemas/keys.js";
import type { PackIndex, PlacedPack } from "../../schemas/pack.js";
import type { ChainReader, Gap } from "../archive/chain-reader.js";
import { ChainPacks } from "./chain-packs.js";
import { namedPacks } from "./merge-packs.js";
import { goneAsNull, readPackIndex } from "./pack-objects.js";
import { writeGeneration, type TakenPack } from "./write-generation.js";

export interface EraseMembersOptions {
  readonly store: Store;
  /** Of a chain that is compacted */
  readonly reader: ChainReader;
  /** 32 bytes each */
  readonly digests: readonly Uint8Array[];
  /** No scorer is at work: a pack behind the chain's end is one that nobody will name */
  readonly isAlone: boolean;
  /** A name for each writing, [a-z0-9]+, never the same twice */
  readonly attempt: () => string;
  readonly nowMs: () => number;
  /** Say what would go, and change nothing */
  readonly dryRun: boolean;
}

export interface ErasedMembers {
  /** Members that were in packs */
  readonly images: number;
  /** Objects that had one, and are deleted */
  readonly packs: number;
  /** Packs that a scorer may yet name, or a segment that cannot be read: they are left, and looked at the next time */
  readonly waiting: readonly string[];
}

/** Another process may write a generation meanwhile; then one more is written. */
const TRIES = 20;

/**
 * Takes images' bytes out of a chain's packs: each range whose packs have one gets a generation without it, and the objects that have
 * it are deleted at once, without waiting for readers. While an object has one it is not done, so that what was interrupted goes on by looking.
 */
export async function eraseMembers(options: EraseMembersOptions): Promise<ErasedMembers> {
  const { store, reader, digests, isAlone, dryRun } = options;
  const { chain } = reader;
  await reader.runs.refresh();
  const ranges: { readonly start: number; readonly end: number }[] = [];
  for (const start of reader.runs.startsOf(0))
    ranges.push({ start, end: await reader.runs.endOfRun({ start, level: 0 }) });
  const own = new Set<string>();
  /** What says which packs these segments have is damaged: each may be one's */
  const gaps: Gap[] = [];
  for await (const { start, pack } of reader.headers(chain.origin, undefined, (gap) => gaps.push(gap)))
    if (pack !== null) own.add(keys.scoredPack(chain, start, pack));
  const mayBeOwn = (start: number): boolean => gaps.some((gap) => gap.start <= start && start < gap.end);
  const affected = new Map<number, string[]>();
  const waiting: string[] = [];
  let images = 0;
  let packs = 0;
  for await (const { key } of store.list(keys.packs(chain))) {
    const start = scoredPackPlace(key)?.start ?? writtenPackName(key)?.start;
    if (start === undefined) continue;
    const found = membersOf(await goneAsNull(readPackIndex(store, key)), digests).size;
    if (found === 0) continue;
    const range = ranges.findLast((one) => one.start <= start && start < one.end);
    // A dry run does not compact, so that the tail is in no range.
    if (!dryRun && range === undefined && (!isAlone || own.has(key) || mayBeOwn(start))) {
      waiting.push(key);
      continue;
    }
    images += found;
    packs++;
    if (dryRun) continue;
    if (range === undefined) await store.delete(key);
    else affected.set(range.start, [...(affected.get(range.start) ?? []), key]);
  }
  for (const [start, objects] of affected) {
    await writeWithout(
      ranges.find((one) => one.start === start)!,
      options,
    );
    for (const key of objects) await store.delete(key);
  }
  return { images, packs, waiting };
}

/** Numbers of the members that are among these digests. */
function membersOf(index: PackIndex | null, digests: readonly Uint8Array[]): Set<number> {
  const found = new Set<number>();
  for (const digest of digests) {
    const at = index?.find(digest) ?? -1;
    if (at >= 0) found.add(at);
  }
  return found;
}

/** Writes a generation of a range without the images, also where only what lies under the standing one has them. */
async function writeWithout(
  { start, end }: { readonly start: number; readonly end: number },
  { store, reader, digests, attempt, nowMs }: EraseMembersOptions,
): Promise<void> {
  const { chain } = reader;
  for (let tries = 0; tries < TRIES; tries++) {
    const standing = await new ChainPacks(store, chain).standingFrom(start);
    try {
      const placed: PlacedPack[] = [...(standing?.packs ?? [])];
      if (standing === null) for await (const one of namedPacks(store, reader, start, end)) placed.push(one);
      let dropped = standing?.dropped ?? 0;
      const parts: (TakenPack[] | PlacedPack)[] = [];
      for (const one of placed) {
        const index = await readPackIndex(store, one.key);
        const gone = membersOf(index, digests);
        dropped += gone.size;
        const members = index.inOrder().filter((member) => !gone.has(member));
        if (gone.size === 0) parts.push(one);
        else if (members.length > 0) parts.push([{ placed: one, index, members }]);
      }
      const options = { store, chain, start, end, standing, attempt: attempt(), nowMs, dropped };
      if ((await writeGeneration(parts, options)) !== null) return;
    } catch (error) {
      // Another erasure deletes packs as soon as its own generation stands.
      if (!isSluiceError(error, "E_STORE_MISSING")) throw error;
      const now = await new ChainPacks(store, chain).standingFrom(start);
      if (now?.generation === standing?.generation) throw error;
    }
  }
  throw new SluiceError(
    "E_STORE_IO",
    `Expected to write where kept images of ${chain.stream}/${chain.partition} from offset ${start} on lie, found another process quicker ${TRIES} times. Run \`sluice erase\` again.`,
    { start, retryable: true },
  );
}
