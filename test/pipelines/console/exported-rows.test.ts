import assert from "node:assert/strict";
import { test } from "node:test";
import { tableFromIPC } from "apache-arrow";
import { exportedRows, ROW_FORMATS } from "../../../pipelines/console/exported-rows.js";
import type { IndexRow } from "../../../schemas/index-row.js";

const ROWS = 500;
const GROUPS = 40;

function rowOf(rank: number): IndexRow {
  const place = { uri: `file:///${rank}`, partition: 0, offset: rank, eventTimeMs: 1, sizeBytes: 9 };
  const facts = { width: 1, height: 1, licence: null, origin: null, notes: null, shard: null, repeat: 0 };
  const image = { sha256: "a".repeat(64), key: -0.5, probability: 0.6, bytes: "shard", by: "teacher" } as const;
  return { class: 0, label: "x", rank, ...image, ...place, ...facts };
}

for (const format of ROW_FORMATS) {
  test(`rows as ${format} are read no faster than they are taken, and no further than somebody takes them`, async () => {
    let read = 0;
    let closed = false;
    async function* groups(): AsyncGenerator<IndexRow[]> {
      try {
        for (; read < GROUPS; read++) {
          await Promise.resolve();
          yield Array.from({ length: ROWS }, (_, at) => rowOf(read * ROWS + at + 1));
        }
      } finally {
        closed = true;
      }
    }
    const chunks = exportedRows(groups(), format)[Symbol.asyncIterator]();
    for (let taken = 0; taken < 4; taken++) await chunks.next();
    // Whatever goes on behind it has time for it.
    for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
    assert.ok(read < 5, `${read} groups were read for 4 chunks`);
    await chunks.return?.(undefined);
    assert.equal(closed, true);
  });
}

test("rows as an Arrow stream are all there, in their order", async () => {
  async function* groups(): AsyncGenerator<IndexRow[]> {
    for (let group = 0; group < 3; group++) {
      await Promise.resolve();
      yield Array.from({ length: 5 }, (_, at) => rowOf(group * 5 + at + 1));
    }
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of exportedRows(groups(), "arrow")) chunks.push(chunk);
  const rows = tableFromIPC(Buffer.concat(chunks)).toArray() as { readonly rank: number }[];
  assert.deepEqual(
    rows.map(({ rank }) => rank),
    Array.from({ length: 15 }, (_, at) => at + 1),
  );
});
