import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { writePictures } from "../fixtures/pictures.js";
import { writeSmallTeacher } from "../fixtures/models.js";

const MAIN = join(import.meta.dirname, "..", "..", "cli", "main.js");
let folder = "";
const ingest = ["ingest", "pictures", "--teacher", "teacher", "--k", "5", "--p", "1", "--progress", "json"];
const slow = ["--batch", "1", "--set", "archive.segmentRecords=1"];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-start-up-"));
  await writePictures(join(folder, "pictures"), { images: 60 });
  await writeSmallTeacher(join(folder, "teacher"), "onnx");
});

after(() => rm(folder, { recursive: true, force: true }));

function started(program: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): ChildProcess {
  const env = { PATH: process.env["PATH"], HOME: folder, ...environment };
  return spawn(program, args, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
}

async function ended(child: ChildProcess): Promise<{ code: number | null; err: string }> {
  let err = "";
  child.stderr!.on("data", (chunk: Buffer) => (err += chunk.toString()));
  child.stdout!.resume();
  const [code] = (await once(child, "close")) as [number | null];
  return { code, err };
}

/** Calls `then` once, when the work has begun. */
function whenWorking(child: ChildProcess, then: () => void): void {
  let err = "";
  let isDone = false;
  child.stderr!.on("data", (chunk: Buffer) => {
    err += chunk.toString();
    if (isDone || !err.includes('"type":"progress"')) return;
    isDone = true;
    then();
  });
}

test("a signal before the work begins ends the process with the shell's code, without a word", async () => {
  for (const [signal, code] of [
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ] as const) {
    // The signal comes while the program's modules load: this one is loaded after the first of them.
    const early = `data:text/javascript,setImmediate(() => process.kill(process.pid, "${signal}"))`;
    const signals = new URL("../../cli/start-up-signals.js", import.meta.url).href;
    const child = started(process.execPath, [
      "--import",
      signals,
      "--import",
      early,
      MAIN,
      ...ingest,
      "--data",
      "early",
    ]);
    assert.deepEqual(await ended(child), { code, err: "" });
  }
});

test("npm's shell dies of SIGTERM: the process below it stops in order, and goes on from there", async () => {
  const call = [...ingest, ...slow, "--data", "under-npm"];
  const line = `${[process.execPath, MAIN, ...call].map((word) => `'${word}'`).join(" ")}; exit $?`;
  const shell = started("sh", ["-c", line], { npm_command: "exec" });
  whenWorking(shell, () => shell.kill("SIGTERM"));
  // The pipe closes when the process below has ended.
  const { err } = await ended(shell);
  assert.match(err, /^\{"type":"note","message":"Stopping: /m);
  assert.match(err, /^\{"type":"error","code":"E_CANCELLED"/m);
  const resumed = await ended(started(process.execPath, [MAIN, ...call]));
  assert.equal(resumed.code, 0, resumed.err);
});

test("nobody reads the progress any more: the work goes on", async () => {
  const child = started(process.execPath, [MAIN, ...ingest, ...slow, "--data", "unread"]);
  whenWorking(child, () => child.stderr!.destroy());
  child.stdout!.resume();
  const [code] = (await once(child, "exit")) as [number | null];
  assert.equal(code, 0);
});

test("few file handles: said as such, with what to do", async () => {
  const line = `ulimit -n 40; exec '${process.execPath}' '${MAIN}' status`;
  const { code, err } = await ended(started("sh", ["-c", line]));
  assert.equal(code, 1);
  assert.match(err, /^error E_FILE_HANDLES: .*ulimit -n 1024.*\n$/);
});

test("without a home folder the cache is said to be absent, and nothing else fails", async () => {
  for (const environment of [{ HOME: "" }, { HOME: "/proc/none" }]) {
    const child = started(process.execPath, [MAIN, "check", "--teacher", "teacher"], environment);
    const { code, err } = await ended(child);
    assert.equal(code, 0, err);
  }
});

test("a command loads what it uses: help no settings; status no client of a server, no engine, no decoder", async () => {
  assert.deepEqual([...(await loadedBy("--help"))], ["commander"]);
  const status = await loadedBy("status");
  assert.ok(status.has("zod"), [...status].join());
  for (const name of ["kafkajs", "minio", "onnxruntime-node", "sharp", "@tensorflow/tfjs-core", "prom-client"]) {
    assert.ok(!status.has(name), name);
  }
});

/** The packages that a command loads. */
async function loadedBy(...args: readonly string[]): Promise<Set<string>> {
  const hook = `export function load(url, context, next) {
    const name = /^file:.*\\/node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1];
    if (name !== undefined) process._rawDebug("loads " + name);
    return next(url, context);
  }`;
  const asUrl = (text: string): string => `data:text/javascript,${encodeURIComponent(text)}`;
  const register = `import { register } from "node:module"; register(${JSON.stringify(asUrl(hook))});`;
  const { err } = await ended(started(process.execPath, ["--import", asUrl(register), MAIN, ...args]));
  return new Set([...err.matchAll(/^loads (.+)$/gm)].map(([, name]) => name!));
}
