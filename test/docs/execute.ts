import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { missingLine, type Block } from "./blocks.js";

/** The command as compiled with this test, and what hidden blocks make pictures and a model with. */
const MAIN = join(import.meta.dirname, "..", "..", "cli", "main.js");
const FIXTURES = join(import.meta.dirname, "fixtures.js");

/**
 * Runs a document's blocks in their order, in one fresh folder, with `sluice` and `npx sluice` as they are compiled here.
 * Returns what did not go as the document says, with its line; stops at the first.
 */
export function executeBlocks(document: string, blocks: readonly Block[]): string | null {
  const scratch = realpathSync(mkdtempSync(join(tmpdir(), "sluice-docs-")));
  try {
    const commands = join(scratch, "bin");
    const folder = join(scratch, "work");
    mkdirSync(commands);
    mkdirSync(folder);
    const command = (name: string, script: string): void => {
      writeFileSync(join(commands, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    };
    command("sluice", `exec "${process.execPath}" "${MAIN}" "$@"`);
    command("fixtures", `exec "${process.execPath}" "${FIXTURES}" "$@"`);
    command("npx", `[ "$1" = sluice ] || { echo "here npx runs sluice alone" >&2; exit 64; }\nshift\nexec sluice "$@"`);

    const environment = Object.entries(process.env).filter(
      ([name]) => !/^(SLUICE_(?!TFJS_NATIVE)|NODE_TEST_CONTEXT)/.test(name),
    );
    for (const { line, script, exitCode, output } of blocks) {
      const run = spawnSync("sh", ["-e", "-c", script], {
        cwd: folder,
        encoding: "utf8",
        env: { ...Object.fromEntries(environment), PATH: `${commands}:${process.env["PATH"] ?? ""}` },
      });
      const printed = `${run.stdout}${run.stderr}`;
      const place = `${document}:${line}`;
      if (run.status !== exitCode) {
        return `${place}: expected exit code ${exitCode}, found ${run.status ?? run.signal ?? "none"}\n${script}\n${printed}`;
      }
      const missing = missingLine(output, printed);
      if (missing !== null) return `${place}: expected a line "${missing}" in the output of\n${script}\n${printed}`;
    }
    return null;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
