import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { packageFile } from "../../cli/package-root.js";
import { printedFiles } from "../../cli/reference/pages.js";

test("the files printed from the code are up to date; `npm run schema` prints them", async () => {
  for (const [path, text] of await printedFiles()) {
    const before = (await readFile(packageFile(path), "utf8").catch(() => "")).split("\n");
    const now = text.split("\n");
    const at = now.findIndex((line, index) => line !== before[index]);
    assert.ok(
      at === -1 && now.length === before.length,
      `${path}:${at + 1} should read "${now[at] ?? ""}": run \`npm run schema\``,
    );
  }
});
