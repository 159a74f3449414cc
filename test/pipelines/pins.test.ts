import assert from "node:assert/strict";
import { test } from "node:test";
import { openUri } from "../../connectors/source/open-uri.js";
import type { Store } from "../../connectors/store/store.js";
import { currentFrontier } from "../../operators/archive/archive-reader.js";
import { newestManifest } from "../../operators/version/manifests.js";
import { rebuild } from "../../pipelines/rebuild.js";
import { readChainTotals } from "../../pipelines/versions/chain-totals.js";
import { verifyArchive } from "../../pipelines/versions/verify-archive.js";
import { whatif } from "../../pipelines/whatif.js";
import { ALL_ALLOWED } from "../../schemas/allowance.js";
import { SluiceError } from "../../schemas/errors.js";
import { keys } from "../../schemas/keys.js";
import { archivedStream, type ArchivedStream } from "../fixtures/archived-stream.js";
import { compactAt, DATASET, NOW_MS } from "../fixtures/compacting.js";
import { collect } from "../fixtures/publishing.js";

const DAY_MS = 86_400_000;
const clock = { nowMs: () => NOW_MS - 1, newId: () => "one" };

/** What reads an archive for long, each on the store that it is given. */
const READERS: Readonly<Record<string, (archive: ArchivedStream, store: Store) => Promise<unknown>>> = {
  cut: ({ stream }, store) =>
    rebuild({ store, dataset: DATASET, stream, opener: openUri(), sheets: null, allow: ALL_ALLOWED, ...clock }),
  whatif: async ({ card, stream, teacher }, store) =>
    whatif({
      store,
      dataset: DATASET,
      card,
      stream,
      frontier: await currentFrontier(store, { teacher, stream }),
      span: { startMs: null, endMs: null },
      settings: { k: [3], p: [1], temperature: [] },
      maxStateBytes: 1e9,
      clock,
    }),
  "archive verify": async ({ stream, teacher }, store) => {
    const { damaged, rows } = await verifyArchive({ store, stream, teachers: [teacher], datasets: ["d"], clock });
    assert.deepEqual([damaged, rows], [[], 96]);
  },
  "versions verify --deep": async (_, store) => readChainTotals(store, (await newestManifest(store, "d"))!, clock),
};

/** The store, which calls `meanwhile` when the third segment is read. */
function interrupted(inner: Store, meanwhile: () => Promise<void>): Store {
  let reads = 0;
  return {
    ...inner,
    getInto: async (key, room, range) => {
      if (key.endsWith(".arrow") && ++reads === 3) await meanwhile();
      return inner.getInto!(key, room, range);
    },
  };
}

for (const [name, read] of Object.entries(READERS)) {
  test(`${name} leaves a pin: what is compacted meanwhile is swept after it, not under it`, async () => {
    const archive = await archivedStream();
    const { store } = archive;
    await READERS["cut"]!(archive, store);
    const swept: number[] = [];
    const sweep = async (day: number): Promise<void> => {
      swept.push((await compactAt(store, archive, day)).swept.segments);
    };
    const meanwhile = async (): Promise<void> => {
      await sweep(0);
      await sweep(0.2);
    };
    // A cut that has a checkpoint reads nothing.
    for await (const { key } of store.list("versions/")) if (name === "cut") await store.delete(key);
    await read(archive, interrupted(store, meanwhile));
    assert.deepEqual(await collect(store.list(keys.pins(archive))), []);
    await sweep(0.3);
    assert.deepEqual(swept, [0, 0, 11], name);
    // It reads the same from the runs.
    await read(archive, store);
  });
}

test("a reader of a store that nobody may write to reads without a pin, and one that fails to leave one says so", async () => {
  const archive = await archivedStream();
  for (const code of ["E_STORE_READONLY", "E_STORE_FULL"] as const) {
    const store: Store = {
      ...archive.store,
      put: () => Promise.reject(new SluiceError(code, "Expected to write, found that nobody may.")),
    };
    const reading = READERS["whatif"]!(archive, store);
    if (code === "E_STORE_READONLY") await reading;
    else await assert.rejects(reading, { code });
  }
});

test("a pin ends by itself after six hours", async () => {
  const archive = await archivedStream();
  const { store } = archive;
  await store.put(keys.pin(archive, "left"), Buffer.from("{}\n"));
  await compactAt(store, archive, 0);
  assert.equal((await compactAt(store, archive, 0.2)).swept.segments, 0, "one that cannot be read holds everything");
  await store.delete(keys.pin(archive, "left"));
  await READERS["whatif"]!(archive, {
    ...store,
    delete: () => Promise.resolve(),
  });
  assert.equal((await compactAt(store, archive, 0.2)).swept.segments, 0, `by ${NOW_MS + 0.2 * DAY_MS}`);
  assert.equal((await compactAt(store, archive, 0.3)).swept.segments, 11);
});
