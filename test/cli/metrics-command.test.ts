import assert from "node:assert/strict";
import { test } from "node:test";
import { runProgram } from "../../cli/program.js";
import { METRICS } from "../../schemas/metrics.js";
import { CommandFolder } from "../fixtures/command-folder.js";
import { scrape, until, valueOf } from "../fixtures/scraped.js";
import { recordedTerminal, type RecordedTerminal } from "./recorded-terminal.js";

async function place(t: Parameters<typeof CommandFolder.make>[1]): Promise<CommandFolder> {
  const datasets = "[{ name: flowers, select: { k: 5, p: 3 }, trigger: { everyImages: 40 } }]";
  return CommandFolder.make({ images: 40, duplicates: 5, broken: 3, datasets }, t);
}

function terminalIn(folder: CommandFolder, environment: Record<string, string> = {}): RecordedTerminal {
  return { ...recordedTerminal({ folder: folder.path, environment }), nowMs: Date.now };
}

/** Where the note says that the figures are */
function urlIn(terminal: RecordedTerminal): string | null {
  return /metrics at (http:\S+)\/metrics/.exec(terminal.stderr.text)?.[1] ?? null;
}

test("a following ingest tells Prometheus what its result says, is ready and healthy, and ends as ever", async (t) => {
  const folder = await place(t);
  const terminal = terminalIn(folder);
  const ended = runProgram(
    [
      "--no-progress",
      "--json",
      "--set",
      "archive.segmentDelayMs=200",
      "ingest",
      "pictures",
      "--follow",
      "--metrics-port",
      "0",
    ],
    terminal,
  );
  const url = await until(() => urlIn(terminal), "the note");
  const samples = await until(async () => {
    const now = await scrape(url);
    const published = valueOf(now, "sluice_versions_total", { dataset: "flowers" });
    return published === 1 && valueOf(now, "sluice_lag_records") === 0 && valueOf(now, "sluice_images_total") === 48
      ? now
      : null;
  }, "48 records and a version");
  for (const path of ["/readyz", "/healthz"]) {
    const response = await fetch(url + path);
    const { ok, loops } = (await response.json()) as { ok: boolean; loops: { loop: string; ready: boolean }[] };
    assert.deepEqual([response.status, ok, loops.map(({ loop }) => loop)], [200, true, ["score"]], path);
  }
  assert.equal((await fetch(`${url}/`)).status, 404);
  assert.equal((await fetch(`${url}/metrics`, { method: "POST" })).status, 405);
  terminal.signals.emit("SIGINT");
  assert.equal(await ended, 0);
  await assert.rejects(fetch(`${url}/metrics`), "the server ends with the work");

  const { counts, published } = JSON.parse(terminal.stdout.text) as {
    counts: Record<"appended" | "scored" | "copied" | "quarantined" | "lost" | "sizeBytes", number>;
    published: [{ rows: number; number: number }];
  };
  for (const outcome of ["scored", "copied", "quarantined", "lost"] as const)
    assert.equal(valueOf(samples, "sluice_images_total", { partition: "0", outcome }), counts[outcome], outcome);
  assert.equal(valueOf(samples, "sluice_appended_total"), counts.appended);
  assert.equal(valueOf(samples, "sluice_image_bytes_total"), counts.sizeBytes);
  assert.equal(valueOf(samples, "sluice_quarantined_total"), counts.quarantined);
  assert.equal(valueOf(samples, "sluice_batch_images_total"), counts.scored);
  assert.equal(valueOf(samples, "sluice_version_rows", { dataset: "flowers" }), published[0].rows);
  assert.equal(valueOf(samples, "sluice_version_number", { dataset: "flowers" }), published[0].number);
  assert.equal(valueOf(samples, "sluice_ready", { loop: "score" }), 1);
  assert.equal(valueOf(samples, "sluice_lag_seconds", { partition: "0" }), 0);
  assert.ok(valueOf(samples, "sluice_stage_busy_seconds_total", { stage: "score" })! > 0);
  assert.ok(valueOf(samples, "sluice_store_request_seconds_count", { op: "create", outcome: "ok" })! > 0);
  assert.ok(valueOf(samples, "process_resident_memory_bytes")! > 0);
  assert.deepEqual(undeclared(samples), []);
  assert.equal(valueOf(samples, "sluice_thresholds_timestamp_seconds"), null, "none was read, which is not 1970");
});

/** Samples that the table of metrics does not have */
function undeclared(samples: Awaited<ReturnType<typeof scrape>>): string[] {
  return samples
    .filter(({ name, labels }) => {
      if (!name.startsWith("sluice_")) return !/^(process|nodejs)_/.test(name);
      const declared = METRICS[name.replace(/_(bucket|sum|count)$/, "") as keyof typeof METRICS] as
        (typeof METRICS)[keyof typeof METRICS] | undefined;
      const allowed = new Set<string>(declared?.labels);
      return declared === undefined || Object.keys(labels).some((label) => label !== "le" && !allowed.has(label));
    })
    .map(({ name, labels }) => `${name} ${JSON.stringify(labels)}`);
}

test("sluice.yaml and the environment say the port as well; one that is taken is a usage error", async (t) => {
  const folder = await place(t);
  const first = terminalIn(folder, { SLUICE_METRICS__PORT: "0" });
  const ended = runProgram(["--no-progress", "ingest", "pictures", "--follow"], first);
  const url = await until(() => urlIn(first), "the note");
  const taken = new URL(url).port;
  const second = terminalIn(folder);
  assert.equal(await runProgram(["ingest", "pictures", "--data", "other", "--metrics-port", taken], second), 2);
  assert.match(
    second.stderr.text,
    /error E_USAGE: Expected to listen for Prometheus on 127\.0\.0\.1:\d+, found that another process has it\./,
  );
  assert.match(second.stderr.text, /--metrics-port/);
  first.signals.emit("SIGINT");
  assert.equal(await ended, 0);
  assert.equal((await folder.sluice("ingest", "pictures", "--metrics-port", "70000")).code, 2);
});

test("without a port nothing listens; --log json tells what happens, each event by what it loses", async (t) => {
  const folder = await place(t);
  const { code, err } = await folder.sluice("--log", "json", "--log-level", "debug", "ingest", "pictures");
  assert.equal(code, 0, err);
  assert.doesNotMatch(err, /metrics at/);
  const records = err
    .trimEnd()
    .split("\n")
    .map(
      (line) => JSON.parse(line) as { time: string; level: string; event: string; counts?: { quarantined: number } },
    );
  for (const { time } of records) assert.ok(Math.abs(Date.now() - Date.parse(time)) < 600_000, time);
  const events = new Set(records.map(({ level, event }) => `${level} ${event}`));
  for (const expected of [
    "info note",
    "info loop.ready",
    "info partition.given",
    "debug checkpoint.written",
    "info version.cut",
  ])
    assert.ok(events.has(expected), `${expected} in ${[...events].join(", ")}`);
  for (const { level, event, counts } of records)
    if (event === "segment.archived") assert.equal(level, counts!.quarantined > 0 ? "warn" : "debug");
});
