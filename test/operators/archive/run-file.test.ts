import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import { tableFromIPC } from "apache-arrow";
import fc from "fast-check";
import { parquetReadObjects } from "hyparquet";
import { recordBytes, rowChecksum, rowOf } from "../../../operators/archive/row-records.js";
import { readRow } from "../../../operators/archive/run-rows.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";
import { differenceOf } from "../../../operators/archive/run-writer.js";
import { FILE_START, RunFile } from "../../../operators/archive/run-file.js";
import { rowGroupBatch } from "../../../schemas/run-columns.js";
import type { RowGroupPlace } from "../../../schemas/run.js";
import { PDQ_BYTES } from "../../../schemas/pdq-hash.js";
import { DIGEST_BYTES, type ScoredBatch } from "../../../schemas/scored-batch.js";
import { encodeSegment, type Segment } from "../../../schemas/segment.js";
import { testSegment } from "../../fixtures/archive.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

const chain = { teacher: "ab".repeat(32), stream: "images", partition: 3, origin: 0 };

interface Shape {
  readonly rows: number;
  readonly topM: number;
  readonly classCount: number | null;
  readonly embeddingSize: number | null;
}

const text = fc.oneof(fc.constant(""), fc.string({ unit: "grapheme", maxLength: 12 }));
const bits32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const bits64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

/** Any bits in every number: NaN, -0 and the ends of each range. */
function batches({ rows, topM, classCount, embeddingSize }: Shape): fc.Arbitrary<ScoredBatch> {
  const many = <T>(one: fc.Arbitrary<T>, length = rows): fc.Arbitrary<T[]> =>
    fc.array(one, { minLength: length, maxLength: length });
  const words = (length: number): fc.Arbitrary<Uint32Array> => many(bits32, length).map((all) => Uint32Array.from(all));
  const wide = (length = rows): fc.Arbitrary<BigUint64Array> =>
    many(bits64, length).map((all) => BigUint64Array.from(all));
  const int64 = wide().map(({ buffer }) => new BigInt64Array(buffer));
  const float32 = (length: number): fc.Arbitrary<Float32Array> =>
    words(length).map(({ buffer }) => new Float32Array(buffer));
  const float64 = (length: number): fc.Arbitrary<Float64Array> =>
    wide(length).map(({ buffer }) => new Float64Array(buffer));
  const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });
  const column = (values: (string | null)[]) => ({ get: (row: number) => values[row] ?? null });
  return fc.record({
    count: fc.constant(rows),
    topM: fc.constant(topM),
    digest: bytes(rows * DIGEST_BYTES),
    partition: words(rows).map(({ buffer }) => new Int32Array(buffer)),
    offset: int64,
    eventTimeMs: int64,
    copied: bytes(rows),
    bytes: bytes(rows),
    pack: many(fc.option(text)).map(column),
    uri: many(text).map(column),
    sizeBytes: words(rows),
    width: words(rows),
    height: words(rows),
    pdq: bytes(rows * PDQ_BYTES),
    pdqQuality: bytes(rows),
    licence: many(fc.option(text)).map(column),
    origin: many(fc.option(text, { freq: 2 })).map(column),
    notes: many(fc.option(text)).map(column),
    retryOf: int64,
    classes: words(rows * topM).map(({ buffer }) => new Int32Array(buffer)),
    keys: float64(rows * topM),
    logits: float32(rows * topM),
    logSumExp: float64(rows),
    allLogits: classCount === null ? fc.constant(null) : float32(rows * classCount),
    embedding: embeddingSize === null ? fc.constant(null) : float32(rows * embeddingSize),
  });
}

const shapes = fc.record({
  rows: fc.integer({ min: 1, max: 20 }),
  topM: fc.integer({ min: 1, max: 5 }),
  classCount: fc.option(fc.integer({ min: 1, max: 9 })),
  embeddingSize: fc.option(fc.integer({ min: 1, max: 9 })),
});

function fileOf(batches: readonly ScoredBatch[]): { bytes: Buffer; places: RowGroupPlace[] } {
  const file = new RunFile(batches[0]!);
  const groups = batches.map((batch, at) => file.add(batch, at));
  const bytes = Buffer.concat([FILE_START, ...groups.map((group) => group.bytes), file.end({}).bytes]);
  return { bytes, places: groups.map(({ place }) => place) };
}

test("a row group gives the batch back bit for bit, wherever its bytes lie in memory", () => {
  fc.assert(
    fc.property(
      shapes.chain((shape) => fc.tuple(batches(shape), batches({ ...shape, rows: shape.rows + 3 }))),
      fc.integer({ min: 0, max: 9 }),
      ([first, second], shift) => {
        const { bytes, places } = fileOf([first, second]);
        for (const [index, batch] of [first, second].entries()) {
          const place = places[index]!;
          const memory = new Uint8Array(shift + place.end - place.start);
          memory.set(bytes.subarray(place.start, place.end), shift);
          assert.equal(differenceOf(rowGroupBatch(memory.subarray(shift), place), batch), null);
        }
      },
    ),
    { numRuns: 60 },
  );
});

test("equal rows give equal row groups, wherever they stand in a file", () => {
  fc.assert(
    fc.property(
      fc
        .constant({ rows: 5, topM: 2, classCount: 3, embeddingSize: null })
        .chain((shape) => fc.tuple(batches(shape), batches(shape))),
      ([first, second]) => {
        const alone = fileOf([second]).places[0]!;
        const behind = fileOf([first, second]).places[1]!;
        const { start, end } = alone.records;
        const records = { ...behind.records, start, end };
        assert.deepEqual({ ...behind, start: alone.start, end: alone.end, records }, alone);
      },
    ),
    { numRuns: 20 },
  );
});

test("a row is read by a range of its own as it lies in the batch, and any bit that is not as written is noticed", async () => {
  await fc.assert(
    fc.asyncProperty(shapes.chain(batches), fc.nat(), fc.nat(), async (batch, which, bit) => {
      const { bytes, places } = fileOf([batch]);
      const store = openMemoryStore();
      const placed = { key: "file", group: { ...places[0]!, file: 0, first: 0, segments: 1 } };
      const range = { stream: "images", partition: 3, start: 0, end: 1 };
      const row = which % batch.count;
      await store.put("file", bytes);
      const expected = rowOf(batch, row);
      const wanted = { row, digest: expected.digest };
      const found = await readRow(store, store, placed, wanted, range);
      assert(found !== null);
      assert.equal(rowChecksum(found.digest, found.scores), rowChecksum(expected.digest, expected.scores));
      assert.equal(found.scores.notes, expected.scores.notes);
      assert.deepEqual(Buffer.from(found.digest), Buffer.from(expected.digest));
      assert.equal(await readRow(store, store, placed, { row, digest: Buffer.alloc(DIGEST_BYTES) }, range), null);
      const byOffset = { offset: Number(batch.offset[row]), first: 0, rows: batch.count, from: row, span: batch.count };
      const same = await readRow(store, store, placed, byOffset, range);
      assert.deepEqual(same?.scores, found.scores);
      const { records, topM } = placed.group;
      const recordAt = records.start + recordBytes(placed.group) * row;
      const scored = 8 * records.keys + (4 + records.classBytes) * topM;
      // Log-sum-exp to PDQ, or keys, logits and classes
      const at = bit % (48 + scored);
      bytes[recordAt + (at < 48 ? 8 + at : 24 + at)]! ^= 1 << (bit & 7);
      await store.put("file", bytes);
      await assert.rejects(readRow(store, store, placed, wanted, range), (error) =>
        isSluiceError(error, "E_SEGMENT_CORRUPT"),
      );
    }),
    { numRuns: 40 },
  );
});

test("a place that reaches beyond the bytes, or a column too few, is refused", () => {
  const { bytes, places } = fileOf([testSegment(chain, 0, [{ image: 1, logits: [1, 2] }], 2).batch]);
  const place = places[0]!;
  const group = bytes.subarray(place.start, place.end);
  assert.throws(() => rowGroupBatch(group, { ...place, rows: 1000 }), /do not lie at byte/);
  const columns = Object.fromEntries(Object.entries(place.columns).filter(([name]) => name !== "keys"));
  assert.throws(() => rowGroupBatch(group, { ...place, columns }), /has a column "keys"/);
});

/** Segments as a scorer writes them, with nulls, refusals and letters of many bytes. */
function manySegments(allLogits: number | null, embedding: number | null = null): Segment[] {
  return [0, 30, 41].map((start, index) => {
    const records = Array.from({ length: [30, 11, 1][index]! }, (_, at) =>
      at % 7 === 5
        ? { refused: "no image" }
        : { image: start + at, logits: [Math.sin(start + at), at, -at / 3, 0.1 * start] },
    );
    const segment = testSegment(chain, start, records, 3, { allLogits, embedding });
    const { batch } = segment;
    batch.pdq.fill(255 - start);
    const origin = { get: (row: number) => (row % 3 === 0 ? null : `Übersee ${row} 🦊`) };
    return { ...segment, batch: { ...batch, origin } };
  });
}

interface ArrowRow {
  readonly digest: Uint8Array;
  readonly event_time: number;
  readonly offset: bigint;
  readonly pdq: Uint8Array;
  readonly pdq_quality: number;
  readonly uri: string;
  readonly licence: string | null;
  readonly origin: string | null;
  readonly notes: string | null;
  readonly copied: number;
  readonly size_bytes: number;
  readonly classes: Iterable<number>;
  readonly keys: Iterable<number>;
  readonly logits: Iterable<number>;
  readonly all_logits?: Iterable<number>;
  readonly embedding?: Iterable<number>;
  readonly log_sum_exp: number;
}

/** What any Arrow reader says of the segments. */
function arrowRows(segments: readonly Segment[]): unknown[] {
  return segments.flatMap((segment) =>
    [...(tableFromIPC(encodeSegment(segment)) as Iterable<{ toJSON(): unknown }>)].map((row) => {
      const one = row.toJSON() as ArrowRow;
      return {
        digest: Buffer.from(one.digest).toString("hex"),
        offset: one.offset,
        event_time: BigInt(one.event_time),
        pdq: Buffer.from(one.pdq).toString("hex"),
        pdq_quality: one.pdq_quality,
        uri: one.uri,
        licence: one.licence,
        origin: one.origin,
        notes: one.notes,
        copied: one.copied,
        size_bytes: one.size_bytes,
        log_sum_exp: one.log_sum_exp,
        classes: [...one.classes],
        keys: [...one.keys],
        logits: [...one.logits],
        all_logits: one.all_logits === undefined ? null : [...one.all_logits],
        embedding: one.embedding === undefined ? null : [...one.embedding],
      };
    }),
  );
}

for (const [allLogits, embedding] of [
  [null, null],
  [4, null],
  [null, 6],
  [4, 6],
] as const) {
  test(`DuckDB reads the rows that the Arrow segments have, ${allLogits ?? "no"} logits and ${embedding ?? "no"} embedding archived`, async (t) => {
    const folder = await temporaryFolder(t);
    const segments = manySegments(allLogits, embedding);
    const path = join(folder, "run.parquet");
    await writeFile(path, fileOf(segments.map(({ batch }) => batch)).bytes);
    const database = await DuckDBInstance.create();
    const connection = await database.connect();
    try {
      const all = allLogits === null ? "NULL" : "all_logits";
      const described = embedding === null ? "NULL" : "embedding";
      const reader = await connection.runAndReadAll(
        `SELECT lower(hex(digest)) AS digest, "offset", epoch_ms(event_time) AS event_time, lower(hex(pdq)) AS pdq, pdq_quality,
          uri, licence, origin, notes, copied, size_bytes, log_sum_exp, classes, keys, logits, ${all} AS all_logits, ${described} AS embedding
         FROM read_parquet('${path}', file_row_number = true) ORDER BY file_row_number`,
      );
      const rows = reader.getRowObjectsJS().map((row) => ({ ...row }));
      assert.deepEqual(rows, arrowRows(segments));
      const types = await connection.runAndReadAll(`DESCRIBE SELECT * FROM read_parquet('${path}')`);
      const named: Record<string, unknown> = Object.fromEntries(
        types.getRowObjectsJS().map((row) => [row["column_name"] as string, row["column_type"]]),
      );
      assert.deepEqual(
        [named["event_time"], named["copied"], named["width"], named["pdq"], named["pdq_quality"], named["classes"]],
        ["TIMESTAMP WITH TIME ZONE", "UTINYINT", "UINTEGER", "BLOB", "UTINYINT", "INTEGER[]"],
      );
      // The statistics let it skip row groups: they must not lie.
      const some = await connection.runAndReadAll(
        `SELECT count(*)::INT AS n FROM read_parquet('${path}') WHERE "offset" >= 30 AND event_time < make_timestamptz(1041000)`,
      );
      assert.equal(some.getRowObjectsJS()[0]!["n"], 10);
      const groups = await connection.runAndReadAll(
        `SELECT DISTINCT row_group_id, row_group_num_rows AS n FROM parquet_metadata('${path}') ORDER BY 1`,
      );
      assert.deepEqual(
        groups.getRowObjectsJS().map((row) => Number(row["n"])),
        segments.map(({ batch }) => batch.count),
      );
    } finally {
      connection.closeSync();
      database.closeSync();
    }
  });
}

test("hyparquet reads it", async () => {
  const segments = manySegments(null);
  const { bytes } = fileOf(segments.map(({ batch }) => batch));
  const file = Uint8Array.from(bytes).buffer;
  const rows = (await parquetReadObjects({ file, columns: ["uri", "origin", "classes"] })) as {
    uri: string;
    origin: string | null;
    classes: number[];
  }[];
  const expected = segments.flatMap(({ batch }) =>
    Array.from({ length: batch.count }, (_, row) => ({
      uri: batch.uri.get(row),
      origin: batch.origin.get(row),
      classes: [...batch.classes.subarray(row * batch.topM, (row + 1) * batch.topM)],
    })),
  );
  assert.deepEqual(
    rows.map(({ uri, origin, classes }) => ({ uri, origin, classes: [...classes] })),
    expected,
  );
});

const PROGRAM = `
import sys
import pyarrow.parquet as pq, polars as pl
path = sys.argv[1]
table = pq.read_table(path, page_checksum_verification=True)
frame = pl.read_parquet(path)
assert table.num_rows == len(frame)
assert table.column("classes").to_pylist() == frame["classes"].to_list()
assert table.column("uri").to_pylist() == frame["uri"].to_list()
assert table.column("origin").to_pylist() == frame["origin"].to_list()
assert table.column("pdq").to_pylist() == frame["pdq"].to_list()
print(table.num_rows, sum(map(sum, table.column("keys").to_pylist())), table.column("event_time").type)
`;

test("pyarrow, checking each page's checksum, and Polars read it", async (t) => {
  const cache = process.env.SLUICE_CACHE ?? join(homedir(), ".cache", "sluice-bench");
  const python = (existsSync(cache) ? readdirSync(cache) : [])
    .map((name) => join(cache, name, "bin", "python"))
    .find((path) => existsSync(path) && spawnSync(path, ["-c", "import pyarrow, polars"]).status === 0);
  if (python === undefined) {
    t.skip(`no Python with pyarrow and Polars in ${cache}: \`npm run bench -- topk --tiny\` installs one`);
    return;
  }
  const segments = manySegments(4);
  const path = join(await temporaryFolder(t), "run.parquet");
  await writeFile(path, fileOf(segments.map(({ batch }) => batch)).bytes);
  const { status, stdout, stderr } = spawnSync(python, ["-c", PROGRAM, path], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  const [rows, sum, type] = stdout.trim().split(" ");
  assert.equal(
    Number(rows),
    segments.reduce((all, { batch }) => all + batch.count, 0),
  );
  const keys = segments.flatMap(({ batch }) => [...batch.keys]);
  assert.ok(Math.abs(Number(sum) - keys.reduce((a, b) => a + b, 0)) < 1e-9 * keys.length);
  assert.equal(type, "timestamp[ms,");
});
