import assert from "node:assert/strict";
import { test } from "node:test";
import { stageSharesText } from "../../cli/report/stage-shares.js";

test("what limits a run is said of one that was long enough to tell", () => {
  const shares = { fetch: 0.04, decode: 0.97, score: 0.61, archive: 0.03, waiting: 0 };
  const text = (untilMs: number): string[] => stageSharesText({ fromMs: 0, untilMs, shares, limits: "decode" });
  assert.deepEqual(text(1000), ["Stages busy over 1 s: fetch 4 %, decode 97 %, score 61 %, archive 3 %, waiting 0 %."]);
  assert.match(text(60_000)[1]!, /^ {2}decode limits: add decoders/);
});
