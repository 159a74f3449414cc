import assert from "node:assert/strict";
import fc from "fast-check";
import { test } from "node:test";
import { appendDataset } from "../../../operators/version/declarations.js";
import {
  declarationWatch,
  declare,
  dropDataset,
  readDeclarations,
  type Wanted,
} from "../../../pipelines/open/declare.js";
import type { Store } from "../../../connectors/store/store.js";
import { configSchema } from "../../../schemas/config.js";
import { streamSettingsOf } from "../../../schemas/declaration.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";

const SAYING = { by: "test", nowMs: 5 };

function wanted(k: number, name = "best"): Wanted {
  const config = configSchema.parse({ datasets: [{ name, select: { k, p: 1 } }] });
  return { settings: streamSettingsOf(config, null, []), datasets: config.datasets };
}

async function standing(store: Store): Promise<Record<string, unknown>> {
  const { datasets } = await readDeclarations(store, "images");
  return Object.fromEntries(datasets.map(({ name, revision, dataset }) => [name, [revision, dataset.select.k]]));
}

/** The codes that calls end with; null for those that succeed */
async function outcomes(calls: readonly Promise<void>[]): Promise<(string | null)[]> {
  const settled = await Promise.allSettled(calls);
  return settled.map((one) => {
    if (one.status === "fulfilled") return null;
    assert.ok(isSluiceError(one.reason), String(one.reason));
    return one.reason.code;
  });
}

test("of declarations made at once exactly one wins, whatever came before; who says the same is content", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 2, maxLength: 5 }),
      fc.boolean(),
      async (ks, isDeclared) => {
        const store = openMemoryStore();
        if (isDeclared) await declare(store, await readDeclarations(store, "images"), wanted(9), SAYING);
        const before = await readDeclarations(store, "images");
        const codes = await outcomes(ks.map((k) => declare(store, before, wanted(k), SAYING)));
        const [revision, k] = (await standing(store))["best"] as [number, number];
        assert.equal(revision, isDeclared ? 2 : 1);
        assert.deepEqual(
          codes,
          ks.map((asked) => (asked === k ? null : "E_DATASET_CONFLICT")),
        );
      },
    ),
    { numRuns: 40 },
  );
});

test("a change against what has changed since is refused, and what stands stays", async () => {
  const store = openMemoryStore();
  const nothing = await readDeclarations(store, "images");
  await declare(store, nothing, wanted(1), SAYING);
  const one = await readDeclarations(store, "images");
  await declare(store, one, wanted(2), SAYING);
  assert.deepEqual(await outcomes([declare(store, one, wanted(3), SAYING)]), ["E_DATASET_CONFLICT"]);
  assert.deepEqual(await outcomes([dropDataset(store, one, "best", SAYING)]), ["E_DATASET_CONFLICT"]);
  assert.deepEqual(await standing(store), { best: [2, 2] });
  // The same again is no revision.
  await declare(store, await readDeclarations(store, "images"), wanted(2), SAYING);
  assert.deepEqual(await standing(store), { best: [2, 2] });
});

test("a process that goes on by an old declaration is told before it publishes", async () => {
  const store = openMemoryStore();
  await declare(store, await readDeclarations(store, "images"), wanted(1), SAYING);
  const watch = await declarationWatch(store, "images");
  await declare(store, await readDeclarations(store, "images"), wanted(1, "other"), SAYING);
  await watch();
  await declare(store, await readDeclarations(store, "images"), wanted(2), SAYING);
  assert.deepEqual(await outcomes([watch()]), ["E_DATASET_CONFLICT"]);
  const after = await declarationWatch(store, "images");
  await dropDataset(store, await readDeclarations(store, "images"), "best", SAYING);
  assert.deepEqual(await outcomes([after()]), ["E_DATASET_CONFLICT"]);
});

test("a dropped dataset keeps its revisions, and comes back as the next one", async () => {
  const store = openMemoryStore();
  await declare(store, await readDeclarations(store, "images"), wanted(1), SAYING);
  await dropDataset(store, await readDeclarations(store, "images"), "best", SAYING);
  assert.deepEqual(await standing(store), {});
  await declare(store, await readDeclarations(store, "images"), wanted(4), SAYING);
  assert.deepEqual(await standing(store), { best: [3, 4] });
  assert.equal([...store.objects.keys()].filter((key) => key.startsWith("datasets/")).length, 3);
});

test("a damaged declaration is named, never passed over", async () => {
  const store = openMemoryStore();
  await declare(store, await readDeclarations(store, "images"), wanted(1), SAYING);
  const [key] = [...store.objects.keys()].filter((one) => one.startsWith("datasets/"));
  await store.put(key!, Buffer.from("{}"));
  await assert.rejects(readDeclarations(store, "images"), (error) => {
    assert.ok(isSluiceError(error, "E_STORE_CORRUPT"));
    assert.ok(error.message.includes(key!));
    return true;
  });
  assert.equal(await appendDataset(store, "best", 0, {} as never), "exists");
});
