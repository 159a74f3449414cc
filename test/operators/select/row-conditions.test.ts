import assert from "node:assert/strict";
import { test } from "node:test";
import { conditionWords, rowTest, type ConditionColumns } from "../../../operators/select/row-conditions.js";
import { canonicalJson } from "../../../schemas/canonical.js";
import { canonicalSelection, selectionFaults, selectionSchema } from "../../../schemas/dataset.js";
import { whereSchema } from "../../../schemas/where.js";

interface Facts {
  readonly licence?: string | null;
  readonly origin?: string | null;
  readonly notes?: string | null;
  readonly width?: number;
  readonly height?: number;
  readonly sizeBytes?: number;
  readonly timeMs?: number;
  readonly keys?: readonly number[];
  readonly logSumExp?: number;
}

function rowOf({ licence = null, origin = null, notes = null, ...facts }: Facts): ConditionColumns {
  const { width = 100, height = 80, sizeBytes = 5000, timeMs = 0 } = facts;
  return {
    licence: { get: () => licence },
    origin: { get: () => origin },
    notes: { get: () => notes },
    width: Uint32Array.of(width),
    height: Uint32Array.of(height),
    sizeBytes: Uint32Array.of(sizeBytes),
    eventTimeMs: BigInt64Array.of(BigInt(timeMs)),
    ...(facts.keys === undefined ? {} : { topM: facts.keys.length, keys: Float64Array.from(facts.keys) }),
    ...(facts.logSumExp === undefined ? {} : { logSumExp: Float64Array.of(facts.logSumExp) }),
  };
}

const leftOutBy = (where: object, facts: Facts) => rowTest(whereSchema.parse(where))!(rowOf(facts), 0);

test("each condition leaves out what it does not ask for, and says that it did; a row must meet all of them", () => {
  const cases: [where: object, facts: Facts, by: string | null][] = [
    [{ licence: ["CC0", "CC-BY"] }, { licence: "CC-BY" }, null],
    [{ licence: ["CC0", "CC-BY"] }, { licence: "CC-BY-4.0" }, "licence"],
    [{ licence: ["CC0", "CC-BY*"] }, { licence: "CC-BY-4.0" }, null],
    [{ licence: ["CC0"] }, { licence: null }, "licence"],
    [{ licence: ["CC0", null] }, { licence: null }, null],
    [{ licence: { not: ["proprietary"] } }, { licence: null }, null],
    [{ licence: { not: ["proprietary", null] } }, { licence: null }, "licence"],
    [{ origin: { not: ["crawl-*"] } }, { origin: "crawl-3" }, "origin"],
    [{ width: { least: 100 } }, { width: 100 }, null],
    [{ width: { least: 101 } }, { width: 100 }, "width"],
    [{ height: { most: 79 } }, {}, "height"],
    [{ sizeBytes: { least: 1, most: 5000 } }, {}, null],
    [{ eventTime: { from: "1970-01-01" } }, { timeMs: 0 }, null],
    [{ eventTime: { until: "1970-01-01T00:00:01Z" } }, { timeMs: 1000 }, "eventTime"],
    [{ eventTime: { from: 5, until: 9 } }, { timeMs: 4 }, "eventTime"],
    [{ notes: { none: ["cmyk"] } }, { notes: "wrong-extension,cmyk" }, "notes"],
    [{ notes: { none: ["cmyk"] } }, { notes: null }, null],
    [{ notes: { any: ["cmyk", "alpha"] } }, { notes: "alpha" }, null],
    [{ notes: { any: ["cmyk", "alpha"] } }, { notes: "depth" }, "notes"],
    [{ licence: ["CC0"], width: { least: 500 } }, { licence: "CC0" }, "width"],
    [{ confidence: { least: 0.5 } }, { keys: [Math.log(0.5), -3] }, null],
    [{ confidence: { least: 0.5 } }, { keys: [Math.log(0.49), -0.1] }, "confidence"],
    [{ confidence: { least: 0.5 } }, {}, null],
    [{ logSumExp: { least: 3 } }, { logSumExp: 3 }, null],
    [{ logSumExp: { least: 3 } }, { logSumExp: 2.9 }, "logSumExp"],
  ];
  for (const [where, facts, by] of cases) assert.equal(leftOutBy(where, facts), by, JSON.stringify({ where, facts }));
  assert.equal(rowTest(undefined), null);
  assert.equal(rowTest({}), null);
});

test("one meaning has one canonical form, whatever the order and spelling; a selection that asks for nothing has none", () => {
  const canonical = (where: object): string => canonicalJson(canonicalSelection(selectionSchema.parse({ where })));
  assert.equal(
    canonical({ licence: ["b", null, "a", "b"], eventTime: { from: "2026-01-02" } }),
    canonical({ eventTime: { from: Date.UTC(2026, 0, 2) }, licence: ["a", "b", null] }),
  );
  for (const nothing of [{}, { width: {} }, { notes: {} }, { eventTime: {} }])
    assert.equal(canonical(nothing), canonicalJson(canonicalSelection(selectionSchema.parse({}))));
  assert.notEqual(canonical({ licence: ["a"] }), canonical({ licence: { not: ["a"] } }));
});

test("conditions that nothing can meet, and columns that no row has, are refused with their place", () => {
  const faultsOf = (where: object) =>
    selectionFaults(selectionSchema.parse({ where })).map(({ path, message }) => `${path.join(".")}: ${message}`);
  assert.match(faultsOf({ width: { least: 9, most: 5 } }).join(), /^where\.width\.least: expected at most 5/);
  assert.match(
    faultsOf({ eventTime: { from: "2026-02-01", until: 0 } }).join(),
    /^where\.eventTime\.from: expected a time/,
  );
  assert.match(faultsOf({ notes: { any: ["cmyk"], none: ["cmyk"] } }).join(), /^where\.notes\.any: expected codes/);
  for (const where of [
    { colour: ["red"] },
    { licence: [] },
    { licence: { not: [""] } },
    { notes: { any: ["blurred"] } },
    { eventTime: { from: "2026-13-40" } },
    { eventTime: { from: "yesterday" } },
    { width: { least: -1 } },
  ])
    assert.equal(whereSchema.safeParse(where).success, false, JSON.stringify(where));
});

test("conditions in words name each of them", () => {
  const where = whereSchema.parse({
    licence: ["CC0", null],
    width: { least: 224, most: 4000 },
    notes: { none: ["cmyk"] },
  });
  assert.deepEqual(conditionWords(where), [
    "licence one of CC0, not known",
    "width in px at least 224 and at most 4000",
    "notes without cmyk",
  ]);
});
