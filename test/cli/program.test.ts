import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { test, type TestContext } from "node:test";
import { loadConfig } from "../../cli/load-config.js";
import { COMMANDS, runProgram } from "../../cli/program.js";
import { configSchema } from "../../schemas/config.js";
import { recordedTerminal } from "./recorded-terminal.js";

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(args: string[], options: Parameters<typeof recordedTerminal>[0] = {}): Promise<Ran> {
  const terminal = recordedTerminal(options);
  const code = await runProgram(args, terminal);
  return { code, out: terminal.stdout.text, err: terminal.stderr.text };
}

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-program-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test("help lists every command, examples and exit codes; without a command it goes to stderr with code 2", async () => {
  const help = await run(["--help"]);
  assert.equal(help.code, 0);
  for (const { name, summary } of COMMANDS) assert.match(help.out, new RegExp(`^ +${name} .*${summary}`, "m"));
  assert.match(help.out, /Examples:\n +\$ sluice init/);
  for (const code of ["0", "1", "2", "3", "4", "130"]) assert.match(help.out, new RegExp(`^  ${code} +\\S`, "m"));
  assert.deepEqual(await run([]), { code: 2, out: "", err: help.out });
});

test("every command has help with an example and the global options, by either way of asking", async () => {
  for (const { name } of COMMANDS) {
    const help = await run([name, "--help"]);
    assert.equal(help.code, 0, name);
    assert.match(help.out, new RegExp(`^Usage: sluice ${name}`), name);
    assert.match(help.out, /Examples:\n +\$ sluice/, name);
    assert.match(help.out, /--json/, name);
    assert.deepEqual(await run(["help", name]), help);
  }
});

test("the version is the package's", async () => {
  const { version } = JSON.parse(await readFile(join(packageRoot(), "package.json"), "utf8")) as { version: string };
  assert.deepEqual(await run(["--version"]), { code: 0, out: `${version}\n`, err: "" });
});

test("a slip is answered with what was meant, and code 2", async () => {
  const cases: [string[], RegExp][] = [
    [["inti"], /^error E_USAGE: unknown command 'inti' \(Did you mean init\?\)/],
    [["init", "--frce"], /unknown option '--frce' \(Did you mean --force\?\)/],
    [["--jsn", "init"], /unknown option '--jsn' \(Did you mean --json\?\)/],
    [["init", "a", "b"], /too many arguments/],
    [["--progress", "loud", "init"], /Expected auto, lines or json/],
    [["init", "--config"], /argument missing/],
  ];
  for (const [args, expected] of cases) {
    const { code, out, err } = await run(args);
    assert.match(err, expected);
    assert.doesNotMatch(err, /\n {4}at /, "no stack");
    assert.deepEqual([code, out], [2, ""], args.join(" "));
  }
});

test("with --json an error is one object on stdout, wherever the option stands", async () => {
  for (const args of [
    ["--json", "inti"],
    ["init", "--frce", "--json"],
  ]) {
    const { code, out, err } = await run(args);
    const { error } = JSON.parse(out) as { error: { code: string; message: string; context: object } };
    assert.deepEqual([code, error.code, typeof error.message, error.context, err], [2, "E_USAGE", "string", {}, ""]);
  }
});

test("SLUICE_DEBUG shows the stack", async (t) => {
  const folder = await temporaryFolder(t);
  await run(["init"], { folder });
  const { err } = await run(["init"], { folder, environment: { SLUICE_DEBUG: "1" } });
  assert.match(err, /^error E_USAGE: .*\n(.*\n)*.*\n {4}at /);
});

test("init writes a file that loads, holds the defaults, names the schema, and is not overwritten", async (t) => {
  const folder = await temporaryFolder(t);
  const first = await run(["init", "pictures", "--teacher", "models/m.onnx"], { folder });
  assert.equal(first.code, 0, first.err);
  assert.match(first.out, /^Wrote pictures\/sluice\.yaml\. Next:\n(.*\n)* +sluice check /);
  const file = join(folder, "pictures", "sluice.yaml");
  const text = await readFile(file, "utf8");

  const { config } = await loadConfig({ file, folder, environment: {}, flags: [] });
  assert.deepEqual(config, {
    ...configSchema.parse({}),
    data: join(folder, "pictures", "sluice-data"),
    teacher: join(folder, "models", "m.onnx"),
  });
  const schema = /^# yaml-language-server: \$schema=(\.\S+)\n/.exec(text)?.[1];
  assert.ok(
    schema !== undefined && existsSync(resolve(dirname(file), schema)),
    `there is a schema at ${schema ?? "-"}`,
  );

  const again = await run(["init", "pictures"], { folder });
  assert.deepEqual([again.code, await readFile(file, "utf8")], [2, text]);
  assert.match(again.err, /Use --force to overwrite it/);
  const forced = await run(["init", "pictures", "--force", "--json"], { folder });
  assert.deepEqual([forced.code, JSON.parse(forced.out)], [0, { file }]);
  assert.match(await readFile(file, "utf8"), /^# teacher: /m);
});

function packageRoot(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, "package.json"))) folder = dirname(folder);
  return folder;
}

test("a file that the system does not let be used is said to be one, not a fault of Sluice", async (t) => {
  const folder = await temporaryFolder(t);
  await symlink("loop", join(folder, "loop"));
  for (const args of [
    ["ingest", "loop", "--teacher", "loop"],
    ["teacher", "add", "loop"],
  ]) {
    const { code, err } = await run(args, { folder });
    assert.equal(code, 1);
    assert.match(err, /^error E_FILE: Expected to use .*loop, found: ELOOP: .* Mend its permissions or the disk/m, err);
  }
});
