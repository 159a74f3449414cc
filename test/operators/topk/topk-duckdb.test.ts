import assert from "node:assert/strict";
import { test } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import { topk } from "../../../operators/topk/topk.js";
import { batchOf, rowsOf, type Best, type Seen } from "./topk-model.js";

/** What a state must hold, as DuckDB computes it from the candidates. */
const SELECT = `
  with seen as (
    select class, key, identity, place,
      row_number() over (partition by class, identity order by key desc, place) as occurrence
    from candidates where key >= $floor
  ), ranked as (
    select class, key, identity, place, row_number() over (partition by class order by key desc, identity) as rank
    from seen where occurrence = 1
  )
  select class, key, identity, place from ranked where rank <= $kept order by class, rank`;

const hex = (numbers: readonly number[], digits: number): string =>
  numbers.map((one) => one.toString(16).padStart(digits, "0")).join("");

/** mulberry32 */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below;
  };
}

function randomStream(random: (below: number) => number, classes: number, count: number): Seen[] {
  const images = 1 + random(count * 2);
  const precision = [1, 50, 1e6][Math.floor(random(3))]!;
  return Array.from({ length: count }, (_, i) => {
    const image = Math.floor(random(images));
    return {
      // Zipf-like: low classes are common
      class: Math.floor(classes ** random(1)) - 1,
      key: -Math.round(random(12) * precision) / precision,
      identity: [Math.imul(image, 0x9e3779b1) >>> 0, image, 0, image % 3],
      partition: Math.floor(random(4)),
      offset: 2 ** 33 + i,
    };
  });
}

test("DuckDB computes the same top-K over random configurations", async () => {
  const database = await DuckDBInstance.create(":memory:", { threads: "2" });
  const connection = await database.connect();
  try {
    for (let seed = 0; seed < 12; seed++) {
      const random = randomFrom(seed);
      const classes = 1 + Math.floor(random(40));
      const k = 1 + Math.floor(random(seed % 2 === 0 ? 300 : 5));
      const reserve = Math.floor(random(20));
      const floorKey = seed % 3 === 0 ? -random(12) : -Infinity;
      const stream = randomStream(random, classes, 20_000);

      await connection.run(
        "create or replace table candidates (class integer, key double, identity varchar, place varchar)",
      );
      const appender = await connection.createAppender("candidates");
      for (const one of stream) {
        appender.appendInteger(one.class);
        appender.appendDouble(one.key);
        appender.appendVarchar(hex(one.identity, 8));
        appender.appendVarchar(hex([one.partition, one.offset], 12));
        appender.endRow();
      }
      appender.closeSync();
      const result = await connection.runAndReadAll(SELECT, { floor: floorKey, kept: k + reserve });
      const expected = result.getRows().map((row) => row.join(" "));

      const operator = topk({ classes, k, reserve, floorKey });
      const out = { emit: () => assert.fail(), reject: () => assert.fail() };
      const [one, other] = [operator.restore(), operator.restore()];
      for (let start = 0; start < stream.length; start += 1000) {
        (start % 2000 === 0 ? one : other).onBatch(batchOf(stream.slice(start, start + 1000)), out);
      }
      const state = one.merge(other.snapshot());
      const found = Array.from({ length: classes }, (_, classIndex) =>
        rowsOf(state.rows(classIndex)).map((row: Best) =>
          [classIndex, row.key, hex(row.identity, 8), hex([row.partition, row.offset], 12)].join(" "),
        ),
      ).flat();
      assert.deepEqual(found, expected, `seed ${seed}`);
    }
  } finally {
    connection.closeSync();
    database.closeSync();
  }
});
