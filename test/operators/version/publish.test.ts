import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Cut } from "../../../schemas/chosen-rows.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { canonicalSelection } from "../../../schemas/dataset.js";
import { VersionIdHash } from "../../../schemas/manifest.js";
import { publish, versionId } from "../../../operators/version/publish.js";
import { listVersions, readIndex, readManifest, readSamples } from "../../../pipelines/versions/versions.js";
import { madeCut, manyClasses } from "../../fixtures/cuts.js";
import { collect, publishOptions } from "../../fixtures/publishing.js";

describe("publish", () => {
  const { classes, images } = manyClasses(6, (index) => [5, 3, 0, 5, 1, 4][index]!);
  const cut = (change: Parameters<typeof madeCut>[1] = {}): Cut => madeCut(classes, change);

  test("makes a version whose index and shards hold the cut's rows", async () => {
    const options = publishOptions(images);
    const { manifest, outcome } = await publish(cut(), options);
    assert.equal(outcome, "created");
    assert.equal(manifest.number, 1);
    assert.deepEqual(await readManifest(options.store, "wild", "latest"), manifest);

    const rows = await collect(readIndex(options.store, manifest));
    const expected = classes.flatMap((chosen) =>
      Array.from({ length: chosen.count }, (_, row) => ({
        class: chosen.class,
        label: `label ${chosen.class}`,
        rank: row + 1,
        sha256: Buffer.from(chosen.digest.subarray(row * 32, row * 32 + 32)).toString("hex"),
        key: chosen.keys[row]!,
        probability: Math.exp(chosen.keys[row]!),
        uri: chosen.uri[row]!,
        partition: 0,
        offset: chosen.offset[row]!,
        eventTimeMs: chosen.eventTimeMs[row]!,
        sizeBytes: 40,
        width: 28,
        height: 27,
        licence: chosen.licence[row],
        origin: null,
        notes: null,
        bytes: "shard",
        shard: "000000.tar",
        repeat: 0,
        by: "teacher",
      })),
    );
    assert.deepEqual(rows, expected);

    const samples = await collect(readSamples(options.store, manifest));
    const named = (row: { class: number; rank: number }): string => `${row.class}/${row.rank}`;
    assert.deepEqual(samples.map(named).sort(), expected.map(named).sort());
    for (const sample of samples) {
      assert.deepEqual(sample.bytes, images.get(sample.sha256)?.bytes);
      assert.equal(sample.format, "png");
    }
  });

  test("totals and classes add up, and the id is that of the rows", async () => {
    const { manifest } = await publish(cut(), publishOptions(images));
    assert.deepEqual(
      manifest.classes.map(({ class: index, count, starving, best }) => [index, count, starving, best]),
      [
        [0, 5, false, 1],
        [1, 3, true, 1],
        [2, 0, true, null],
        [3, 5, false, 1],
        [4, 1, true, 1],
        [5, 4, true, 1],
      ],
    );
    assert.equal(manifest.totals.rows, 18);
    assert.equal(manifest.totals.images, images.size);
    assert.ok(images.size < 18, "some image stands in two classes");
    assert.equal(manifest.totals.bytesAbsent, 0);
    const hash = new VersionIdHash({
      numbered: canonicalSelection(manifest.select),
      span: manifest.span,
      teacher: manifest.teacher.digest,
    });
    for (const chosen of classes) {
      for (let row = 0; row < chosen.count; row++) {
        hash.row(chosen.class, row + 1, chosen.digest.subarray(row * 32, row * 32 + 32), chosen.keys[row]!);
      }
    }
    assert.equal(manifest.id, hash.digest());
    assert.equal(await versionId(cut()), manifest.id);
  });

  test("an image that nothing kept is absent, counted and in no shard", async () => {
    const [gone] = images.keys();
    const some = new Map([...images].filter(([digest]) => digest !== gone));
    const options = publishOptions(some);
    const { manifest } = await publish(cut(), options);
    const absent = (await collect(readIndex(options.store, manifest))).filter((row) => row.bytes === "absent");
    assert.ok(absent.length > 0);
    assert.ok(absent.every((row) => row.sha256 === gone && row.shard === null));
    assert.equal(manifest.totals.bytesAbsent, absent.length);
    assert.equal((await collect(readSamples(options.store, manifest))).length, 18 - absent.length);
  });

  test("the same cut again is unchanged and leaves nothing behind", async () => {
    const first = publishOptions(images);
    const { manifest } = await publish(cut(), first);
    const before = [...first.store.objects.keys()];
    for (const groupRows of [1000, 3]) {
      const again = await publish(cut(), publishOptions(images, { store: first.store, groupRows }));
      assert.equal(again.outcome, "unchanged");
      assert.deepEqual(again.manifest, manifest);
      assert.deepEqual([...first.store.objects.keys()], before);
    }
    assert.equal((await collect(listVersions(first.store, "wild"))).length, 1);
  });

  test("a missing version names those that exist", async () => {
    const options = publishOptions(images);
    await assert.rejects(readManifest(options.store, "wild", "latest"), (error) =>
      isSluiceError(error, "E_VERSION_MISSING"),
    );
    await publish(cut(), options);
    await publish(cut({ k: 6 }), publishOptions(images, { store: options.store }));
    await assert.rejects(readManifest(options.store, "wild", 7), /version 7 .* it has versions 1, 2/);
  });
});
