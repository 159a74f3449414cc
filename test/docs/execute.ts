import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "../../cli/program.js";
import { recordedTerminal } from "../cli/recorded-terminal.js";
import { missingLine, type Block } from "./blocks.js";
import { makeFixture } from "./make-fixture.js";
import { shellLines } from "./shell-lines.js";

/** The command as compiled with this test, and what hidden blocks make pictures and a model with. */
const MAIN = join(import.meta.dirname, "..", "..", "cli", "main.js");
const FIXTURES = join(import.meta.dirname, "fixtures.js");

interface Ran {
  /** null where a signal ended it */
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

type Run = (script: string) => Ran;

export interface ExecuteOptions {
  /** Each block by a shell, each command a process of its own. By default what needs no shell runs in this process: most of what it takes is loading libraries. */
  readonly byShell?: boolean;
}

/**
 * Runs a document's blocks in their order, in one fresh folder, with `sluice` and `npx sluice` as they are compiled here.
 * Returns what did not go as the document says, with its line; stops at the first.
 */
export async function executeBlocks(
  document: string,
  blocks: readonly Block[],
  { byShell = false }: ExecuteOptions = {},
): Promise<string | null> {
  const scratch = realpathSync(mkdtempSync(join(tmpdir(), "sluice-docs-")));
  try {
    const folder = join(scratch, "work");
    mkdirSync(folder);
    const run = shellIn(scratch, folder);
    for (const { line, script, exitCode, output } of blocks) {
      const { code, out, err } = byShell ? run(script) : await ranHere(script, folder, run);
      const printed = `${out}${err}`;
      const place = `${document}:${line}`;
      if (code !== exitCode) {
        return `${place}: expected exit code ${exitCode}, found ${code ?? "none"}\n${script}\n${printed}`;
      }
      const missing = missingLine(output, printed);
      if (missing !== null) return `${place}: expected a line "${missing}" in the output of\n${script}\n${printed}`;
    }
    return null;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** A shell that knows the commands, as a person's does. */
function shellIn(scratch: string, folder: string): Run {
  const commands = join(scratch, "bin");
  mkdirSync(commands);
  const command = (name: string, script: string): void => {
    writeFileSync(join(commands, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  };
  command("sluice", `exec "${process.execPath}" "${MAIN}" "$@"`);
  command("fixtures", `exec "${process.execPath}" "${FIXTURES}" "$@"`);
  command("npx", `[ "$1" = sluice ] || { echo "here npx runs sluice alone" >&2; exit 64; }\nshift\nexec sluice "$@"`);
  const environment = Object.entries(process.env).filter(
    ([name]) => !/^(SLUICE_(?!TFJS_NATIVE)|NODE_TEST_CONTEXT)/.test(name),
  );
  return (script) => {
    const { status, stdout, stderr } = spawnSync("sh", ["-e", "-c", script], {
      cwd: folder,
      encoding: "utf8",
      env: { ...Object.fromEntries(environment), PATH: `${commands}:${process.env["PATH"] ?? ""}` },
    });
    return { code: status, out: stdout, err: stderr };
  };
}

/** Line by line, to the first that fails: this command's own lines in this process, the others by a shell. */
async function ranHere(script: string, folder: string, run: Run): Promise<Ran> {
  const lines = shellLines(script);
  if (lines === null) return run(script);
  const whole = { out: "", err: "" };
  for (const line of lines) {
    const { code, out, err } = "words" in line ? await ranWords(line.words, folder, run) : run(line.text);
    whole.out += out;
    whole.err += err;
    if (code !== 0) return { code, ...whole };
  }
  return { code: 0, ...whole };
}

async function ranWords(words: readonly string[], folder: string, run: Run): Promise<Ran> {
  const [name, ...args] = words[0] === "npx" && words[1] === "sluice" ? words.slice(1) : words;
  if (name === "sluice") {
    const terminal = { ...recordedTerminal({ folder }), nowMs: Date.now };
    const code = await runProgram(args, terminal);
    return { code, out: terminal.stdout.text, err: terminal.stderr.text };
  }
  if (name === "fixtures" && (await makeFixture(args, folder))) return { code: 0, out: "", err: "" };
  return run(words.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(" "));
}
