import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { inBatches } from "../../../../connectors/log/kafka/append.js";
import {
  CURSOR_HEADER,
  CursorScan,
  digestOf,
  markBatches,
  markOf,
  matchOrphans,
  withoutMark,
  type Orphan,
} from "../../../../connectors/log/kafka/cursor-records.js";
import { sizeOf } from "../../../../connectors/log/kafka/records.js";
import type { LogRecord, StoredRecord } from "../../../../schemas/image-record.js";
import { text } from "../../../conformance/log.js";

const PLACE = "0 images";

test("batches keep the order, fit the limit where they can, and are as few as that allows", () => {
  const record = fc.uint8Array({ maxLength: 60 }).map((value): LogRecord => ({ ...text(""), value }));
  fc.assert(
    fc.property(fc.array(record), fc.integer({ min: 1, max: 300 }), (records, maxBytes) => {
      const batches = inBatches(records, maxBytes);
      assert.deepEqual(batches.flat(), records);
      const sizes = batches.map((batch) => batch.reduce((sum, one) => sum + sizeOf(one), 0));
      sizes.forEach((size, i) => {
        assert.ok(batches[i]!.length === 1 || size <= maxBytes);
        if (i > 0) assert.ok(sizes[i - 1]! + sizeOf(batches[i]![0]!) > maxBytes, "the next record would have fitted");
      });
    }),
  );
});

interface Piece {
  /** Records in the append */
  readonly length: number;
  /** Records in each of its batches */
  readonly batch: number;
  /** Batches that arrive before the producer is killed; all of them: it lives on */
  readonly arrive: number;
}

/** One life of a producer: resumes from what the log says, appends piece after piece, and dies within one or at the end. */
function live(log: StoredRecord[], source: readonly LogRecord[], pieces: Iterator<Piece>): boolean {
  const scan = new CursorScan("c", null);
  scan.add(PLACE, log);
  let { append, orphans } = scan.state;
  let next = Number(scan.state.value ?? 0);
  while (next < source.length) {
    const { length, batch, arrive } = pieces.next().value as Piece;
    const { matched } = matchOrphans(orphans, source.slice(next, next + length));
    // Where all of a piece is there already, a note would store the cursor; here the piece is made longer instead.
    const end = matched.length < length ? next + length : next + orphans.length + 1;
    const records = source.slice(next, end);
    const rest = records.slice(matchOrphans(orphans, records).matched.length);
    const groups: LogRecord[][] = rest.length === 0 ? [] : [[]];
    for (const one of rest) {
      if (groups.at(-1)!.length === batch) groups.push([]);
      groups.at(-1)!.push(one);
    }
    const marked = markBatches(groups, {
      name: "c",
      owner: "o",
      append: append + 1,
      value: String(next + records.length),
    });
    for (const one of marked.slice(0, arrive).flat()) log.push({ ...one, offset: log.length });
    if (arrive < marked.length) return false;
    append++;
    next += records.length;
    orphans = [];
  }
  return true;
}

test("whatever the pieces, the batches and the kills, the log ends up with each record once", () => {
  const piece: fc.Arbitrary<Piece> = fc.record({
    length: fc.integer({ min: 1, max: 8 }),
    batch: fc.integer({ min: 1, max: 4 }),
    arrive: fc.nat(4),
  });
  function* endless(pieces: readonly Piece[]): Generator<Piece> {
    for (let round = 0; round < 5; round++) yield* pieces;
    for (;;) yield { length: 8, batch: 4, arrive: 9 };
  }
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 30 }), fc.array(piece), fc.boolean(), (total, pieces, alike) => {
      const source = Array.from({ length: total }, (_, i) => text(alike ? String(i % 2) : String(i)));
      const log: StoredRecord[] = [];
      for (const lives = endless(pieces); !live(log, source, lives););
      assert.deepEqual(
        log.map((one) => Buffer.from(one.value!).toString()),
        source.map((one) => Buffer.from(one.value!).toString()),
      );
    }),
    { numRuns: 300 },
  );
});

test("others' marks, and headers that are none, are passed over", () => {
  const scan = new CursorScan("mine", { owner: "o", append: 4, value: "four", places: [] });
  const [theirs] = markBatches([[text("a")]], { name: "theirs", owner: "x", append: 9, value: "nine" });
  const broken: LogRecord = { ...text("b"), headers: { [CURSOR_HEADER]: "{" } };
  const [old] = markBatches([[text("c")]], { name: "mine", owner: "o", append: 3, value: "three" });
  scan.add(
    PLACE,
    [...theirs!, broken, ...old!].map((record, offset) => ({ ...record, offset })),
  );
  assert.deepEqual(scan.state, { append: 4, value: "four", owner: null, first: null, orphans: [] });
});

test("a mark is on the last record of each batch, tells the cursor on the last, and comes off", () => {
  const records = ["a", "b", "c"].map((value) => ({ ...text(value), headers: { own: value } }));
  const marked = markBatches([records.slice(0, 2), records.slice(2)], { name: "n", owner: "o", append: 7, value: "v" });
  const stored = marked.flat().map((record, offset) => ({ ...record, offset }));
  assert.deepEqual(stored.map(markOf), [
    null,
    { name: "n", owner: "o", append: 7, records: 2 },
    { name: "n", owner: "o", append: 7, records: 1, value: "v" },
  ]);
  assert.deepEqual(
    stored.map(withoutMark),
    records.map((record, offset) => ({ ...record, offset })),
  );
});

test("orphans are matched by all of a record, and by the last of them that fit", () => {
  const orphansOf = (...values: string[]): Orphan[] =>
    values.map((value, offset) => ({ place: PLACE, offset, digest: digestOf(text(value)) }));
  const matchedOf = (orphans: Orphan[], ...values: string[]): [number, number] => {
    const { matched, left } = matchOrphans(orphans, values.map(text));
    return [matched.length, left.length];
  };
  assert.deepEqual(matchedOf(orphansOf("a", "b"), "a", "b", "c"), [2, 0]);
  assert.deepEqual(matchedOf(orphansOf("a", "b", "c"), "a"), [1, 2]);
  assert.deepEqual(matchedOf(orphansOf("x", "a", "b"), "a", "b", "c"), [2, 0]);
  assert.deepEqual(matchedOf(orphansOf("a", "x"), "a", "b"), [0, 0]);
  assert.deepEqual(matchedOf([], "a"), [0, 0]);
  assert.notEqual(digestOf(text("a")), digestOf({ ...text("a"), key: Buffer.from("a"), value: null }));
  assert.notEqual(digestOf(text("a")), digestOf({ ...text("a"), timestampMs: 1 }));
  assert.notEqual(digestOf(text("a")), digestOf({ ...text("a"), headers: { a: "b" } }));
});
