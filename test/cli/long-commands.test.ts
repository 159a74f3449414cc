import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Command } from "commander";
import { buildProgram, runProgram } from "../../cli/program.js";
import { CommandFolder } from "../fixtures/command-folder.js";
import { scrape, until, valueOf } from "../fixtures/scraped.js";
import { recordedTerminal } from "./recorded-terminal.js";

/** What ends in seconds whatever there is, or waits for a person: nobody watches these. */
const SHORT = new Set([
  ...["init", "teacher list", "teacher compare", "migrate", "audit", "label import", "relocate", "pause", "resume"],
  ...["drain", "log rebuild", "quarantine list", "quarantine export", "guard list", "guard drop"],
  ...["datasets list", "datasets show", "datasets set", "datasets apply", "datasets drop"],
  ...["versions list", "versions show", "versions diff", "versions explain", "versions sheet", "versions tag"],
  ...["versions tags", "versions keep", "versions late"],
  ...["label is", "label not", "label none", "label duplicate", "label withdraw", "label list"],
  ...["topics adopt", "topics acls", "topics create", "topics check", "schedules list"],
]);

test("every command that works long answers Prometheus where it is told a port", async () => {
  const program = await buildProgram(recordedTerminal({}), "all", () => {
    throw new Error("nothing runs");
  });
  const without: string[] = [];
  const look = (command: Command, above: string): void => {
    const name = `${above}${command.name()}`;
    for (const one of command.commands) if (one.name() !== "help") look(one, `${name} `);
    const isAction = command.commands.length === 0;
    if (isAction && !command.options.some(({ long }) => long === "--metrics-port")) without.push(name);
  };
  for (const command of program.commands) if (command.name() !== "help") look(command, "");
  assert.deepEqual(
    without.filter((name) => !SHORT.has(name)),
    [],
  );
});

test("long work is never done unseen: what reports progress is watched", async () => {
  const folder = join(process.cwd(), "cli");
  for (const name of await readdir(folder, { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".ts") || name === "metrics-flags.ts") continue;
    const text = await readFile(join(folder, name), "utf8");
    if (/\brun\.work\(/.test(text)) assert.match(text, /\bobserved\(/, name);
  }
});

describe("commands under metrics", () => {
  let place: CommandFolder;
  before(async () => {
    place = await CommandFolder.make({ images: 12 });
    await place.ingest("--teacher", "teacher", "--k", "4", "--p", "2");
  });
  after(() => place.remove());

  test("one that goes on is ready and tells what it is, until it is stopped", async () => {
    for (const args of [
      ["tap", "versions"],
      ["status", "--watch", "--interval", "1s"],
    ]) {
      const terminal = { ...recordedTerminal({ folder: place.path }), nowMs: Date.now };
      const ended = runProgram(["--no-progress", ...args, "--metrics-port", "0"], terminal);
      const url = await until(() => /metrics at (http:\S+)\/metrics/.exec(terminal.stderr.text)?.[1] ?? null, args[0]!);
      const samples = await scrape(url);
      assert.equal(valueOf(samples, "sluice_build", { command: args[0]! }), 1);
      const ready = await until(async () => {
        const response = await fetch(`${url}/readyz`);
        return response.status === 200 ? response : null;
      }, "readiness");
      const { loops } = (await ready.json()) as { readonly loops: readonly { readonly loop: string }[] };
      assert.deepEqual(
        loops.map(({ loop }) => loop),
        ["work"],
      );
      await until(() => (terminal.signals.listenerCount("SIGINT") > 0 ? true : null), "that it can be stopped");
      terminal.signals.emit("SIGINT");
      assert.equal(await ended, 0);
      await assert.rejects(fetch(url), "the server ends with the work");
    }
  });

  test("those that end say where they can be seen, and log what happens as JSON", async () => {
    for (const args of [["gc"], ["check", "--offline"], ["reproduce", "latest"]]) {
      const { code, err } = await place.sluice("--log", "json", ...args, "--metrics-port", "0");
      assert.equal(code, 0, err);
      const records = err
        .trimEnd()
        .split("\n")
        .map(
          (line) => JSON.parse(line) as { readonly event: string; readonly message?: string; readonly loop?: string },
        );
      assert.ok(
        records.some(({ event, message }) => event === "note" && /^metrics at http/.test(message ?? "")),
        `${args.join(" ")}: ${err}`,
      );
      assert.ok(
        records.some(({ event, loop }) => event === "loop.ready" && loop === "work"),
        `${args.join(" ")}: ${err}`,
      );
    }
  });

  test("a setting that is wrong is check's to say, under metrics as well", async () => {
    const { code, out } = await place.sluice("--set", "engine.batch=-1", "check", "--offline");
    assert.equal(code, 2);
    assert.match(out, /fail\s+configuration/);
  });
});
