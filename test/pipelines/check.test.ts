import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { check, RUNTIME_RANGE, runtimeLine, type CheckLine } from "../../pipelines/check.js";
import { openWorkspace } from "../../pipelines/open/workspace.js";
import { configSchema } from "../../schemas/config.js";
import { ROOT } from "../architecture/repository.js";
import { writeSmallTeacher } from "../fixtures/models.js";

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-check-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function linesOf(settings: object): Promise<CheckLine[]> {
  const lines: CheckLine[] = [];
  for await (const line of check(configSchema.parse({ engine: { workers: 1, batch: 4 }, ...settings })))
    lines.push(line);
  return lines;
}

const about = (lines: readonly CheckLine[], subject: string): CheckLine[] =>
  lines.filter((line) => line.subject === subject);

test("the supported versions of Node are those of package.json", async () => {
  const { engines } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8")) as { engines: { node: string } };
  assert.equal(engines.node, `>=${RUNTIME_RANGE.from.join(".")} <${RUNTIME_RANGE.below}`);
  const states = ["18.20.0", "20.18.9", "20.19.0", "22.1.0", "24.9.1", "25.0.0"].map(
    (version) => runtimeLine(version).state,
  );
  assert.deepEqual(states, ["fail", "fail", "ok", "ok", "ok", "warn"]);
});

test("a sound teacher is loaded, verified and tried; nothing is written", async (t) => {
  const folder = await temporaryFolder(t);
  await writeSmallTeacher(join(folder, "teacher"), "onnx");
  const lines = await linesOf({ data: join(folder, "data"), teacher: join(folder, "teacher") });
  assert.deepEqual(
    lines.filter(({ state }) => state === "fail"),
    [],
  );
  const [loaded, tried] = about(lines, "teacher");
  assert.match(loaded!.message, /^small-1 \(onnx, 10 classes, 16 x 16 px\), digest [0-9a-f]{12}; weights verified$/);
  assert.match(tried!.message, /^scores a trial batch on onnxruntime-node \d/);
  assert.equal(about(lines, "memory")[0]?.state, "ok");
  assert.match(about(lines, "data folder")[0]!.message, /can be made, .* free$/);
  assert.deepEqual(await readdir(folder), ["teacher"]);
});

test("a teacher without a card says what was taken for granted", async (t) => {
  const folder = await temporaryFolder(t);
  await writeSmallTeacher(join(folder, "teacher"), "onnx");
  await rm(join(folder, "teacher", "model-card.json"));
  const model = (await readdir(join(folder, "teacher"))).find((name) => name.endsWith(".onnx"))!;
  const lines = about(await linesOf({ data: folder, teacher: join(folder, "teacher", model) }), "teacher");
  assert.ok(
    lines.some(({ state, message }) => state === "warn" && /no model card; taken for granted: Input/.test(message)),
  );
});

test("teachers that cannot work fail with their code: NaN scores, broken-off weights, nothing there", async (t) => {
  const folder = await temporaryFolder(t);
  const failureOf = async (name: string): Promise<CheckLine | undefined> =>
    about(await linesOf({ data: folder, teacher: join(folder, name) }), "teacher").find(
      ({ state }) => state === "fail",
    );

  await writeSmallTeacher(join(folder, "nan"), "onnx", { nanClass: 3 });
  assert.equal((await failureOf("nan"))?.code, "E_IMAGE_SCORES");

  await writeSmallTeacher(join(folder, "short"), "onnx");
  const model = (await readdir(join(folder, "short"))).find((name) => name.endsWith(".onnx"))!;
  await truncate(join(folder, "short", model), 100);
  assert.equal((await failureOf("short"))?.code, "E_TEACHER_WEIGHTS");

  assert.equal((await failureOf("absent"))?.code, "E_TEACHER_CARD");
});

test("states larger than memory fail with the estimate in bytes", async (t) => {
  const folder = await temporaryFolder(t);
  await writeSmallTeacher(join(folder, "teacher"), "onnx");
  const datasets = [{ name: "d", select: { k: 900_000_000 } }];
  const [line] = about(await linesOf({ data: folder, teacher: join(folder, "teacher"), datasets }), "memory");
  assert.deepEqual([line?.state, line?.code], ["fail", "E_MEMORY"]);
  // 10 classes of at least K entries of 32 bytes each
  const bytes = Number(/up to (\d+) bytes/.exec(line!.message)?.[1]);
  assert.ok(bytes >= 10 * 900_000_000 * 32, `${bytes} bytes`);
});

test("a backend that is asked for and absent fails, with leave to fall back it warns", async (t) => {
  const folder = await temporaryFolder(t);
  const engine = { kind: "tfjs", backend: "node-gpu" };
  const of = async (more: object): Promise<CheckLine | undefined> =>
    about(await linesOf({ data: folder, engine: { ...engine, ...more } }), "engine tfjs")[0];
  const strict = await of({});
  if (strict?.state === "ok") {
    t.skip("this machine has the native tfjs for GPUs, so that it cannot be found absent");
    return;
  }
  assert.deepEqual([strict?.state, strict?.code], ["fail", "E_ENGINE_UNAVAILABLE"]);
  assert.match(strict!.message, /not here: node-gpu \(/);
  assert.equal((await of({ allowFallback: true }))?.state, "warn");
});

test("a data folder in use names its holder; one that cannot be made fails", async (t) => {
  const folder = await temporaryFolder(t);
  const config = configSchema.parse({ data: join(folder, "data") });
  const workspace = await openWorkspace(config, "a test");
  try {
    const lines = about(await linesOf({ data: config.data }), "data folder");
    assert.match(lines[1]!.message, new RegExp(`^in use by pid ${process.pid} \\(a test\\)`));
    assert.equal(lines[1]!.code, "E_LOCKED");
  } finally {
    await workspace.close();
  }
  assert.equal(about(await linesOf({ data: config.data }), "data folder").length, 1);

  await writeFile(join(folder, "file"), "");
  const [line] = about(await linesOf({ data: join(folder, "file", "data") }), "data folder");
  assert.deepEqual([line?.state, line?.code], ["fail", "E_STORE_READONLY"]);
});

test("a trigger that never fires is said, and that no publisher publishes such a dataset", async (t) => {
  const data = await temporaryFolder(t);
  const of = async (settings: object): Promise<CheckLine[]> => about(await linesOf({ data, ...settings }), "trigger");
  const windowEnd = [{ name: "d", trigger: { windowEnd: true } }];
  assert.deepEqual(await of({}), [], "an ingest publishes at its end");
  assert.match((await of({ datasets: windowEnd }))[0]!.message, /waits for the end.*an ingest's end or stop alone/);
  const kafka = { brokers: "localhost:9092" };
  const s3 = { endpoint: "http://localhost:9000", bucket: "b", accessKey: "a", secretKey: "s" };
  const [line] = await of({ kafka, s3 });
  assert.deepEqual([line?.state, line?.code], ["warn", undefined]);
  assert.match(
    line!.message,
    /no trigger.*no publisher ever publishes it.*`sluice rebuild` does.*`sluice datasets set default/,
  );
  assert.deepEqual(await of({ kafka, s3, datasets: [{ name: "d", trigger: { elapsedMs: 1 } }] }), []);
});
