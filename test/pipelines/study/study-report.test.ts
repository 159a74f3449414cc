import assert from "node:assert/strict";
import { test } from "node:test";
import { plannedArms, type StudyResults } from "../../../pipelines/study/run-study.js";
import { studyBase } from "../../../pipelines/study/study-arms.js";
import { studyChart } from "../../../pipelines/study/study-chart.js";
import { STUDY_NAMES } from "../../../pipelines/study/study-grids.js";
import { studyPage } from "../../../pipelines/study/study-page.js";
import { plansOf } from "../../../pipelines/study/study-plans.js";
import { percentText, studyRows } from "../../../pipelines/study/study-summary.js";
import { isSluiceError } from "../../../schemas/errors.js";
import type { ArmResult } from "../../../schemas/study.js";

const INPUT = { width: 14, height: 14, layout: "NHWC", colour: "grey" } as const;
const BASE = studyBase({ input: INPUT, classes: 10, k: 800, p: 1 });

const resultOf = (seed: number, accuracy: number): ArmResult => ({
  schemaVersion: 1,
  digest: "0".repeat(64),
  seed,
  model: "1".repeat(64),
  metrics: {
    count: 100,
    accuracy,
    interval: { low: 0, high: 1, confidence: 0.95 },
    meanRecall: accuracy,
    tailRecall: null,
    recall: [accuracy],
    confusion: [[100]],
    nll: 1,
    ece: 0.1,
  },
  version: null,
  tookMs: 1,
  at: "2026-01-01T00:00:00.000Z",
});

/** Accuracies of made-up models, three seeds; null: not made */
const STUDY: StudyResults = {
  name: "k",
  question: "How many <images>?",
  axis: "K",
  seeds: [1, 2, 3],
  arms: [
    ["labels alone", null, [0.78, 0.8, 0.82]],
    ["100, fine-tuned", 100, [0.83, 0.86, 0.86]],
    ["800, fine-tuned", 800, [0.9, null, 0.91]],
    ["1600, fine-tuned", 1600, [null, null, null]],
  ].map(([label, x, values]) => ({
    label: label as string,
    series: x === null ? (label as string) : "fine-tuned",
    x: x as number | null,
    results: (values as (number | null)[]).map((value, seed) => (value === null ? null : resultOf(seed + 1, value))),
  })),
};

test("means have Student's intervals, and gains are paired by the seeds that both have", () => {
  const rows = studyRows(STUDY);
  // t(2) = 4.3027; deviation of 0.78, 0.80, 0.82 is 0.02: 4.3027 x 0.02 / sqrt(3) = 0.0497.
  assert.equal(percentText(rows[0]!.accuracy), "80.0 ± 5.0");
  assert.equal(rows[0]!.gain, null);
  // Differences 0.05, 0.06, 0.04: mean 0.05, deviation 0.01, half width 0.0248.
  assert.equal(percentText(rows[1]!.gain, true), "+5.0 ± 2.5");
  // Of seeds 1 and 3: 0.12 and 0.09.
  assert.equal(rows[2]!.gain!.count, 2);
  assert.ok(Math.abs(rows[2]!.gain!.mean - 0.105) < 1e-12);
  assert.equal(rows[3]!.accuracy, null);
  assert.equal(percentText(rows[3]!.accuracy), "");
});

test("the page needs nothing beside it, escapes what people named, and draws what is done", () => {
  const page = studyPage([STUDY], { labelled: "a & b", unlabelled: "c", test: "d" });
  assert.ok(!/(src|href)=|https?:\/\/(?!www\.w3\.org)/.test(page));
  assert.match(page, /How many &lt;images&gt;\?/);
  assert.match(page, /a &amp; b/);
  const chart = studyChart(studyRows(STUDY), "K");
  assert.equal(chart.match(/<circle/g)!.length, 2);
  assert.doesNotMatch(chart, /NaN/);
  assert.doesNotMatch(studyChart([], "K"), /NaN|Infinity/);
});

test("every study has arms that differ, and all of them share what is the same", () => {
  let apart = 0;
  for (const name of STUDY_NAMES) {
    const plans = plansOf(name, BASE);
    const arms = plannedArms(plans, [1]);
    assert.ok(arms.length >= 4, name);
    const labels = plans[0]!.arms.map(({ label }) => label);
    assert.equal(new Set(labels).size, labels.length, name);
    apart += arms.length;
  }
  const together = plannedArms(plansOf("all", BASE), [1]).length;
  assert.ok(together < 0.75 * apart, `${together} of ${apart}`);
  assert.throws(
    () => plansOf("q", BASE),
    (error) => isSluiceError(error, "E_USAGE"),
  );
});
