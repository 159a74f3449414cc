import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openFilesystemStore } from "../../../connectors/store/filesystem/filesystem-store.js";
import type { Store } from "../../../connectors/store/store.js";
import { currentFrontier } from "../../../operators/archive/archive-reader.js";
import { cut, type CutOptions } from "../../../operators/state/cut.js";
import { versionId } from "../../../operators/version/publish.js";
import { parallelReader } from "../../../pipelines/flow/parallel-read.js";
import { datasetSchema } from "../../../schemas/dataset.js";
import { isSluiceError, SluiceError } from "../../../schemas/errors.js";
import { keys } from "../../../schemas/keys.js";
import { archivedStream, type ArchivedStream } from "../../fixtures/archived-stream.js";

let folder: string;
let store: Store;
let archive: ArchivedStream;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-parallel-"));
  store = await openFilesystemStore(folder);
  archive = await archivedStream({ records: [500, 333], length: 8 });
  for (const [key, bytes] of archive.store.objects) await store.put(key, bytes);
});

after(async () => {
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

async function made(change: Partial<CutOptions> = {}): Promise<{ id: string; segments: number; records: unknown }> {
  const { card, stream, teacher } = archive;
  let segments = 0;
  const result = await cut({
    store,
    dataset: datasetSchema.parse({ name: "d", select: { k: 30, p: 3 } }),
    card,
    stream,
    frontier: await currentFrontier(store, { teacher, stream }, { onGap: () => undefined }),
    trigger: "test",
    onSegment: () => segments++,
    ...change,
  });
  return { id: await versionId(result), segments, records: [result.records, result.engines, result.incomplete] };
}

test("threads give what one gives: id, records, every segment counted; whole or in part", async () => {
  for (const change of [
    {},
    { span: { startMs: 1100, endMs: 1250 } },
    { dataset: datasetSchema.parse({ name: "d", select: { k: 12, p: 2, overlap: "best" } }) },
  ] satisfies Partial<CutOptions>[]) {
    const alone = await made(change);
    const together = await made({ ...change, reader: parallelReader(store, folder, 3) });
    assert.deepEqual(together, alone);
  }
});

test("an error of the caller ends the threads and the cut", async () => {
  const reader = parallelReader(store, folder, 2);
  const onSegment = (): never => {
    throw new SluiceError("E_CANCELLED", "stopped");
  };
  await assert.rejects(made({ reader, onSegment }), (error: unknown) => isSluiceError(error, "E_CANCELLED"));
});

test("where the archive has a gap, threads leave it to the one that names it", async () => {
  const chain = archive.chains[0]!;
  const key = keys.segment(chain, 80);
  const bytes = await store.get(key);
  await store.delete(key);
  const reader = parallelReader(store, folder, 3);
  await assert.rejects(made({ reader }), (error: unknown) => {
    assert.ok(isSluiceError(error, "E_CHAIN_GAP"));
    assert.deepEqual([error.context.start, error.context.end], [80, 88]);
    return true;
  });
  const gaps: number[] = [];
  const onGap = ({ start }: { start: number }): void => void gaps.push(start);
  const together = await made({ reader, onGap });
  assert.deepEqual(gaps, [80]);
  assert.deepEqual(together.id, (await made({ onGap })).id);
  await store.put(key, bytes);
});
