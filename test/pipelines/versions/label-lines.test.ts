import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLabelLines } from "../../../pipelines/versions/label-lines.js";

const DIGEST = "ab".repeat(32);
const saying = { timeMs: 5, by: "anna" };
const line = (rest: object = {}): string => JSON.stringify({ sha256: DIGEST, verdict: "not", class: "cat", ...rest });
const label = { sha256: DIGEST, verdict: "not", class: "cat", ...saying };

test("labels are read as people's tools write them", () => {
  const ways: Record<string, string> = {
    lines: `${line()}\n${line()}\n`,
    "a mark, CRLF, empty lines": `\uFEFF${line()}\r\n\r\n${line()}\r\n`,
    "an array": `\uFEFF [${line()},\n${line()}]\n`,
    "digests in capitals": `${line({ sha256: DIGEST.toUpperCase() })}\n${line()}`,
  };
  for (const [way, text] of Object.entries(ways)) {
    assert.deepEqual(parseLabelLines(text, "a.jsonl", saying).labels, [label, label], way);
  }
  const { labels, placeOf } = parseLabelLines(`\n${line({ timeMs: 1_764_417_600_000, by: "ben" })}`, "a.jsonl", saying);
  assert.deepEqual(labels, [{ ...label, timeMs: 1_764_417_600_000, by: "ben" }]);
  assert.equal(placeOf(0), "line 2 of a.jsonl");
});

test("what is no label is refused with its line, and seconds with what to write", () => {
  const refused: [string, RegExp][] = [
    [`${line()}\n{ broken`, /JSON like .* in line 2 of a\.jsonl, found "\{ broken"/],
    [`${line()}\n${line({ verdict: "maybe" })}`, /in line 2 of a\.jsonl, found one where verdict is wrong/],
    [`[${line()}, 7]`, /in entry 2 of a\.jsonl, found one where/],
    [
      `${line()}\n${line({ timeMs: 1_764_417_600 })}`,
      /in line 2 of a\.jsonl, found 1764417600, which is 1970-01-21.*seconds \(2025-11-29T12:00:00\.000Z\): write 1764417600000/,
    ],
  ];
  for (const [text, message] of refused) {
    assert.throws(() => parseLabelLines(text, "a.jsonl", saying), { code: "E_USAGE", message });
  }
});
