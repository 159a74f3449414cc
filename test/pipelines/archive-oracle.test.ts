import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import { tableFromIPC } from "apache-arrow";
import { parquetWriteFile } from "hyparquet-writer";
import { openStore } from "../../pipelines/open/workspace.js";
import { NOTHING_ALLOWED } from "../../schemas/allowance.js";
import { readIndex } from "../../pipelines/versions/index-reader.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { writePictures } from "../fixtures/pictures.js";
import { collect } from "../fixtures/publishing.js";
import { runIngest, testConfig } from "../fixtures/run-ingest.js";

interface ArchivedScore {
  readonly sha256: string;
  readonly class: number;
  readonly place: number;
  readonly key: number;
}

interface ArchivedRow {
  readonly digest: Uint8Array;
  readonly classes: Iterable<number>;
  readonly keys: Iterable<number>;
}

/** The archive's files as any Arrow reader sees them: one row a (record, listed class), `place` from 0 by rank. */
async function archivedScores(folder: string): Promise<ArchivedScore[]> {
  const rows: ArchivedScore[] = [];
  for (const name of await readdir(folder, { recursive: true })) {
    if (!name.endsWith(".arrow")) continue;
    const table = tableFromIPC(await readFile(join(folder, name)));
    for (const row of table as Iterable<{ toJSON(): unknown }>) {
      const { digest, classes, keys } = row.toJSON() as ArchivedRow;
      const sha256 = Buffer.from(digest).toString("hex");
      const list = [...classes];
      [...keys].forEach((key, place) => rows.push({ sha256, class: list[place]!, place, key }));
    }
  }
  return rows;
}

test("DuckDB, reading the archived scores, computes the rows that the version has", async () => {
  const root = await mkdtemp(join(tmpdir(), "sluice-oracle-"));
  const database = await DuckDBInstance.create();
  const connection = await database.connect();
  try {
    const pictures = join(root, "pictures");
    const teacher = join(root, "teacher");
    await writeSmallTeacher(teacher, "onnx", { classes: 6, output: "logits", seed: 4 });
    await writePictures(pictures, { images: 120, duplicates: 11, broken: 3 }, 8);
    for (const { k, p } of [
      { k: 1, p: 1 },
      { k: 9, p: 2 },
      { k: 500, p: 6 },
    ]) {
      const one = {
        data: join(root, `data-${k}`),
        pictures,
        teacher,
        config: { datasets: [{ name: "d", select: { k, p }, reserve: 0 }], partitions: 2 },
      };
      const { manifest } = (await runIngest({ ...one, options: { allow: { ...NOTHING_ALLOWED, starving: true } } }))
        .published[0]!;
      const store = await openStore(testConfig(one));
      const found = (await collect(readIndex(store, manifest))).map((row) => ({
        class: row.class,
        rank: row.rank,
        sha256: row.sha256,
        key: row.key,
      }));
      const scores = await archivedScores(join(one.data, "store", "scores"));
      assert.equal(scores.length, 131 * 6);
      const file = join(root, `scores-${k}.parquet`);
      parquetWriteFile({
        filename: file,
        columnData: [
          { name: "sha256", data: scores.map((row) => row.sha256), type: "STRING" },
          { name: "class", data: scores.map((row) => row.class), type: "INT32" },
          { name: "place", data: scores.map((row) => row.place), type: "INT32" },
          { name: "key", data: scores.map((row) => row.key), type: "DOUBLE" },
        ],
      });
      const result = await connection.runAndReadAll(`
        with images as (select class, sha256, max(key) as key from '${file}' where place < ${p} group by all)
        select class, row_number() over (partition by class order by key desc, sha256) as rank, sha256, key
        from images qualify rank <= ${k} order by class, rank`);
      const expected = result.getRowObjectsJS().map((row) => ({ ...row, rank: Number(row.rank) }));
      assert.ok(expected.length > 0);
      assert.deepEqual(found, expected);
      await store.close();
    }
  } finally {
    connection.closeSync();
    database.closeSync();
    await rm(root, { recursive: true, force: true });
  }
});
