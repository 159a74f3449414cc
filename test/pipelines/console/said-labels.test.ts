import assert from "node:assert/strict";
import { test } from "node:test";
import { appendLabels, archiveLabels } from "../../../operators/archive/image-labels.js";
import { SaidLabels, saidOf } from "../../../pipelines/console/review/said-labels.js";
import type { ImageLabel } from "../../../schemas/image-label.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";

const stream = "images";
const labelOf = (image: number, verdict: "none" | "withdrawn" | "duplicate", timeMs: number): ImageLabel => {
  return { sha256: image.toString(16).padStart(64, "0"), verdict, timeMs, by: "anna" };
};

test("what is said is read once, verdict after verdict, in the order in which all of it is read", async () => {
  const memory = openMemoryStore();
  let reads = 0;
  const store = { ...memory, get: (key: string) => (reads++, memory.get(key)) };
  const said = new SaidLabels(store, stream, () => 0);
  const same = async (): Promise<void> => {
    assert.deepEqual(await said.all(), await saidOf(memory, stream));
  };
  for (let verdict = 0; verdict < 30; verdict++) {
    await appendLabels(memory, stream, [labelOf(verdict % 7, verdict % 2 === 0 ? "none" : "withdrawn", verdict)]);
    reads = 0;
    await said.all();
    assert.ok(reads <= 4, `${reads} objects were read for verdict ${verdict}`);
  }
  await same();
  // Another partition stands behind the first; what is said in the first then goes between.
  await archiveLabels(memory, { stream, partition: 1, start: 0, end: 1 }, [labelOf(1, "duplicate", 50)]);
  await same();
  await appendLabels(memory, stream, [labelOf(1, "none", 60)]);
  await same();
  const [one, other] = await Promise.all([said.all(), said.all()]);
  assert.equal(one, other);
});
