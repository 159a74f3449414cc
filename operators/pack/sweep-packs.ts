import type { Store, StoredObject } from "../../connectors/store/store.js";
import { keys, scoredPackPlace, writtenPackName, type ChainName } from "../../schemas/keys.js";
import type { PackGeneration } from "../../schemas/pack.js";
import { ChainPacks } from "./chain-packs.js";

/** What a sweep of packs has deleted. */
export interface SweptPacks {
  readonly packs: number;
  readonly sizeBytes: number;
}

/**
 * Deletes what lies under generations that were created before `untilMs`, as `garbageUnder` says. Those that dropped
 * something are left to the collector, which looks once more whether anybody needs it. `last`: only so many, the newest.
 */
export async function sweepPacks(
  store: Store,
  chain: ChainName,
  untilMs: number,
  last = Number.POSITIVE_INFINITY,
): Promise<SweptPacks> {
  const packs = new ChainPacks(store, chain);
  const starts = await packs.starts();
  const standing: PackGeneration[] = [];
  for (const start of starts.slice(Math.max(0, starts.length - last))) {
    const one = await packs.standingFrom(start);
    if (one !== null && one.dropped === 0 && one.createdMs < untilMs) standing.push(one);
  }
  const swept = { packs: 0, sizeBytes: 0 };
  for await (const { key, sizeBytes } of garbageUnder(store, chain, standing)) {
    await store.delete(key);
    swept.packs++;
    swept.sizeBytes += sizeBytes;
  }
  return swept;
}

/**
 * Objects that lie under standing generations, ascending, and that none of them names: what scorers wrote, since the chain has
 * passed it, and what was written for generations up to the standing one. What is written for the next one may yet be named.
 */
export async function* garbageUnder(
  store: Store,
  chain: ChainName,
  standing: readonly PackGeneration[],
): AsyncGenerator<StoredObject, void, undefined> {
  const first = standing[0];
  if (first === undefined) return;
  const named = new Set(standing.flatMap(({ packs }) => packs.map(({ key }) => key)));
  const over = (start: number): PackGeneration | undefined =>
    standing.findLast((one) => one.start <= start && start < one.end);
  // Behind all that start before: a key of the first one's own start is greater than this.
  const after = keys.scoredPack(chain, first.start, "").slice(0, -".pack".length);
  for await (const object of store.list(keys.scoredPacks(chain), { after })) {
    const place = scoredPackPlace(object.key);
    if (place !== null && over(place.start) !== undefined && !named.has(object.key)) yield object;
  }
  for await (const object of store.list(keys.writtenPacks(chain))) {
    const name = writtenPackName(object.key);
    if (name === null || named.has(object.key)) continue;
    const decided = standing.find(({ start }) => start === name.start);
    if (decided !== undefined && name.generation <= decided.generation) yield object;
  }
}
