import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { sweepAttempts } from "../../../operators/version/attempt.js";
import { publish, versionId } from "../../../operators/version/publish.js";
import type { Cut } from "../../../schemas/chosen-rows.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { listVersions, verifyVersion } from "../../../pipelines/versions/versions.js";
import { madeCut, manyClasses } from "../../fixtures/cuts.js";
import { FAILURES, failingStore } from "../../fixtures/failing-store.js";
import { openMemoryStore, type MemoryStore } from "../../fixtures/memory-store.js";
import { collect, publishOptions, readingOf } from "../../fixtures/publishing.js";

const { classes, images } = manyClasses(4, (index) => [4, 0, 5, 3][index]!);
const small = { groupRows: 5, sheets: { width: 1, render: async () => new Uint8Array([1]) } };

const smallCut = (): Cut => madeCut(classes, { shards: { maxBytes: 8000 } });

/** Each version that exists is whole. */
async function wholeVersions(store: MemoryStore): Promise<number> {
  const versions = await collect(listVersions(store, "wild"));
  for (const { number } of versions) {
    const { findings } = await verifyVersion(store, "wild", number);
    assert.deepEqual(findings, [], `version ${number}`);
  }
  return versions.length;
}

/** Objects that no manifest names, claims of published attempts apart. */
async function leftovers(store: MemoryStore): Promise<string[]> {
  const named = new Set<string>();
  for (const { dataset, number, files } of await collect(listVersions(store, "wild"))) {
    named.add(`versions/${dataset}/${number}/manifest.json`);
    for (const { key } of files) {
      named.add(key);
      named.add(key.replace(/(versions\/wild\/data\/[^/]+\/).*/, "$1claim-1"));
    }
  }
  return [...store.objects.keys()].filter((key) => !named.has(key));
}

for (const failure of FAILURES) {
  describe(`a store that fails at one call (${failure})`, () => {
    test("leaves all of a version or nothing, and the next publication works", async () => {
      let failures = 0;
      for (let failAt = 0; ; failAt++) {
        const store = openMemoryStore();
        const failing = failingStore(store, failAt, failure);
        const outcome = await publish(smallCut(), { ...publishOptions(images, small), store: failing }).then(
          ({ outcome }) => outcome,
          (error: unknown) => {
            assert.ok(isSluiceError(error, "E_STORE_IO"), String(error));
            return "failed";
          },
        );
        if (failing.calls() <= failAt) {
          assert.equal(outcome, "created");
          break;
        }
        failures++;
        const versions = await wholeVersions(store);
        if (outcome === "created") assert.equal(versions, 1, `call ${failAt}`);

        const again = await publish(smallCut(), publishOptions(images, { ...small, store }));
        assert.equal(again.outcome, versions === 1 ? "unchanged" : "created", `call ${failAt}`);
        assert.equal(again.manifest.number, 1);
        assert.equal(again.manifest.id, await versionId(smallCut()));
        assert.equal(await wholeVersions(store), 1);

        await sweepAttempts(store, "wild");
        assert.deepEqual(await leftovers(store), [], `call ${failAt}`);
        assert.equal(await wholeVersions(store), 1, `call ${failAt}, swept`);
      }
      assert.ok(failures > 12, `only ${failures} calls`);
    });
  });
}

test("an image source that fails in the middle leaves nothing, not even files", async () => {
  for (let failAt = 0; failAt < 12; failAt++) {
    const options = publishOptions(images, small);
    let reads = 0;
    const read = readingOf(async (digest) => {
      if (reads++ === failAt) throw new Error("the source is away");
      return images.get(digest)?.bytes ?? null;
    });
    await assert.rejects(publish(smallCut(), { ...options, read }), /the source is away/);
    assert.deepEqual([...options.store.objects.keys()], []);
  }
});

test("a publication that is stopped leaves nothing, not even files", async () => {
  for (let stopAt = 0; stopAt < 12; stopAt++) {
    const options = publishOptions(images, small);
    const controller = new AbortController();
    let reads = 0;
    const read = readingOf(async (digest) => {
      if (reads++ === stopAt) controller.abort();
      return images.get(digest)?.bytes ?? null;
    });
    await assert.rejects(publish(smallCut(), { ...options, read, signal: controller.signal }), (error) =>
      isSluiceError(error, "E_CANCELLED"),
    );
    assert.deepEqual([...options.store.objects.keys()], []);
  }
});

test("a cut that breaks its contract is not published", async () => {
  const [first, second] = classes;
  const swapped = { ...first!, keys: first!.keys.toReversed() };
  for (const broken of [[second!, first!], [swapped], [first!, { ...classes[2]!, class: 2 }]]) {
    const options = publishOptions(images);
    const cut = madeCut(broken, { teacher: smallCut().teacher });
    await assert.rejects(publish(cut, options), (error) => isSluiceError(error, "E_INTERNAL"));
    assert.equal(options.store.objects.size, 0);
  }
  const fewer = madeCut(classes.slice(0, 2), { teacher: smallCut().teacher });
  await assert.rejects(publish(fewer, publishOptions(images)), /expected 4 classes, found 2/);
  await assert.rejects(publish(madeCut(classes, { k: 4 }), publishOptions(images)), /at most K = 4/);
});
