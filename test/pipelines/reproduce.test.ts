import assert from "node:assert/strict";
import { test } from "node:test";
import { openUri } from "../../connectors/source/open-uri.js";
import { writeSegment } from "../../operators/archive/segment-objects.js";
import { encodeManifest } from "../../operators/version/manifests.js";
import { rebuild } from "../../pipelines/rebuild.js";
import { reproduce } from "../../pipelines/reproduce.js";
import { ALL_ALLOWED } from "../../schemas/allowance.js";
import { datasetSchema, type Dataset } from "../../schemas/dataset.js";
import { isSluiceError } from "../../schemas/errors.js";
import { keys } from "../../schemas/keys.js";
import { decodeSegment, encodeSegment } from "../../schemas/segment.js";
import { archivedStream } from "../fixtures/archived-stream.js";
import { testSegment } from "../fixtures/archive.js";

function datasetOf(select: object, rest: object = {}): Dataset {
  return datasetSchema.parse({ name: "d", select, ...rest });
}

test("every kind of version comes out of the archive again, also after more has been archived", async () => {
  for (const [dataset, aim] of [
    [datasetOf({ k: 6, p: 2 }), {}],
    [datasetOf({ k: 40, p: 5, floor: 0.1 }), { untilMs: 1040 }],
    [datasetOf({ k: 9, p: 1 }, { window: { kind: "tumbling", sizeMs: 20 } }), { windowMs: 1020 }],
  ] as const) {
    const archive = await archivedStream();
    const { store, stream } = archive;
    const { manifest } = await rebuild({
      store,
      dataset,
      stream,
      opener: openUri(),
      sheets: null,
      allow: ALL_ALLOWED,
      ...aim,
    });
    await writeSegment(
      store,
      archive.chains[0]!,
      testSegment(archive.chains[0]!, 60, [{ image: 9999, logits: [9, 9, 9, 9, 9] }], 5),
    );
    const made = await reproduce({ store, dataset: "d", version: "latest" });
    assert.equal(made.id, manifest.id);
    assert.equal(made.same, true);
    assert.deepEqual(made.differences, []);
  }
});

test("an archive that was changed gives another id, and the first rows that differ are named", async () => {
  const archive = await archivedStream();
  const { store, stream } = archive;
  const options = {
    store,
    dataset: datasetOf({ k: 500, p: 5 }),
    stream,
    opener: openUri(),
    sheets: null,
    allow: ALL_ALLOWED,
  };
  const { manifest } = await rebuild(options);
  const key = keys.segment(archive.chains[1]!, 20);
  const segment = decodeSegment(await store.get(key), key);
  // The second best class of the first row loses a little.
  const altered = segment.batch.keys.slice();
  altered[1]! -= 1e-9;
  await store.put(key, encodeSegment({ ...segment, batch: { ...segment.batch, keys: altered } }));
  const { id, same, differences } = await reproduce({ store, dataset: "d", version: 1 });
  assert.equal(same, false);
  assert.notEqual(id, manifest.id);
  assert.equal(differences.length, 1);
  const { published, cut, class: index } = differences[0]!;
  assert.equal(index, segment.batch.classes[1]);
  assert.equal(published!.sha256, Buffer.from(segment.batch.digest.subarray(0, 32)).toString("hex"));
  assert.equal(cut!.sha256, published!.sha256);
  assert.equal(published!.key, segment.batch.keys[1]);
  assert.equal(cut!.key, altered[1]);
});

test("a manifest whose parameters were changed is found out although no row differs", async () => {
  const { store, stream } = await archivedStream();
  const options = {
    store,
    dataset: datasetOf({ k: 500, p: 5 }),
    stream,
    opener: openUri(),
    sheets: null,
    allow: ALL_ALLOWED,
  };
  const { manifest } = await rebuild(options);
  const forged = { ...manifest, select: { ...manifest.select, k: 501 } };
  await store.put(keys.manifest("d", 1), encodeManifest(forged));
  const { same, differences } = await reproduce({ store, dataset: "d", version: 1 });
  assert.equal(same, false);
  assert.deepEqual(differences, []);
});

test("an incomplete version leaves its gaps out again; a complete one does not", async () => {
  const archive = await archivedStream();
  const { store, stream } = archive;
  const options = {
    store,
    dataset: datasetOf({ k: 6, p: 2 }),
    stream,
    opener: openUri(),
    sheets: null,
    allow: ALL_ALLOWED,
  };
  await rebuild(options);
  await store.delete(keys.segment(archive.chains[0]!, 20));
  const { manifest } = await rebuild({ ...options, onGap: () => undefined });
  assert.equal(manifest.number, 2);
  assert.equal((await reproduce({ store, dataset: "d", version: 2 })).id, manifest.id);
  await assert.rejects(reproduce({ store, dataset: "d", version: 1 }), (error: unknown) =>
    isSluiceError(error, "E_CHAIN_GAP"),
  );
});
