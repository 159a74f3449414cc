import assert from "node:assert/strict";
import { test } from "node:test";
import { openUri } from "../../connectors/source/open-uri.js";
import { writeSegment } from "../../operators/archive/segment-objects.js";
import { readIndex } from "../../pipelines/versions/index-reader.js";
import { rebuild, type RebuildOptions } from "../../pipelines/rebuild.js";
import { ALL_ALLOWED } from "../../schemas/allowance.js";
import { datasetSchema } from "../../schemas/dataset.js";
import { isSluiceError } from "../../schemas/errors.js";
import { keys } from "../../schemas/keys.js";
import type { Manifest } from "../../schemas/manifest.js";
import { archivedStream, type ArchivedStream } from "../fixtures/archived-stream.js";
import { testSegment, type TestRecord } from "../fixtures/archive.js";
import { collect } from "../fixtures/publishing.js";

const dataset = datasetSchema.parse({ name: "d", select: { k: 8, p: 2 } });

function optionsOf({ store, stream }: ArchivedStream, change: Partial<RebuildOptions> = {}): RebuildOptions {
  return { store, dataset, stream, opener: openUri(), sheets: null, allow: ALL_ALLOWED, ...change };
}

async function placesOf({ store }: ArchivedStream, manifest: Manifest): Promise<[number, number][]> {
  return (await collect(readIndex(store, manifest))).map(({ partition, offset }) => [partition, offset]);
}

const more: TestRecord[] = Array.from({ length: 20 }, (_, index) => ({ image: 900 + index, logits: [40, 8, 7, 6, 5] }));

test("a rebuild at a version's frontier is that version, whatever has been archived since", async () => {
  const archive = await archivedStream();
  const first = (await rebuild(optionsOf(archive))).manifest;
  for (const [index, record] of more.entries()) {
    await writeSegment(archive.store, archive.chains[0]!, testSegment(archive.chains[0]!, 60 + index, [record], 5));
  }
  const second = (await rebuild(optionsOf(archive))).manifest;
  assert.notEqual(second.id, first.id);
  assert.equal(second.provenance.frontier[0]!.end, 80);
  const again = await rebuild(optionsOf(archive, { at: first }));
  assert.equal(again.manifest.id, first.id);
  assert.deepEqual(again.manifest.provenance.frontier, first.provenance.frontier);
  const smaller = datasetSchema.parse({ name: "e", select: { k: 2, p: 1 } });
  const whatif = await rebuild(optionsOf(archive, { at: first, dataset: smaller }));
  assert.deepEqual(whatif.manifest.totals.records, first.totals.records);
});

test("a rebuild until a time has the images from before it, and no checkpoint of the whole", async () => {
  const archive = await archivedStream();
  const { manifest } = await rebuild(optionsOf(archive, { untilMs: 1030 }));
  const places = await placesOf(archive, manifest);
  assert.ok(places.length > 0);
  assert.ok(places.every(([, offset]) => offset < 30));
  assert.deepEqual(manifest.span, { startMs: null, endMs: 1030 });
  assert.equal(manifest.totals.records.in, 105, "the frontier is the archive's end: a time is no frontier");
});

test("of a windowed dataset: the window asked for, the newest that had ended, or the newest", async () => {
  const archive = await archivedStream({ records: [60] });
  const window = { kind: "tumbling", sizeMs: 25 } as const;
  const windowed = datasetSchema.parse({ name: "w", select: { k: 30, p: 1 }, window });
  const spanOf = async (change: Partial<RebuildOptions>): Promise<unknown> => {
    const { manifest } = await rebuild(optionsOf(archive, { dataset: windowed, ...change }));
    const { startMs, endMs } = manifest.span;
    const places = await placesOf(archive, manifest);
    assert.ok(places.every(([, offset]) => 1000 + offset >= startMs! && 1000 + offset < endMs!));
    assert.ok(places.length > 0);
    return [startMs, endMs];
  };
  assert.deepEqual(await spanOf({ windowMs: 1000 }), [1000, 1025]);
  assert.deepEqual(await spanOf({ untilMs: 1051 }), [1025, 1050]);
  assert.deepEqual(await spanOf({}), [1050, 1075]);
  await assert.rejects(rebuild(optionsOf(archive, { dataset: windowed, windowMs: 1001 })), (error: unknown) => {
    assert.ok(isSluiceError(error, "E_USAGE"));
    assert.match(error.message, /one starts at 1970-01-01T00:00:01\.000Z/);
    return true;
  });
  const repeat = await rebuild(optionsOf(archive, { dataset: windowed, windowMs: 1000 }));
  assert.equal(repeat.outcome, "unchanged", "a window's newest version is repeated, not the dataset's");
});

test("a repeated segment is named with its offsets and in no version", async () => {
  const archive = await archivedStream();
  const { store } = archive;
  const chain = archive.chains[0]!;
  const whole = (await rebuild(optionsOf(archive))).manifest;
  await writeSegment(store, chain, testSegment(chain, 13, more.slice(0, 4), 5));
  const warnings: string[] = [];
  const { manifest } = await rebuild(optionsOf(archive, { onWarning: (message) => warnings.push(message) }));
  assert.equal(manifest.id, whole.id);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /\[13, 17\) inside \[10, 20\)/);
  assert.ok(warnings[0]!.includes(`delete ${keys.segment(chain, 13)}`));
  const other = datasetSchema.parse({ name: "all", select: { k: 60, p: 5 } });
  const all = (await rebuild(optionsOf(archive, { dataset: other }))).manifest;
  assert.ok((await placesOf(archive, all)).some(([partition, offset]) => partition === 0 && offset === 19));
});

test("gaps and corrupt segments stop a rebuild with their offsets; left out on request, the version says so", async () => {
  const archive = await archivedStream();
  const { store } = archive;
  const chain = archive.chains[1]!;
  await store.delete(keys.segment(chain, 20));
  await store.put(keys.segment(archive.chains[0]!, 30), Buffer.from("no segment"));
  await assert.rejects(rebuild(optionsOf(archive)), (error: unknown) => {
    assert.ok(isSluiceError(error, "E_SEGMENT_CORRUPT"));
    assert.match(error.message, /Offsets \[30, 40\) of images\/0/);
    assert.match(error.message, /Restore the object from a copy\..* `sluice rebuild --allow-gaps`/);
    return true;
  });
  const gaps = new Set<string>();
  const { manifest } = await rebuild(
    optionsOf(archive, {
      onGap: ({ chain: { partition }, start, end, error }) => gaps.add(`${partition}: ${start}-${end} ${error.code}`),
    }),
  );
  assert.deepEqual([...gaps], ["0: 30-40 E_SEGMENT_CORRUPT", "1: 20-30 E_CHAIN_GAP"]);
  assert.equal(manifest.provenance.incomplete, true);
  assert.equal(manifest.totals.records.in, 85);
});

test("an archive that has lost its last segments is found out by the versions made of it", async () => {
  const archive = await archivedStream({ records: [60] });
  await rebuild(optionsOf(archive));
  for (const start of [40, 50]) await archive.store.delete(keys.segment(archive.chains[0]!, start));
  await assert.rejects(rebuild(optionsOf(archive)), (error: unknown) => {
    assert.ok(isSluiceError(error, "E_CHAIN_GAP"));
    assert.deepEqual([error.context.start, error.context.end], [40, 60]);
    assert.match(error.message, /nothing behind it, although it was archived up to 60/);
    return true;
  });
  const gaps: unknown[] = [];
  const { manifest } = await rebuild(optionsOf(archive, { onGap: ({ start, end }) => gaps.push([start, end]) }));
  assert.deepEqual(gaps, [[40, 60]]);
  assert.equal(manifest.provenance.incomplete, true);
});

test("a version under another teacher is no frontier for this one", async () => {
  const archive = await archivedStream();
  const { manifest } = await rebuild(optionsOf(archive));
  const foreign = { ...manifest, teacher: { ...manifest.teacher, digest: "ab".repeat(32) } };
  await assert.rejects(rebuild(optionsOf(archive, { at: foreign })), (error: unknown) =>
    isSluiceError(error, "E_USAGE"),
  );
});
