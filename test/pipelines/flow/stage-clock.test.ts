import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile, mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { StageClock } from "../../../pipelines/flow/stage-clock.js";
import { lastRun, lastStageShares, StageRecord } from "../../../pipelines/flow/stage-record.js";
import { STAGES, type Stage } from "../../../schemas/stage-shares.js";

const IMAGES = 200;

interface Plan {
  /** ms an image, by stage */
  readonly costMs: Record<Stage, number>;
  readonly places: Record<Stage, number>;
  /** ms between two records */
  readonly everyMs?: number;
}

/** Images pass four stages, each with its places and a queue before it; the clock is told as a flow tells it. */
function simulate({ costMs, places, everyMs = 0 }: Plan) {
  const events: { readonly atMs: number; readonly stage: Stage; readonly begins: boolean }[] = [];
  const freeMs = Object.fromEntries(STAGES.map((stage) => [stage, Array<number>(places[stage]).fill(0)]));
  for (let image = 0; image < IMAGES; image++) {
    let atMs = image * everyMs;
    for (const stage of STAGES) {
      const free = freeMs[stage]!.sort((a, b) => a - b);
      const beginMs = Math.max(atMs, free[0]!);
      atMs = beginMs + costMs[stage];
      free[0] = atMs;
      events.push({ atMs: beginMs, stage, begins: true }, { atMs, stage, begins: false });
    }
  }
  let nowMs = 0;
  const clock = new StageClock(() => nowMs);
  clock.setPlaces(places);
  // What ends at a moment frees its place for what begins then.
  for (const { atMs, stage, begins } of events.sort((a, b) => a.atMs - b.atMs || Number(a.begins) - Number(b.begins))) {
    nowMs = atMs;
    if (begins) clock.begin(stage);
    else clock.end(stage);
  }
  return { wallMs: nowMs, ...clock.shares() };
}

const one = { fetch: 1, decode: 1, score: 1, archive: 1 };

const NOTHING = {
  counts: { appended: 0, scored: 0, copied: 0, quarantined: 0, lost: 0, sizeBytes: 0 },
  waiting: null,
};

describe("the stages' shares of time", () => {
  const cases: [string, Plan, string][] = [
    ["decoding is slow", { costMs: { fetch: 1, decode: 9, score: 4, archive: 1 }, places: one }, "decode"],
    [
      "decoding is slow, and has the places for it",
      { costMs: { fetch: 1, decode: 9, score: 4, archive: 1 }, places: { ...one, decode: 4 } },
      "score",
    ],
    [
      "two workers share what one scored",
      { costMs: { fetch: 1, decode: 5, score: 8, archive: 1 }, places: { ...one, score: 2 } },
      "decode",
    ],
    ["reading is slow", { costMs: { fetch: 20, decode: 9, score: 4, archive: 1 }, places: one }, "fetch"],
    ["the store is slow", { costMs: { fetch: 1, decode: 2, score: 4, archive: 30 }, places: one }, "archive"],
    [
      "records are rare",
      { costMs: { fetch: 1, decode: 2, score: 3, archive: 1 }, places: one, everyMs: 40 },
      "waiting",
    ],
  ];
  for (const [what, plan, limits] of cases) {
    test(`where ${what}: ${limits}`, () => {
      const found = simulate(plan);
      assert.equal(found.limits, limits);
      for (const stage of STAGES) {
        const expected = (IMAGES * plan.costMs[stage]) / (plan.places[stage] * found.wallMs);
        assert.ok(Math.abs(found.shares[stage] - expected) < 1e-9, `${stage}: ${found.shares[stage]}, not ${expected}`);
      }
      // Apart from one image's way through the stages, images overlap or wait.
      const { everyMs = 0, costMs } = plan;
      const alone = STAGES.reduce((sum, stage) => sum + costMs[stage], 0);
      const idle = everyMs > alone ? ((IMAGES - 1) * (everyMs - alone)) / found.wallMs : 0;
      assert.ok(Math.abs(found.shares.waiting - idle) < 1e-9);
    });
  }

  test("more at work than places counts as full, and a clock that is set back as one that stands", () => {
    let nowMs = 1000;
    const clock = new StageClock(() => nowMs);
    assert.equal(clock.shares().limits, null);
    for (let at = 0; at < 3; at++) clock.begin("score");
    nowMs = 1100;
    assert.equal(clock.shares().shares.score, 1);
    nowMs = 900;
    clock.end("score");
    assert.equal(clock.shares().shares.score, 1);
  });

  test("a task that fails leaves its place", async () => {
    let nowMs = 0;
    const clock = new StageClock(() => nowMs);
    await assert.rejects(
      clock.run("decode", () => Promise.reject(new Error("no image"))),
      /no image/,
    );
    nowMs = 50;
    assert.deepEqual(clock.shares().shares, { fetch: 0, decode: 0, score: 0, archive: 0, waiting: 1 });
  });

  test("of a long run, the last minutes count", () => {
    let nowMs = 0;
    const clock = new StageClock(() => nowMs);
    const minutes = (count: number, stage: Stage | null) => {
      for (let at = 0; at < count * 60; at++) {
        if (stage !== null) clock.begin(stage);
        nowMs += 1000;
        if (stage !== null) clock.end(stage);
        else clock.shares();
      }
    };
    minutes(8 * 60, null);
    minutes(25, "decode");
    const { shares, limits, fromMs, untilMs } = clock.shares();
    assert.deepEqual([shares.decode, shares.waiting, limits], [1, 0, "decode"]);
    assert.ok(untilMs === nowMs && untilMs - fromMs >= 600_000 && untilMs - fromMs <= 1_200_000);
  });

  test("are kept for another process; a file that is none of ours is as no file", async () => {
    const data = await mkdtemp(join(tmpdir(), "sluice-stages-"));
    try {
      assert.equal(await lastStageShares({ data }), null);
      let nowMs = 0;
      const record = new StageRecord(data, () => nowMs);
      record.clock.begin("decode");
      nowMs = 100;
      record.note(NOTHING);
      record.note(NOTHING);
      record.clock.end("decode");
      nowMs = 400;
      const ended = await record.end(NOTHING);
      assert.deepEqual(await lastStageShares({ data }), ended);
      const run = await lastRun({ data });
      assert.deepEqual([run?.ended, run?.startedMs, run?.atMs, run?.counts], [true, 0, 400, NOTHING.counts]);
      assert.deepEqual([ended.shares.decode, ended.shares.waiting], [0.25, 0.75]);
      for (const text of ["", "{", '{"fromMs": 1}']) {
        await writeFile(join(data, "stages", "last-run.json"), text);
        assert.equal(await lastStageShares({ data }), null);
      }
      await rm(join(data, "stages", "last-run.json"));
      await mkdir(join(data, "stages", "last-run.json"));
      await assert.rejects(lastStageShares({ data }), { code: "EISDIR" }, "what cannot be read is no absence");
    } finally {
      await rm(data, { recursive: true, force: true });
    }
  });

  test("that cannot be written cost a warning, not the run", async () => {
    const data = await mkdtemp(join(tmpdir(), "sluice-stages-"));
    try {
      await writeFile(join(data, "stages"), "a file where the folder would be");
      const warnings: string[] = [];
      await new StageRecord(
        data,
        () => 0,
        (message) => warnings.push(message),
      ).end(NOTHING);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0]!, /stage shares not written/);
    } finally {
      await rm(data, { recursive: true, force: true });
    }
  });
});
