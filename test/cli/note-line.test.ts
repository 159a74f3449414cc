import assert from "node:assert/strict";
import { test } from "node:test";
import { Invocation, type GlobalOptions } from "../../cli/invocation.js";
import { runProgram } from "../../cli/program.js";
import { recordedTerminal } from "./recorded-terminal.js";

/** What a command says of long work: a note, a warning with its code, a Ctrl-C, and its result. */
async function said(options: Partial<GlobalOptions>): Promise<{ out: string; err: string }> {
  const terminal = recordedTerminal();
  const run = new Invocation(terminal, { set: [], progress: "auto", ...options });
  await run.work(async ({ note, warn }) => {
    note("a note");
    warn("a warning", "E_CHAIN_GAP");
    terminal.signals.emit("SIGINT");
  });
  run.warn("one more");
  run.result("done", { done: true });
  return { out: terminal.stdout.text, err: terminal.stderr.text };
}

const OBJECTS = [
  { type: "note", message: "a note" },
  { type: "warning", code: "E_CHAIN_GAP", message: "a warning" },
  {
    type: "note",
    message: "Stopping: what is in flight is finished and written down. Press Ctrl-C again to end at once.",
  },
  { type: "warning", message: "one more" },
];

const objects = (text: string): unknown[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);

test("notes and warnings are lines for people on stderr", async () => {
  const { out, err } = await said({});
  assert.equal(out, "done\n");
  assert.equal(
    err,
    OBJECTS.map(({ type, message }) => `${type === "warning" ? "warning: " : ""}${message}\n`).join(""),
  );
});

test("with --json or --progress json each is an object on stderr, none is lost", async () => {
  const json = await said({ json: true });
  assert.deepEqual([json.out, objects(json.err)], ['{"done":true}\n', OBJECTS]);
  const lines = await said({ progress: "json" });
  assert.deepEqual([lines.out, objects(lines.err)], ["done\n", OBJECTS]);
});

test("with --log json each is a record with its time, level and event; so is an error", async () => {
  const time = "1970-01-01T00:00:00.000Z";
  const records = OBJECTS.map(({ type, ...fields }) => ({
    time,
    level: type === "note" ? "info" : "warn",
    event: type,
    ...fields,
  }));
  const log = await said({ log: "json" });
  assert.deepEqual([log.out, objects(log.err)], ["done\n", records]);
  const both = await said({ log: "json", json: true });
  assert.deepEqual([both.out, objects(both.err)], ['{"done":true}\n', records]);
  const warnings = await said({ log: "json", logLevel: "warn" });
  assert.deepEqual(
    objects(warnings.err),
    records.filter(({ level }) => level === "warn"),
  );
  assert.equal((await said({ log: "json", quiet: true })).err, "");

  const terminal = recordedTerminal();
  assert.equal(await runProgram(["--log", "json", "inti"], terminal), 2);
  const [error, ...more] = objects(terminal.stderr.text) as Record<string, unknown>[];
  assert.deepEqual(
    [error!["time"], error!["level"], error!["event"], error!["code"], more],
    [time, "error", "failed", "E_USAGE", []],
  );
});

test("with --quiet there is nothing but the result, and errors", async () => {
  assert.deepEqual(await said({ quiet: true }), { out: "done\n", err: "" });
  assert.deepEqual(await said({ quiet: true, json: true }), { out: '{"done":true}\n', err: "" });
  const terminal = recordedTerminal();
  assert.equal(await runProgram(["-q", "inti"], terminal), 2);
  assert.match(terminal.stderr.text, /^error E_USAGE/);
});

test("with --progress json an error is an object on stderr like the rest", async () => {
  for (const args of [
    ["--progress", "json", "inti"],
    ["--progress=json", "inti"],
  ]) {
    const terminal = recordedTerminal();
    assert.equal(await runProgram(args, terminal), 2);
    const [error, ...more] = objects(terminal.stderr.text) as { type: string; code: string; message: string }[];
    assert.deepEqual([error!.type, error!.code, more, terminal.stdout.text], ["error", "E_USAGE", [], ""]);
    assert.match(error!.message, /unknown command/);
  }
});
