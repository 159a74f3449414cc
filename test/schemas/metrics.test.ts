import assert from "node:assert/strict";
import { test } from "node:test";
import { METRIC_LABELS, METRICS, type MetricDeclaration } from "../../schemas/metrics.js";

const declared = Object.entries(METRICS) as [string, MetricDeclaration][];

test("names say what is counted, as Prometheus has it: base units, and _total on counters alone", () => {
  for (const [name, { type, unit, help }] of declared) {
    assert.match(name, /^sluice_[a-z]+(_[a-z]+)*$/);
    assert.equal(name.endsWith("_total"), type === "counter", name);
    assert.equal(/(^|_)(ms|milliseconds|mb|kb|percent)(_|$)/.test(name), false, name);
    if (unit.startsWith("seconds")) assert.match(name, /_seconds(_total)?$/, name);
    if (unit === "bytes") assert.match(name, /_bytes(_total)?$/, name);
    assert.equal(type === "histogram" ? /_seconds$/.test(name) : true, true, name);
    assert.match(help, /^[A-Z0-9].*[^.]$/, name);
  }
});

test("no label names a class, an image or a source, and every label is used", () => {
  const used = new Set(declared.flatMap(([, { labels }]) => labels));
  assert.deepEqual([...used].sort(), Object.keys(METRIC_LABELS).sort());
  for (const label of used) assert.doesNotMatch(label, /class|digest|uri|sha|source|offset|path|message/);
});

test("buckets ascend", () => {
  for (const [name, { type, buckets }] of declared) {
    assert.equal(buckets !== undefined, type === "histogram", name);
    assert.deepEqual(
      buckets,
      buckets?.toSorted((a, b) => a - b),
      name,
    );
  }
});
