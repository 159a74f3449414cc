import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { topk, type TopkParameters, type TopkState } from "../../../operators/topk/topk.js";
import type { Out } from "../../../operators/topk/out.js";
import { batchOf, rowsOf, sortEverything, type Seen } from "./topk-model.js";

const refuseNone: Out<never> = {
  emit: () => assert.fail("a top-K state emits nothing"),
  reject: (rows, _, reason) => assert.fail(`rejected ${rows.join()}: ${reason}`),
};

const CLASSES = 3;

/** Few identities and few keys, so that duplicates and ties abound; words and places from both ends of their range. */
const identity = fc.oneof(
  { weight: 5, arbitrary: fc.nat(12).map((n): Seen["identity"] => [0, 0, 0, n]) },
  { weight: 3, arbitrary: fc.nat(200).map((n): Seen["identity"] => [n * 0x1010101, n, 0xffffffff, 7]) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Seen["identity"]>(
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0x80000000, 0, 0, 0],
      [0x7fffffff, 0, 0, 0],
    ),
  },
);
const key = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: -4, max: 0 }) },
  { weight: 4, arbitrary: fc.double({ min: -30, max: 0, noNaN: true }) },
  { weight: 1, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }) },
  { weight: 1, arbitrary: fc.constantFrom(-0, 0, -5e-324, 5e-324, -Number.MAX_VALUE, Number.MAX_VALUE) },
);
const seen: fc.Arbitrary<Seen> = fc.record({
  class: fc.nat(CLASSES - 1),
  key,
  identity,
  partition: fc.constantFrom(0, 1, 0x8000, 0xffff),
  offset: fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 48 - 1),
});
const stream = fc.array(seen, { maxLength: 400, size: "max" });
const parameters: fc.Arbitrary<TopkParameters> = fc.record({
  classes: fc.constant(CLASSES),
  k: fc.oneof(
    fc.integer({ min: 1, max: 40 }),
    fc
      .array(fc.integer({ min: 1, max: 40 }), { minLength: CLASSES, maxLength: CLASSES })
      .map((k) => Int32Array.from(k)),
  ),
  reserve: fc.nat(5),
  floorKey: fc.option(fc.double({ min: -10, max: 0, noNaN: true }), { nil: undefined }),
});

const kept = ({ k, reserve }: TopkParameters, classIndex: number): number =>
  (typeof k === "number" ? k : k[classIndex]!) + reserve;

function feed(state: TopkState, rows: readonly Seen[], batch = rows.length || 1): TopkState {
  for (let start = 0; start < rows.length; start += batch) {
    state.onBatch(batchOf(rows.slice(start, start + batch)), refuseNone);
  }
  return state;
}

function assertExact(state: TopkState, rows: readonly Seen[], select: TopkParameters): void {
  for (let classIndex = 0; classIndex < CLASSES; classIndex++) {
    const most = kept(select, classIndex);
    const expected = sortEverything(rows, classIndex, most, select.floorKey);
    assert.deepEqual(rowsOf(state.rows(classIndex)), expected);
    assert.equal(state.counts()[classIndex], expected.length);
    const bound = expected.length === most ? expected.at(-1)!.key : (select.floorKey ?? -Infinity);
    assert.ok(state.thresholds[classIndex] === bound, `threshold ${state.thresholds[classIndex]!}, expected ${bound}`);
  }
}

/** Cuts a stream in up to four runs. */
const split = (rows: readonly Seen[], cuts: readonly number[]): Seen[][] => {
  const at = [0, ...cuts.map((cut) => cut % (rows.length + 1)).sort((a, b) => a - b), rows.length];
  return at.slice(1).map((end, i) => rows.slice(at[i], end));
};
const cuts = fc.array(fc.nat(400), { minLength: 3, maxLength: 3 });

test("a state has exactly the rows that sorting everything gives", () => {
  fc.assert(
    fc.property(parameters, stream, fc.integer({ min: 1, max: 100 }), (select, rows, batch) => {
      assertExact(feed(topk(select).restore(), rows, batch), rows, select);
    }),
    { numRuns: 500 },
  );
});

test("many more images than are kept: every cut is exact, and so is a limit", () => {
  fc.assert(
    fc.property(
      parameters,
      fc.integer(),
      fc.constantFrom("random", "rising", "falling", "equal"),
      (select, seed, shape) => {
        let state = seed;
        const next = () => (state = (Math.imul(state, 1664525) + 1013904223) | 0) >>> 0;
        const rows = Array.from({ length: 3000 }, (_, i): Seen => {
          const random = -(next() % 1000) / 97;
          return {
            class: next() % CLASSES,
            key: shape === "random" ? random : shape === "equal" ? -1 : shape === "rising" ? i - 3000 : -i,
            identity: [next() % 50, 0, next() % 40, 3],
            partition: next() % 3,
            offset: i,
          };
        });
        const fed = feed(topk(select).restore(), rows, 128);
        assertExact(fed, rows, select);
        assert.deepEqual(
          rowsOf(fed.rows(1, 2)),
          sortEverything(rows, 1, Math.min(2, kept(select, 1)), select.floorKey),
        );
      },
    ),
    { numRuns: 100 },
  );
});

test("one image seen again and again with rising keys evicts no other and raises no threshold", () => {
  const select = { classes: 1, k: 3, reserve: 1 };
  const state = topk(select).restore();
  const rows: Seen[] = [1, 2, 3].map((n) => ({
    class: 0,
    key: -100 - n,
    identity: [n, 0, 0, 0],
    partition: 0,
    offset: n,
  }));
  for (let i = 0; i < 10_000; i++) {
    rows.push({ class: 0, key: -50 + i / 1000, identity: [9, 9, 9, 9], partition: 0, offset: 10 + i });
  }
  feed(state, rows, 1000);
  assert.deepEqual(
    rowsOf(state.rows(0)).map((row) => row.identity[0]),
    [9, 1, 2, 3],
  );
  assert.equal(state.thresholds[0], -103);
});

test("thresholds are sound at any moment: an image strictly below is in no later state", () => {
  fc.assert(
    fc.property(parameters, stream, (select, rows) => {
      const pruned = topk(select).restore();
      const passed: Seen[] = [];
      for (const row of rows) {
        if (row.key < pruned.thresholds[row.class]!) continue;
        passed.push(row);
        feed(pruned, [row]);
      }
      assertExact(pruned, rows, select);
      assert.deepEqual(pruned.snapshot(), feed(topk(select).restore(), rows).snapshot());
    }),
  );
});

test("equal content has equal snapshots: order, batches, repeats and reads leave no trace", () => {
  fc.assert(
    fc.property(
      parameters,
      stream.chain((rows) => fc.tuple(fc.constant(rows), fc.shuffledSubarray(rows, { minLength: rows.length }))),
      fc.integer({ min: 1, max: 50 }),
      (select, [rows, shuffled], batch) => {
        const one = feed(topk(select).restore(), rows).snapshot();
        const other = topk(select).restore();
        for (const half of split(shuffled, [shuffled.length >> 1])) {
          feed(other, half, batch);
          other.rows(0);
          other.counts();
        }
        feed(other, shuffled.slice(0, 20), batch);
        assert.deepEqual(other.snapshot(), one);
      },
    ),
  );
});

test("a snapshot restored anywhere goes on as if nothing had happened", () => {
  fc.assert(
    fc.property(parameters, stream, cuts, fc.integer({ min: 1, max: 3000 }), (select, rows, at, chunk) => {
      const operator = topk(select);
      let state = operator.restore();
      for (const run of split(rows, at)) {
        feed(state, run, 17);
        const bytes = state.snapshot();
        const restoring = operator.restoring();
        for (let start = 0; start < bytes.length; start += chunk) restoring.push(bytes.subarray(start, start + chunk));
        state = restoring.end();
        assert.deepEqual(state.snapshot(), bytes);
        assert.deepEqual(operator.restore(bytes).snapshot(), bytes);
        assert.deepEqual(Buffer.concat([...state.snapshotChunks()]), Buffer.from(bytes));
      }
      assertExact(state, rows, select);
    }),
  );
});

test("merging is the union: associative, commutative, the same from states and from snapshots", () => {
  fc.assert(
    fc.property(parameters, stream, cuts, (select, rows, at) => {
      const operator = topk(select);
      const [a, b, c, d] = split(rows, at).map((run) => () => feed(operator.restore(), run, 13)) as [
        () => TopkState,
        () => TopkState,
        () => TopkState,
        () => TopkState,
      ];
      const left = a().merge(b()).merge(c()).merge(d());
      assertExact(left, rows, select);
      const expected = left.snapshot();
      const fed = d();
      assert.deepEqual(
        a()
          .merge(b().merge(c().merge(fed)))
          .snapshot(),
        expected,
      );
      assert.deepEqual(fed.snapshot(), d().snapshot(), "what is merged stays as it is");
      assert.deepEqual(d().merge(c()).merge(b().snapshot()).merge(a().snapshot()).snapshot(), expected);
      assert.deepEqual(left.merge(expected).merge(left.snapshot()).snapshot(), expected);
    }),
  );
});

test("keys that are not finite are rejected whatever the state, the rest of the batch is taken", () => {
  const rows = [NaN, -1, Infinity, -2, -Infinity].map((one, i): Seen => ({
    class: 0,
    key: one,
    identity: [i, 0, 0, 0],
    partition: 0,
    offset: i,
  }));
  const state = topk({ classes: 1, k: 1, reserve: 0 }).restore();
  for (let repeat = 0; repeat < 100; repeat++) {
    const rejected: number[] = [];
    state.onBatch(batchOf(rows), {
      emit: () => assert.fail(),
      reject: (found, code) => {
        assert.equal(code, "E_IMAGE_SCORES");
        rejected.push(...found);
      },
    });
    assert.deepEqual(rejected, [0, 2, 4]);
    assert.deepEqual(
      rowsOf(state.rows(0)).map((row) => row.key),
      [-1],
    );
  }
});

test("a snapshot with any bit changed, cut short, lengthened or of other parameters is refused", () => {
  const select = { classes: 2, k: 5, reserve: 1, floorKey: -8 };
  const rows = Array.from({ length: 9 }, (_, i): Seen => ({
    class: i % 2,
    key: -i,
    identity: [i, 1, 2, 3],
    partition: 1,
    offset: i,
  }));
  const bytes = feed(topk(select).restore(), rows).snapshot();
  const refused = (damaged: Uint8Array, by: TopkParameters = select) => {
    assert.throws(() => topk(by).restore(damaged), { code: "E_CHECKPOINT_CORRUPT" });
    assert.throws(() => topk(by).restore().merge(damaged), { code: "E_CHECKPOINT_CORRUPT" });
  };
  for (let i = 0; i < bytes.length; i++) {
    const damaged = bytes.slice();
    damaged[i]! ^= 1 << (i % 8);
    refused(damaged);
    if (i % 7 === 0) refused(bytes.slice(0, i));
  }
  refused(new Uint8Array(0));
  refused(Buffer.concat([bytes, new Uint8Array(1)]));
  refused(bytes, { ...select, k: 6 });
  refused(bytes, { ...select, k: Int32Array.of(5, 4) });
  refused(bytes, { ...select, reserve: 2 });
  refused(bytes, { ...select, classes: 3 });
  refused(bytes, { ...select, floorKey: -7 });
  assert.deepEqual(
    topk({ ...select, k: Int32Array.of(5, 5) })
      .restore(bytes)
      .snapshot(),
    bytes,
  );
});

test("parameters, classes and places out of range are refused", () => {
  const select = { classes: 2, k: 5, reserve: 1 };
  for (const wrong of [
    { k: 0 },
    { k: -1 },
    { k: 1.5 },
    { k: 2 ** 31 },
    { k: NaN },
    { k: Int32Array.of(1) },
    { k: Int32Array.of(1, 0) },
    { reserve: -1 },
    { reserve: 0.5 },
    { classes: 0 },
    { floorKey: NaN },
  ]) {
    assert.throws(() => topk({ ...select, ...wrong }), { code: "E_SELECTION" });
  }
  const one: Seen = { class: 0, key: -1, identity: [1, 2, 3, 4], partition: 0, offset: 0 };
  for (const wrong of [{ class: 2 }, { class: -1 }, { offset: 2 ** 48 }, { offset: -1 }]) {
    assert.throws(() => feed(topk(select).restore(), [{ ...one, ...wrong }]), { code: "E_INTERNAL" });
  }
  assert.throws(
    () =>
      topk(select)
        .restore()
        .merge(topk({ ...select, k: 6 }).restore()),
    { code: "E_SELECTION" },
  );
});
