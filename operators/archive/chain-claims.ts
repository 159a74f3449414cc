import { getIfThere, type Store } from "../../connectors/store/store.js";
import { decodeClaims, encodeClaims, type ChainClaim } from "../../schemas/chain-claim.js";
import { SluiceError } from "../../schemas/errors.js";
import { keys, type ChainName } from "../../schemas/keys.js";
import { without, type OffsetRange } from "./offset-ranges.js";

type Archive = Pick<ChainName, "teacher" | "stream">;

/**
 * A chain is laid down before anything of it is scored: claims are objects numbered from 0, each created only if absent by
 * somebody who has read all before it. So chains of one (teacher, stream) never share an offset, however many processes claim at once.
 */

/** All chains of (teacher, stream), in the order of (partition, origin). Throws E_SEGMENT_CORRUPT. */
export async function readClaims(store: Store, archive: Archive): Promise<ChainClaim[]> {
  return (await readAll(store, archive)).chains;
}

/**
 * Claims what `choose` wants beside the chains that there are; nothing where it wants nothing. Where somebody else claims
 * at the same time, it is asked again with what that one has. Returns all chains.
 */
export async function claimChains(
  store: Store,
  archive: Archive,
  choose: (claimed: readonly ChainClaim[]) => readonly ChainClaim[],
): Promise<ChainClaim[]> {
  for (;;) {
    const { chains, next } = await readAll(store, archive);
    const wanted = choose(chains);
    for (const one of wanted) assertFree(one, chains);
    if (wanted.length === 0) return chains;
    const outcome = await store.putIfAbsent(keys.claims(archive, next), encodeClaims(wanted));
    if (outcome === "created") return sorted([...chains, ...wanted]);
  }
}

/** The live chain has everything from its origin on. */
export function claimedRange({ origin, end }: ChainClaim): OffsetRange {
  return { start: origin, end: end ?? Number.POSITIVE_INFINITY };
}

/** Where a live chain must begin that is claimed now: behind every replay, and not before the log does. */
export function liveOrigin(claimed: readonly ChainClaim[], partition: number, logStart: number): number {
  const ends = claimed.filter((one) => one.partition === partition).map(({ end }) => end ?? 0);
  return Math.max(logStart, ...ends);
}

/** Offsets below a partition's live chain that no chain has, from `logStart` on; none where there is no live chain. */
export function unclaimed(claimed: readonly ChainClaim[], partition: number, logStart: number): OffsetRange[] {
  const own = claimed.filter((one) => one.partition === partition);
  const live = own.find(({ end }) => end === null);
  return live === undefined ? [] : without({ start: logStart, end: live.origin }, own.map(claimedRange));
}

async function readAll(store: Store, archive: Archive): Promise<{ chains: ChainClaim[]; next: number }> {
  const chains: ChainClaim[] = [];
  let next = 0;
  for (; ; next++) {
    const key = keys.claims(archive, next);
    const bytes = await getIfThere(store, key);
    if (bytes === null) break;
    chains.push(...decodeClaims(bytes, key));
  }
  return { chains: sorted(chains), next };
}

function assertFree(wanted: ChainClaim, claimed: readonly ChainClaim[]): void {
  const range = claimedRange(wanted);
  const taken = claimed.filter(({ partition }) => partition === wanted.partition).map(claimedRange);
  const [free] = without(range, taken);
  if (free?.start === range.start && free.end === range.end) return;
  throw new SluiceError(
    "E_INTERNAL",
    `A chain over [${range.start}, ${range.end}) of partition ${wanted.partition} was asked for, which others have a part of.`,
  );
}

function sorted(chains: ChainClaim[]): ChainClaim[] {
  return chains.sort((a, b) => a.partition - b.partition || a.origin - b.origin);
}
