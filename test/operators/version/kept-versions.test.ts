import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { leavingVersions } from "../../../operators/version/kept-versions.js";
import { keepRule, keepText } from "../../../schemas/keep-rule.js";

const DAY_MS = 86_400_000;

test("a version stays where any part of the rule holds of it, or something names it", () => {
  const version = fc.record({ number: fc.integer({ min: 1, max: 50 }), createdMs: fc.integer({ min: 0, max: 1000 }) });
  fc.assert(
    fc.property(
      fc.uniqueArray(version, { selector: ({ number }) => number }),
      fc.integer({ min: 1, max: 10 }),
      fc.option(fc.integer({ min: 1, max: 1000 }), { nil: undefined }),
      fc.array(fc.integer({ min: 1, max: 50 })),
      (versions, last, youngerThanMs, names) => {
        const named = new Set(names);
        const gone = leavingVersions(versions, { last, youngerThanMs }, { named, nowMs: 1000 });
        for (const { number, createdMs } of versions) {
          const newer = versions.filter((one) => one.number > number).length;
          const isYoung = youngerThanMs !== undefined && 1000 - createdMs < youngerThanMs;
          assert.equal(gone.includes(number), !(newer < last || isYoung || named.has(number)), `version ${number}`);
        }
        assert.deepEqual(
          gone,
          [...gone].sort((a, b) => a - b),
        );
      },
    ),
  );
});

test("a rule is what a person types, and reads back as it was", () => {
  const rule = keepRule("last 10, tagged, younger than 30 days");
  assert.deepEqual(rule, { last: 10, youngerThanMs: 30 * DAY_MS });
  assert.equal(keepText(rule), "last 10, tagged, younger than 30 days");
  assert.deepEqual(keepRule("Younger than 2 weeks and tagged"), { last: 1, youngerThanMs: 14 * DAY_MS });
  assert.deepEqual(keepRule("tagged"), { last: 1 });
  assert.equal(keepText(keepRule("younger than 36 hours")!), "last 1, tagged, younger than 36 hours");
  assert.equal(keepRule("all"), null);
  for (const text of ["", "last 0", "last ten", "last 3, last 4", "all, tagged", "older than 3 days", "younger than 3"])
    assert.throws(() => keepRule(text), { code: "E_USAGE" }, text);
});
