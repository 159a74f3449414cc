import assert from "node:assert/strict";
import { test } from "node:test";
import { logLogChart } from "../../../deploy/scale-model/draw.js";
import { ofRun } from "../../../deploy/scale-model/measure.js";
import {
  bends,
  predict,
  stationsOf,
  waitingTimes,
  type Deployment,
  type UnitCosts,
} from "../../../deploy/scale-model/model.js";

const COSTS: UnitCosts = {
  decodeS: 0.001,
  scoreS: 0.01,
  archiveS: 0.0001,
  segmentS: 0.1,
  candidateS: 1e-7,
  messageS: 0.001,
  followS: 0.001,
  imageBytes: 50_000,
  rowBytes: 600,
  candidateBytes: 200,
};
const AT: Deployment = {
  workers: 1,
  ...{
    cores: 4,
    decoders: 4,
    engines: 4,
    onGpu: false,
    partitions: 64,
    shards: 4,
    segmentRecords: 1000,
    candidates: 5,
  },
  ...{ storeRequestsAS: 1000, storeBytesAS: 1e9, brokerBytesAS: 1e9, inline: false },
};

test("waiting is Erlang's: with one server busy to u it is u / (1 - u), by two that of M/M/2 within 12 %", () => {
  for (const busy of [0.1, 0.5, 0.9, 0.99]) {
    assert.ok(Math.abs(waitingTimes(1, busy) - busy / (1 - busy)) < 1e-9);
    // M/M/2: C = 2 u² / (1 + u), W / S = C / (2 (1 - u))
    const exact = (2 * busy ** 2) / (1 + busy) / (2 * (1 - busy));
    if (busy >= 0.5) assert.ok(Math.abs(waitingTimes(2, busy) / exact - 1) < 0.12, `${busy}`);
  }
  assert.equal(waitingTimes(3, 1), Infinity);
});

test("the station that is full first limits: cores at first, then what all share, and scorers beyond the partitions add nothing", () => {
  const one = predict(COSTS, AT);
  assert.equal(one.limit.name, "cores");
  // 4 cores, 1 + 10 + 0.1 + 100 / 1000 ms an image
  assert.ok(Math.abs(one.imagesAS - 4 / 0.0112) < 1e-6);
  assert.ok(Math.abs(predict(COSTS, { ...AT, workers: 2 }).imagesAS / one.imagesAS - 2) < 1e-9);
  const wide = { ...AT, storeBytesAS: 1e10 };
  const full = predict(COSTS, { ...wide, workers: 64 }).imagesAS;
  assert.equal(predict(COSTS, { ...wide, workers: 1000 }).imagesAS, full);
  assert.match(predict(COSTS, { ...wide, workers: 1000 }).limit.add, /partitions/);
  const found = bends(COSTS, (workers) => ({ ...AT, workers, partitions: 1e6 }), [1, 10, 100, 1000]);
  assert.deepEqual(found.map(({ limit }) => limit.name)[0], "cores");
  assert.ok(found.length > 1 && found.at(-1)!.limit.name.startsWith("store"), JSON.stringify(found));
  assert.ok(stationsOf(COSTS, AT).every(({ mostAS }) => mostAS >= one.imagesAS));
  assert.ok(one.lagS > 0.0112 && one.lagS < 1);
});

test("what stages took is told from the shares that a run wrote down", () => {
  const shares = { fetch: 0.1, decode: 0.4, score: 0.9, archive: 0.05, waiting: 0 };
  const counts = { scored: 200, copied: 0, quarantined: 0, appended: 200, lost: 0 };
  const run = { stages: { fromMs: 0, untilMs: 2000, shares, limits: "score" as const }, counts };
  const { imagesAS, decodeS, scoreS, archiveS } = ofRun(run as never, 1);
  assert.deepEqual(
    [imagesAS, decodeS, scoreS, archiveS].map((x) => Number(x.toFixed(6))),
    [100, 0.01, 0.009, 0.0005],
  );
});

test("the drawing is SVG of every line and mark, and what is said in it is escaped", () => {
  const svg = logLogChart("a < b", { x: "x", y: "y" }, [
    {
      name: "one & two",
      points: [
        [1, 10],
        [100, 1000],
      ],
      marks: [{ at: [100, 1000], said: "bend" }],
    },
  ]);
  assert.match(svg, /^<svg [^>]*viewBox/);
  assert.match(svg, /aria-label="a &lt; b"/);
  assert.match(svg, /one &amp; two/);
  assert.match(svg, /M70\.0 410\.0L660\.0 30\.0/);
});
