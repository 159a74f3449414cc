import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { tableFromIPC } from "apache-arrow";
import sharp from "sharp";
import { openFilesystemStore } from "../../connectors/store/filesystem/filesystem-store.js";
import { teacherDigest } from "../../schemas/model-card.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { writePictures } from "../fixtures/pictures.js";
import { runIngest } from "../fixtures/run-ingest.js";
import { smallNetEmbeddings } from "../fixtures/small-net.js";
import { temporaryFolder } from "../fixtures/temporary-folder.js";

interface ArchivedRow {
  readonly uri: string;
  readonly copied: number;
  readonly embedding?: Iterable<number>;
}

/** Rows of every segment, in the order of the chain, as any Arrow reader has them. */
async function archivedRows(data: string): Promise<ArchivedRow[]> {
  const store = await openFilesystemStore(join(data, "store"));
  try {
    const rows: ArchivedRow[] = [];
    for await (const { key } of store.list("scores/")) {
      if (!key.endsWith(".arrow")) continue;
      const table = tableFromIPC(await store.get(key)) as unknown as Iterable<{ toJSON(): ArchivedRow }>;
      for (const row of table) rows.push(row.toJSON());
    }
    return rows;
  } finally {
    await store.close();
  }
}

test("an embedding is archived as the net computes it, copied for repeats, and changes neither scores nor version", async (t) => {
  const folder = await temporaryFolder(t);
  const pictures = join(folder, "pictures");
  await writePictures(pictures, { images: 20, duplicates: 4 });
  const described = await writeSmallTeacher(join(folder, "described"), "onnx", { embedding: true });
  const plain = await writeSmallTeacher(join(folder, "plain"), "onnx");
  assert.equal(
    teacherDigest(described.card),
    teacherDigest({ ...described.card, output: { kind: "probabilities", name: "scores" } }),
    "an embedding changes no score",
  );
  const { size } = described.card.output.embedding!;

  const made = await runIngest({ data: join(folder, "data"), pictures, teacher: described.folder });
  const rows = await archivedRows(join(folder, "data"));
  assert.equal(rows.length, 24);
  assert.equal(rows.filter(({ copied }) => copied === 1).length, 4);
  const side = described.card.input.width;
  for (const { uri, embedding } of rows) {
    const found = [...(embedding ?? [])];
    assert.equal(found.length, size);
    assert.ok(
      found.every((value) => Number.isFinite(value) && value >= 0),
      uri,
    );
  }
  const again = await runIngest({ data: join(folder, "without"), pictures, teacher: plain.folder });
  const rowsOf = (result: typeof made) =>
    result.published[0]!.manifest.classes.map(({ label, count, best, worst }) => ({ label, count, best, worst }));
  assert.deepEqual(rowsOf(made), rowsOf(again));
  assert.ok((await archivedRows(join(folder, "without"))).every(({ embedding }) => embedding === undefined));

  // Pictures of the input's size are scored as they are.
  const exact = join(folder, "exact");
  await mkdir(exact);
  const pixels = new Map<string, Uint8Array>();
  for (let seed = 0; seed < 5; seed++) {
    const raw = Uint8Array.from({ length: side * side * 3 }, (_, at) => (at * (seed + 3) * 7919) % 256);
    const path = join(exact, `${seed}.png`);
    await sharp(raw, { raw: { width: side, height: side, channels: 3 } })
      .png()
      .toFile(path);
    pixels.set(path, raw);
  }
  await runIngest({ data: join(folder, "exact-data"), pictures: exact, teacher: described.folder });
  for (const { uri, embedding } of await archivedRows(join(folder, "exact-data"))) {
    const [expected] = smallNetEmbeddings({}, pixels.get(new URL(uri).pathname)!, 1);
    [...embedding!].forEach((value, at) => {
      assert.ok(Math.abs(value - expected![at]!) < 1e-4, `${uri}: ${value} at ${at}, expected ${expected![at]!}`);
    });
  }
});

test("archive.embedding: none leaves it out; what is copied from rows without one has NaN", async (t) => {
  const folder = await temporaryFolder(t);
  const pictures = join(folder, "pictures");
  await writePictures(pictures, { images: 3 });
  const { folder: teacher } = await writeSmallTeacher(join(folder, "teacher"), "onnx", { embedding: true });
  const data = join(folder, "data");
  const archive = { topM: 10, segmentRecords: 16, segmentDelayMs: 200 };
  await runIngest({ data, pictures, teacher, config: { archive: { ...archive, embedding: "none" } } });
  assert.ok((await archivedRows(data)).every(({ embedding }) => embedding === undefined));

  const more = join(folder, "more");
  await writePictures(more, { images: 3 });
  await runIngest({ data, pictures: more, teacher, config: { archive: { ...archive, embedding: "all" } } });
  const copied = (await archivedRows(data)).filter((row) => row.copied === 1);
  assert.equal(copied.length, 3);
  for (const { embedding } of copied) assert.ok([...embedding!].every(Number.isNaN));
});
