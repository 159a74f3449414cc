import assert from "node:assert/strict";
import { test } from "node:test";
import { currentFrontier } from "../../../operators/archive/archive-reader.js";
import { OtherPlaces, type SeenAt } from "../../../operators/archive/other-places.js";
import { cut } from "../../../operators/state/cut.js";
import { rowGroup } from "../../../operators/version/publish-plan.js";
import { datasetSchema } from "../../../schemas/dataset.js";
import { DIGEST_BYTES } from "../../../schemas/scored-batch.js";
import { archivedStream } from "../../fixtures/archived-stream.js";
import { allSegments, compactAt } from "../../fixtures/compacting.js";

/** An archive of runs and a tail, a group of its images, and where each was seen, newest first, by reading all. */
async function seen() {
  const archive = await archivedStream({ records: [300, 240], length: 10 });
  const { store, card, stream, teacher, chains } = archive;
  await compactAt(store, archive, 0, { beforeMs: 1200 });
  const dataset = datasetSchema.parse({ name: "d", select: { k: 100, p: 5 } });
  const frontier = await currentFrontier(store, { teacher, stream });
  const made = await cut({ store, dataset, card, stream, frontier, trigger: "test", checkpoints: false });
  const classes = [];
  for await (const rows of made.classes) classes.push(rows);
  const group = rowGroup(classes);
  const wanted = new Set<string>();
  for (const { digest, count } of group.classes)
    for (let row = 0; row < count; row++)
      wanted.add(Buffer.from(digest).toString("hex", row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES));
  const places = new Map<string, SeenAt[]>();
  for (const { batch } of await allSegments(store, chains))
    for (let row = 0; row < batch.count; row++) {
      const sha256 = Buffer.from(batch.digest).toString("hex", row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES);
      places.set(sha256, [{ uri: batch.uri.get(row), pack: null }, ...(places.get(sha256) ?? [])]);
    }
  return { archive, group, images: [...wanted], places };
}

test("gives every place of an image, whether few are missing or all are", async () => {
  const { archive, group, images, places } = await seen();
  assert.ok(images.length > 100);
  assert.ok(images.some((sha256) => places.get(sha256)!.length > 1));
  for (const missing of [images.slice(0, 5), images]) {
    const found = new OtherPlaces(archive.store, archive);
    found.expect(group);
    for (const sha256 of missing) {
      assert.deepEqual(await found.of(sha256, "own"), places.get(sha256));
      assert.deepEqual(await found.of(sha256, "all"), places.get(sha256));
    }
  }
});

test("looks a missing image up in the runs' indexes, and reads no row group that it is not in", async () => {
  const { archive, group, images, places } = await seen();
  const sha256 = images.find((one) => places.get(one)!.length === 1)!;
  const read = { bytes: 0 };
  const { store } = archive;
  const counting = {
    ...store,
    getRange: async (key: string, start: number, end: number) => {
      const bytes = await store.getRange(key, start, end);
      if (key.includes("/rows/")) read.bytes += bytes.length;
      return bytes;
    },
  };
  const bytesFor = async (missing: readonly string[]): Promise<number> => {
    read.bytes = 0;
    const found = new OtherPlaces(counting, archive);
    found.expect(group);
    for (const one of missing) await found.of(one, "own");
    return read.bytes;
  };
  const [one, all] = [await bytesFor([sha256]), await bytesFor(images)];
  assert.ok(one < all / 3, `${one} bytes for one image, ${all} for all`);
});
