import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { openStore } from "../../pipelines/open/workspace.js";
import { readIndex, readManifest } from "../../pipelines/versions/versions.js";
import type { IndexRow } from "../../schemas/index-row.js";
import { CommandFolder } from "../fixtures/command-folder.js";
import { openTraceCollector, waysOf } from "../fixtures/trace-collector.js";

const ALL = { OTEL_TRACES_SAMPLER: "always_on" };

async function place(t: Parameters<typeof CommandFolder.make>[1]): Promise<CommandFolder> {
  return CommandFolder.make(
    { images: 30, duplicates: 2, broken: 1, datasets: "[{ name: flowers, select: { k: 3, p: 2 } }]" },
    t,
  );
}

test("an ingest tells a collector each image's way, from its record to the version that has it or has not", async (t) => {
  const folder = await place(t);
  const collector = await openTraceCollector();
  t.after(() => collector.close());
  const named = { OTEL_SERVICE_NAME: "flowers", OTEL_EXPORTER_OTLP_HEADERS: "x-key=a%20b" };
  const { code, err } = await folder.under(
    { ...ALL, ...named, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url },
    "ingest",
    "pictures",
  );
  assert.equal(code, 0, err);

  assert.ok(collector.requests.every(({ path, headers }) => path === "/v1/traces" && headers["x-key"] === "a b"));
  assert.ok(collector.resources.every((of) => of["service.name"] === "flowers" && of["sluice.command"] === "ingest"));
  const ways = waysOf(collector.spans);
  assert.equal(ways.length, 33, "a trace an image");
  const placed = await rowsByPlace(join(folder.path, "sluice-data"));
  assert.ok(placed.size > 0);
  let refused = 0;
  const chosen = new Set<string>();
  for (const way of ways) {
    const names = way.map(({ name }) => name);
    const { attributes } = way[0]!;
    const at = `${String(attributes["sluice.partition"])}/${String(attributes["sluice.offset"])}`;
    for (const { startTimeUnixNano, endTimeUnixNano } of way) {
      assert.ok(BigInt(startTimeUnixNano) <= BigInt(endTimeUnixNano));
    }
    if (way[1]!.status !== undefined) {
      refused++;
      assert.deepEqual(names, ["produce", "score"]);
      assert.equal(way[1]!.status.code, 2);
      assert.match(way[1]!.status.message, /^E_IMAGE_/);
      continue;
    }
    assert.deepEqual(names, ["produce", "score", "rank", "publish"]);
    const end = way[3]!.attributes;
    assert.deepEqual([end["sluice.dataset"], end["sluice.version"]], ["flowers", 1]);
    assert.equal(end["sluice.chosen"], placed.has(at), at);
    if (!placed.has(at)) continue;
    chosen.add(at);
    const rows = placed.get(at)!;
    assert.ok(rows.some((row) => row.class === end["sluice.class"] && row.rank === end["sluice.rank"]));
  }
  assert.equal(refused, 1);
  assert.equal(chosen.size, placed.size, "every image of the version has ended in it");
});

/** The first version's rows by `partition/offset` */
async function rowsByPlace(data: string): Promise<Map<string, IndexRow[]>> {
  const store = await openStore({ data });
  const placed = new Map<string, IndexRow[]>();
  for await (const row of readIndex(store, await readManifest(store, "flowers", 1))) {
    const at = `${row.partition}/${row.offset}`;
    placed.set(at, [...(placed.get(at) ?? []), row]);
  }
  await store.close();
  return placed;
}

test("without a collector nothing is traced, and no record has a trace", async (t) => {
  const folder = await place(t);
  const { code } = await folder.under(ALL, "ingest", "pictures");
  assert.equal(code, 0);
  const { out } = await folder.sluice("tap", "images", "--from-start", "--limit", "5", "--json");
  assert.doesNotMatch(out, /traceparent/);
});

test("of a stream some images are traced, as many as are asked for", async (t) => {
  const folder = await place(t);
  const collector = await openTraceCollector();
  t.after(() => collector.close());
  const to = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url };
  const none = { ...to, OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "0" };
  assert.equal((await folder.under(none, "ingest", "pictures")).code, 0);
  assert.equal(collector.requests.length, 0);
});

test("a collector that is away, or says no, costs spans and never an image", async (t) => {
  const closed = createServer().listen(0, "127.0.0.1");
  await once(closed, "listening");
  const { port } = closed.address() as AddressInfo;
  closed.close();
  const folder = await place(t);
  const away = { ...ALL, OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` };
  const ran = await folder.under(away, "ingest", "pictures");
  assert.equal(ran.code, 0, ran.err);
  assert.match(
    ran.err,
    /collector of traces at http:\/\/127\.0\.0\.1:\d+\/v1\/traces does not take spans: .*ECONNREFUSED/,
  );
  assert.match(ran.err, /spans of traces were not sent .* Images are not concerned\./);

  const collector = await openTraceCollector();
  t.after(() => collector.close());
  collector.answers.push(503, 400);
  const said = { ...ALL, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.url}/its/own/path` };
  const other = await place(t);
  const refused = await other.under(said, "ingest", "pictures");
  assert.equal(refused.code, 0, refused.err);
  assert.match(refused.err, /it answers 503|refuses spans with 400/);
  assert.ok(collector.requests.every(({ path }) => path === "/its/own/path"));
});

test("settings of OpenTelemetry that cannot be had are named", async (t) => {
  const folder = await place(t);
  const to = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://localhost:4318" };
  const wrong: readonly [Record<string, string>, RegExp][] = [
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "localhost:4318" }, /OTEL_EXPORTER_OTLP_ENDPOINT/],
    [
      { ...to, OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" },
      /Expected http\/json in OTEL_EXPORTER_OTLP_PROTOCOL, found "grpc"/,
    ],
    [{ ...to, OTEL_TRACES_SAMPLER: "jaeger_remote" }, /OTEL_TRACES_SAMPLER, found "jaeger_remote"/],
    [{ ...to, OTEL_TRACES_SAMPLER_ARG: "2" }, /a share from 0 to 1 in OTEL_TRACES_SAMPLER_ARG, found "2"/],
    [{ ...to, OTEL_EXPORTER_OTLP_HEADERS: "x" }, /name=value, between commas in OTEL_EXPORTER_OTLP_HEADERS/],
    [{ ...to, OTEL_RESOURCE_ATTRIBUTES: "a=%" }, /percent-encoded values in OTEL_RESOURCE_ATTRIBUTES/],
  ];
  for (const [environment, message] of wrong) {
    const { code, err } = await folder.under(environment, "ingest", "pictures");
    assert.equal(code, 2, err);
    assert.match(err, message);
  }
  const off = { OTEL_EXPORTER_OTLP_ENDPOINT: "nowhere", OTEL_SDK_DISABLED: "true" };
  assert.equal((await folder.under(off, "ingest", "pictures")).code, 0);
});
