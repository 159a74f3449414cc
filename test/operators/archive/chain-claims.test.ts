import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { archivedChains, liveChain, liveChains, openLiveChains } from "../../../operators/archive/chain.js";
import { claimChains, claimedRange, readClaims } from "../../../operators/archive/chain-claims.js";
import { without } from "../../../operators/archive/offset-ranges.js";
import type { ChainClaim } from "../../../schemas/chain-claim.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { keys } from "../../../schemas/keys.js";
import { openMemoryStore, type MemoryStore } from "../../fixtures/memory-store.js";

const ARCHIVE = { teacher: "ab".repeat(32), stream: "images" };

/** What is left of a range of partition 0. */
const fill =
  (start: number, end: number, partition = 0) =>
  (claimed: readonly ChainClaim[]): ChainClaim[] =>
    without({ start, end }, claimed.filter((one) => one.partition === partition).map(claimedRange)).map((left) => ({
      partition,
      origin: left.start,
      end: left.end,
    }));

const rangesOf = (claims: readonly ChainClaim[]) => claims.map(({ origin, end }) => [origin, end]);

test("planners and live scorers that claim at once never share an offset, and leave none of what they asked for", async () => {
  const asked = fc.array(fc.tuple(fc.nat(30), fc.integer({ min: 1, max: 20 }), fc.boolean()), {
    minLength: 2,
    maxLength: 6,
  });
  await fc.assert(
    fc.asyncProperty(asked, fc.scheduler(), async (ranges, scheduler) => {
      const store = slow(openMemoryStore(), scheduler);
      const all = Promise.all(
        ranges.map(([start, length, live]) =>
          live
            ? liveChain(store, { ...ARCHIVE, partition: 0 }, start).then(() => undefined)
            : claimChains(store, ARCHIVE, fill(start, start + length)).then(() => undefined),
        ),
      );
      await scheduler.waitFor(all);
      const claimed = await readClaims(openStill(store), ARCHIVE);
      assert.ok(claimed.filter(({ end }) => end === null).length <= 1);
      const owners = new Map<number, number>();
      for (const claim of claimed) {
        for (let offset = claim.origin; offset < (claim.end ?? 100); offset++)
          owners.set(offset, (owners.get(offset) ?? 0) + 1);
      }
      assert.ok([...owners.values()].every((count) => count === 1));
      for (const [start, length, live] of ranges) {
        if (live) continue;
        for (let offset = start; offset < start + length; offset++) assert.ok(owners.has(offset), `offset ${offset}`);
      }
    }),
    { numRuns: 60 },
  );
});

test("a live chain begins behind what replays have, a replay ends where the live chain begins", async () => {
  const store = openMemoryStore();
  await claimChains(store, ARCHIVE, fill(10, 20));
  await claimChains(store, ARCHIVE, fill(40, 60));
  const live = await openLiveChains(store, ARCHIVE, [5, 7]);
  assert.deepEqual(
    live.map(({ partition, origin }) => [partition, origin]),
    [
      [0, 60],
      [1, 7],
    ],
  );
  assert.deepEqual(await liveChains(store, ARCHIVE), live);
  assert.equal((await liveChain(store, { ...ARCHIVE, partition: 0 }, 1000)).origin, 60);
  const claimed = await claimChains(store, ARCHIVE, fill(0, 100));
  assert.deepEqual(rangesOf(claimed.filter(({ partition }) => partition === 0)), [
    [0, 10],
    [10, 20],
    [20, 40],
    [40, 60],
    [60, null],
  ]);
  assert.deepEqual(
    (await archivedChains(store, ARCHIVE)).map(({ partition, origin }) => `${partition}/${origin}`),
    ["0/0", "0/10", "0/20", "0/40", "0/60", "1/7"],
  );
});

test("a chain over what another has is refused, whichever process asks for it", async () => {
  const store = openMemoryStore();
  await claimChains(store, ARCHIVE, fill(10, 20));
  await assert.rejects(
    claimChains(store, ARCHIVE, () => [{ partition: 0, origin: 15, end: 25 }]),
    (error) => isSluiceError(error, "E_INTERNAL"),
  );
  assert.deepEqual(rangesOf(await readClaims(store, ARCHIVE)), [[10, 20]]);
});

test("claims that cannot be read are an error, not an archive without chains", async () => {
  const store = openMemoryStore();
  await store.put(keys.claims(ARCHIVE, 0), Buffer.from('{"chains":[]}'));
  await assert.rejects(readClaims(store, ARCHIVE), (error) => isSluiceError(error, "E_SEGMENT_CORRUPT"));
});

test("a claim with any bit flipped is an error, not another chain", async () => {
  const store = openMemoryStore();
  await claimChains(store, ARCHIVE, fill(10, 20));
  const key = keys.claims(ARCHIVE, 0);
  const bytes = await store.get(key);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Uint8Array.from(bytes);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    await store.put(key, flipped);
    await assert.rejects(
      readClaims(store, ARCHIVE),
      (error) => isSluiceError(error, "E_SEGMENT_CORRUPT"),
      `bit ${bit}`,
    );
  }
});

/** Reads and writes take effect in an order that the scheduler draws. */
function slow(store: MemoryStore, scheduler: fc.Scheduler): MemoryStore {
  return {
    ...store,
    get: async (key) => {
      await scheduler.schedule(Promise.resolve(), `get ${key}`);
      return store.get(key);
    },
    putIfAbsent: async (key, bytes) => {
      await scheduler.schedule(Promise.resolve(), `put ${key}`);
      return store.putIfAbsent(key, bytes);
    },
  };
}

/** The same objects, without waiting. */
function openStill({ objects }: MemoryStore): MemoryStore {
  const store = openMemoryStore();
  for (const [key, bytes] of objects) store.objects.set(key, bytes);
  return store;
}
