import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import { exportQuarantine, type QuarantinedRecord } from "../../../pipelines/quarantine/quarantine-export.js";
import { isSluiceError } from "../../../schemas/errors.js";

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-quarantine-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function query(sql: string): Promise<Record<string, unknown>[]> {
  const connection = await (await DuckDBInstance.create()).connect();
  try {
    return (await connection.runAndReadAll(sql)).getRowObjectsJson();
  } finally {
    connection.closeSync();
  }
}

function record(index: number): QuarantinedRecord {
  return {
    stream: "images",
    partition: index % 5,
    offset: index === 0 ? 2 ** 53 - 1 : index * 3,
    code: index % 2 === 0 ? "E_IMAGE_TRUNCATED" : "E_IMAGE_UNREADABLE",
    reason: `ends at byte ${index}: "ünterwegs", it's 𝔘\nsaid`,
    sha256: index % 3 === 0 ? null : index.toString(16).padStart(64, "0"),
    uri: `file:///wild/${index}.jpg`,
    eventTimeMs: 1_700_000_000_000 + index,
    retryOf: index % 4 === 0 ? null : index,
  };
}

async function* records(count: number): AsyncGenerator<QuarantinedRecord> {
  for (let index = 0; index < count; index++) yield record(index);
}

// 10,000 rows are more than one row group and more than one page.
for (const count of [0, 1, 3, 10_000]) {
  test(`${count} records read in DuckDB as they were`, async (t) => {
    const path = join(await temporaryFolder(t), "quarantine.parquet");
    assert.equal(await exportQuarantine(records(count), path), count);
    const rows = await query(
      `SELECT stream, partition, "offset", code, reason, sha256, uri, epoch_ms(event_time) AS time, retry_of FROM '${path}'`,
    );
    assert.equal(rows.length, count);
    for (const [index, row] of rows.entries()) {
      const { eventTimeMs, offset, retryOf, ...rest } = record(index);
      assert.deepEqual(row, {
        ...rest,
        offset: String(offset),
        time: String(eventTimeMs),
        retry_of: retryOf === null ? null : String(retryOf),
      });
    }
  });
}

test("columns without a single value read as nulls", async (t) => {
  const path = join(await temporaryFolder(t), "quarantine.parquet");
  const one = { ...record(1), sha256: null, retryOf: null };
  await exportQuarantine(
    (async function* () {
      yield one;
    })(),
    path,
  );
  assert.deepEqual(await query(`SELECT sha256, retry_of FROM '${path}'`), [{ sha256: null, retry_of: null }]);
});

test("records that fail in the middle leave the file that was there", async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, "quarantine.parquet");
  await writeFile(path, "old");
  const failing = async function* (): AsyncGenerator<QuarantinedRecord> {
    yield record(0);
    throw new Error("the archive is away");
  };
  await assert.rejects(exportQuarantine(failing(), path), /the archive is away/);
  assert.equal(await readFile(path, "utf8"), "old");
  assert.deepEqual(await readdir(folder), ["quarantine.parquet"]);
});

test("a place that cannot be written is one clear error", async (t) => {
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, "taken"));
  for (const path of [join(folder, "no/such/folder/q.parquet"), join(folder, "taken")]) {
    await assert.rejects(exportQuarantine(records(3), path), (error) => isSluiceError(error, "E_STORE_IO"));
  }
  assert.deepEqual(await readdir(folder), ["taken"]);
});
