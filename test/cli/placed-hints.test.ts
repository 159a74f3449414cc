import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { placedHints } from "../../cli/placed-hints.js";
import { runProgram } from "../../cli/program.js";
import { recordedTerminal } from "./recorded-terminal.js";

test("a hint names the places of the call that prints it", () => {
  const places = { data: "my pictures", config: "a.yaml", set: ["engine.batch=2", "stream=cats"] };
  const placed = (text: string): string => placedHints(text, places);
  assert.equal(
    placed("`sluice quarantine list` says why, `sluice ingest … --follow` waits."),
    "`sluice quarantine list --config a.yaml --data 'my pictures' --set stream=cats` says why, " +
      "`sluice ingest … --follow --config a.yaml --data 'my pictures' --set stream=cats` waits.",
  );
  assert.equal(placed("`sluice status --data x -c y`"), "`sluice status --data x -c y --set stream=cats`");
  for (const alike of ["`sluice label --help`", "`sluice --help`", "`sluice`", "`sluice init`", "run sluice ingest"]) {
    assert.equal(placed(alike), alike);
  }
  assert.equal(placedHints("`sluice status`", {}), "`sluice status`");
  assert.equal(
    placedHints("`sluice status`, `sluice init`", { byNpx: true }),
    "`npx sluice status`, `npx sluice init`",
  );
  assert.equal(placedHints("`sluice status`", { data: "it's $here" }), "`sluice status --data 'it'\\''s $here'`");
});

test("errors, notes and results alike say hints with their places, for npx as npx takes them", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sluice-hints-"));
  try {
    const error = recordedTerminal({ folder });
    assert.equal(await runProgram(["status", "--data", "else"], error), 1);
    assert.match(error.stderr.text, /Run `sluice ingest --data else` first/);
    const asObject = recordedTerminal({ folder });
    assert.equal(await runProgram(["versions", "list", "--json", "-d", "else"], asObject), 1);
    assert.match(asObject.stdout.text, /`sluice ingest --data else`/);
    const npx = recordedTerminal({
      folder,
      environment: { npm_command: "exec", npm_lifecycle_event: "npx" },
    });
    assert.equal(await runProgram(["status"], npx), 1);
    assert.match(npx.stderr.text, /Run `npx sluice ingest` first/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a command line that does not parse is shown the help of its own command", async () => {
  const said = async (...args: string[]): Promise<string> => {
    const terminal = recordedTerminal();
    assert.equal(await runProgram(args, terminal), 2);
    return terminal.stderr.text;
  };
  assert.match(await said("ingest", "a", "--frobnicate"), /See `sluice ingest --help`\.$/m);
  assert.match(await said("inti"), /See `sluice --help`\.$/m);
});
