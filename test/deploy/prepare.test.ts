import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

const PREPARE = join(import.meta.dirname, "..", "..", "..", "deploy", "prepare.mjs");

test("the first `npx sluice` takes what is built as it is; an install builds", () => {
  // Without a PATH there is no npm to build with.
  const prepare = (command: string): number | null =>
    spawnSync(process.execPath, [PREPARE], { env: { npm_command: command, PATH: "" }, stdio: "ignore" }).status;
  assert.equal(prepare("exec"), 0);
  assert.notEqual(prepare("ci"), 0);
});
