import type { Store } from "../../connectors/store/store.js";
import type { ChainName } from "../../schemas/keys.js";
import { claimChains, liveOrigin, readClaims } from "./chain-claims.js";

/** Which chains an archive has. What is in them is `ChainReader`'s to read. */

/**
 * The live chain of (teacher, stream, partition). It begins where the log does the first time that anyone asks, or behind
 * what replays have; and there ever after.
 */
export async function liveChain(store: Store, place: Omit<ChainName, "origin">, logStart: number): Promise<ChainName> {
  const { partition } = place;
  const claimed = await claimChains(store, place, (before) =>
    before.some((one) => one.partition === partition && one.end === null)
      ? []
      : [{ partition, origin: liveOrigin(before, partition, logStart), end: null }],
  );
  return { ...place, origin: claimed.find((one) => one.partition === partition && one.end === null)!.origin };
}

/** The live chain of each partition of a log, claimed together where there are none; by partition. */
export async function openLiveChains(
  store: Store,
  place: Omit<ChainName, "partition" | "origin">,
  logStarts: readonly number[],
): Promise<ChainName[]> {
  const claimed = await claimChains(store, place, (before) => {
    const live = new Set(before.filter(({ end }) => end === null).map(({ partition }) => partition));
    return logStarts.flatMap((start, partition) =>
      live.has(partition) ? [] : [{ partition, origin: liveOrigin(before, partition, start), end: null }],
    );
  });
  return claimed
    .filter(({ partition, end }) => end === null && partition < logStarts.length)
    .map(({ partition, origin }) => ({ ...place, partition, origin }));
}

/** The live chains that the archive has of (teacher, stream), in the order of the partitions. */
export async function liveChains(store: Store, place: { teacher: string; stream: string }): Promise<ChainName[]> {
  const { teacher, stream } = place;
  return (await readClaims(store, place))
    .filter(({ end }) => end === null)
    .map(({ partition, origin }) => ({ teacher, stream, partition, origin }));
}

/** The live chains and those of replays, in the order of (partition, origin). No two of them share an offset. */
export async function archivedChains(store: Store, place: { teacher: string; stream: string }): Promise<ChainName[]> {
  const { teacher, stream } = place;
  return (await readClaims(store, place)).map(({ partition, origin }) => ({ teacher, stream, partition, origin }));
}
