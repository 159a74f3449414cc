import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { cannotStart } from "../deploy/local/require-service.js";
import { imageRecord, jpeg, KafkaSite } from "../fixtures/kafka-site.js";
import { startedServices } from "../fixtures/started-services.js";
import { openTraceCollector } from "../fixtures/trace-collector.js";
import { scrape, valueOf } from "../fixtures/scraped.js";

const COUNT = 30;

describe("metrics of processes", { skip: (await cannotStart("kafka")) || (await cannotStart("minio")) }, () => {
  const services = startedServices();

  test("run all says what the archive has, is ready and healthy, and counts the version that its trigger makes", async (t) => {
    const site = await KafkaSite.open(t, services, { partitions: 2, dataset: { trigger: { everyImages: COUNT } } });
    await site.put(
      0,
      Array.from({ length: COUNT / 2 - 2 }, (_, at) => 1 + at),
    );
    await site.put(
      1,
      Array.from({ length: COUNT / 2 }, (_, at) => 101 + at),
    );
    const collector = await openTraceCollector();
    t.after(() => collector.close());
    // As another program's producer does that is traced: the trace is its, and goes on here.
    const traceOf = (index: number): string => `${index}`.padStart(32, "a");
    const bytes = await Promise.all([201, 202].map((seed) => jpeg(seed)));
    await site.append(
      0,
      bytes.map((one, index) => imageRecord(one, { traceparent: `00-${traceOf(index)}-${"b".repeat(16)}-01` })),
    );
    const all = site.run(["all", "--metrics-port", "0", "--checkpoint-every", "1s"], {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    });
    const url = await site.until("the note", () =>
      Promise.resolve(/metrics at (\S+)\/metrics/.exec(all.said)?.[1] ?? null),
    );
    const samples = await site.until("all archived, and a version", async () => {
      const now = await scrape(url);
      const isDone =
        valueOf(now, "sluice_images_total") === COUNT &&
        valueOf(now, "sluice_lag_records") === 0 &&
        valueOf(now, "sluice_versions_total", { dataset: "best" }) === 1 &&
        valueOf(now, "sluice_checkpoint_timestamp_seconds") !== null;
      return isDone ? now : null;
    });
    for (const partition of ["0", "1"]) {
      assert.equal(valueOf(samples, "sluice_images_total", { partition, outcome: "scored" }), COUNT / 2);
      assert.equal(valueOf(samples, "sluice_archived_offset", { partition }), COUNT / 2);
      assert.equal(valueOf(samples, "sluice_lag_seconds", { partition }), 0);
    }
    assert.ok(valueOf(samples, "sluice_kept_bytes_total")! > 0, "bytes: keep");
    assert.ok(valueOf(samples, "sluice_store_request_seconds_count", { outcome: "ok" })! > 0);
    for (const loop of ["score", "topk", "publish", "compact"]) {
      assert.equal(valueOf(samples, "sluice_ready", { loop }), 1, loop);
    }
    for (const path of ["readyz", "healthz"]) assert.equal((await fetch(`${url}/${path}`)).status, 200, path);
    // The version that has them, or the next: a publisher reads the archive, and may be quicker than a worker that tells it of traces.
    await site.until("both ranked", () =>
      Promise.resolve(collector.spans.filter(({ name }) => name === "rank").length >= 2 ? true : null),
    );
    await site.put(
      1,
      Array.from({ length: COUNT }, (_, at) => 301 + at),
    );
    await site.until("both published", () =>
      Promise.resolve(collector.spans.filter(({ name }) => name === "publish").length >= 2 ? true : null),
    );
    assert.equal(await all.end("SIGTERM"), 0);

    for (const index of [0, 1]) {
      const spans = collector.spans.filter(({ traceId }) => traceId === traceOf(index));
      const [score, ...more] = spans.filter(({ name }) => name === "score");
      assert.deepEqual([score?.parentSpanId, more.length], ["b".repeat(16), 0], "scored once, after its producer");
      const ranks = spans.filter(({ name }) => name === "rank");
      assert.ok(ranks.length >= 1, "in the states of a shard at least");
      assert.ok(ranks.every(({ parentSpanId }) => parentSpanId === score?.spanId));
      const [publish, ...others] = spans.filter(({ name }) => name === "publish");
      assert.equal(others.length, 0);
      assert.ok(publish !== undefined && ranks.some(({ spanId }) => spanId === publish.parentSpanId));
      assert.equal(publish.attributes["sluice.dataset"], "best");
      assert.ok([1, 2].includes(Number(publish.attributes["sluice.version"])));
    }
    assert.ok(
      collector.spans.every(({ traceId }) => traceId.startsWith("a")),
      "no trace begins at a scorer",
    );
  });

  test("tap reads the topics beside the group, which is not moved", async (t) => {
    const site = await KafkaSite.open(t, services, { partitions: 1 });
    await site.put(
      0,
      Array.from({ length: 8 }, (_, at) => 1 + at),
    );
    const scorer = site.scorer("scorer-1");
    await site.scored();
    for (const [stage, limit] of [
      ["images", "8"],
      ["scores", "8"],
      ["candidates", "24"],
    ] as const) {
      const { code, stdout, stderr } = await site.sluice("tap", stage, "--from-start", "--limit", limit, "--json");
      assert.equal(code, 0, stderr);
      const offsets = stdout
        .trimEnd()
        .split("\n")
        .map((line) => (JSON.parse(line) as { offset: number }).offset);
      assert.deepEqual([...new Set(offsets)].sort(), [0, 1, 2, 3, 4, 5, 6, 7], stage);
    }
    assert.equal(await site.log.committed(site.group, site.stream, 0), 8);
    assert.equal(await scorer.end("SIGINT"), 0);
  });
});
