import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { documents, ROOT, textOf } from "./architecture/repository.js";
import { executableBlocks, missingLine } from "./docs/blocks.js";
import { executeBlocks } from "./docs/execute.js";
import { shellLines } from "./docs/shell-lines.js";

for (const document of documents()) {
  const blocks = executableBlocks(textOf(document));
  if (blocks.length > 0) {
    test(`the commands of ${document} do what it says`, async () => {
      // What people type first runs as they type it.
      assert.equal(await executeBlocks(document, blocks, { byShell: document === "README.md" }), null);
    });
  }
}

test("the README's line that declares a trigger does so in a bucket that has nothing yet", async () => {
  const [line] = /^npx sluice datasets set default .*trigger=.*$/m.exec(textOf("README.md"))!;
  const script = `${line}\nsluice datasets show default`;
  assert.equal(
    await executeBlocks("README.md", [{ line: 1, script, exitCode: 0, output: ['trigger …{"elapsedMs":60000}'] }]),
    null,
  );
});

test("relative links in documents lead to files", () => {
  const broken = documents().flatMap((document) => {
    const prose = textOf(document).replace(/^```[\s\S]*?^```/gm, "");
    return [...prose.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)]
      .map((link) => link[1]!)
      .filter((target) => !/^[a-z]+:/.test(target) && !existsSync(join(ROOT, document, "..", target)))
      .map((target) => `${document}: ${target}`);
  });
  assert.deepEqual(broken, []);
});

test("only marked blocks are executed, with their lines, codes and outputs", () => {
  const markdown = [
    "# A page",
    "```sh",
    "never this",
    "```",
    "<!-- run",
    "mkdir pictures",
    "-->",
    "```sh run exit=2",
    "sluice nonsense",
    "sluice more",
    "```",
    "```text output",
    "error …",
    "",
    "```",
  ].join("\n");
  assert.deepEqual(executableBlocks(markdown), [
    { line: 6, script: "mkdir pictures", exitCode: 0, output: [] },
    { line: 9, script: "sluice nonsense\nsluice more", exitCode: 2, output: ["error …"] },
  ]);
  assert.throws(() => executableBlocks("```sh run\nsluice"), /line 1: this block is not closed/);
  assert.throws(() => executableBlocks("```text output\nx\n```"), /line 1: output without a block/);
});

test("expected lines are found in their order, with … for anything", () => {
  const output = "scored 12 images (3 quarantined)\nversion 1: 40 rows\n";
  assert.equal(missingLine(["scored … images (… quarantined)", "version 1: … rows"], output), null);
  assert.equal(missingLine(["version 1: … rows", "scored …"], output), "scored …");
  assert.equal(missingLine(["version 1"], output), "version 1");
});

test("a document whose command fails, or prints something else, is found out", async () => {
  const page = (line: string, rest = ""): Promise<string | null> =>
    executeBlocks("page.md", executableBlocks(`\n\`\`\`sh run\n${line}\n\`\`\`\n${rest}`));
  assert.equal(await page("sluice --version && npx sluice init pictures && test -f pictures/sluice.yaml"), null);
  assert.match((await page("sluice inti"))!, /^page\.md:3: expected exit code 0, found 2\n.*\nerror E_USAGE: /);
  assert.match((await page("false; true"))!, /expected exit code 0, found 1/);
  assert.match((await page("npx cowsay moo"))!, /expected exit code 0, found 64/);
  assert.match((await page("echo one", "```text output\ntwo\n```\n"))!, /expected a line "two"/);
});

test("lines that need no shell are told from those that do", () => {
  assert.deepEqual(shellLines("sluice a 'b c' --set x.y=\"d\"  # why\n\n# only this\nnpx sluice b"), [
    { words: ["sluice", "a", "b c", "--set", "x.y=d"] },
    { words: ["npx", "sluice", "b"] },
  ]);
  for (const text of [
    "sluice a | head",
    "sluice a && b",
    "cp *.png x",
    "sluice $HOME",
    'sluice "$(b)"',
    "sluice a > b",
  ])
    assert.deepEqual(shellLines(text), [{ text }]);
  for (const text of ["cd a\nsluice b", "A=1\nsluice b", "cat <<END\nsluice b\nEND", "A=1 sluice b", "sluice a \\\n b"])
    assert.equal(shellLines(text), null);
});
