import assert from "node:assert/strict";
import { test } from "node:test";
import { catchViolations } from "./architecture/catch-rules.js";
import { dependencyViolations, type Package } from "./architecture/dependency-rules.js";
import { importViolations } from "./architecture/import-rules.js";
import { packagesLoadedBy } from "./architecture/loaded-packages.js";
import { listedPureFiles } from "./architecture/pure-files.js";
import { purityViolations } from "./architecture/purity-rules.js";
import { documents, sourceFiles, textOf } from "./architecture/repository.js";
import { parseSource, type SourceFile } from "./architecture/source-file.js";

const tree = (files: Record<string, string>): SourceFile[] =>
  Object.entries(files).map(([path, text]) => parseSource(path, text));

/** Places only: `path:line` of every violation. */
const places = (violations: readonly string[]): string[] => violations.map((text) => /^[^:]+(:\d+)?/.exec(text)![0]);

test("no merge was left unfinished", () => {
  const marked = [...documents(), ...sourceFiles().map(({ path }) => path)].filter((path) =>
    /^(<{7}|>{7}) /m.test(textOf(path)),
  );
  assert.deepEqual(marked, []);
});

test("imports run one way", () => {
  assert.deepEqual(importViolations(sourceFiles()), []);
});

test("a catch names the failure that it takes for an answer", () => {
  assert.deepEqual(catchViolations(sourceFiles()), []);
});

test("the catch rule finds what takes every failure, in whatever form it is written", () => {
  const right = {
    "connectors/a.ts": `export const a = () => b().catch((error) => { if (codeOf(error) !== "ENOENT") throw error; return null; });`,
    "connectors/b.ts": `try { a(); } catch (error) { report(error); }`,
    "connectors/c.ts": `a().catch(report); a().then(b, null);`,
    "test/d.ts": `a().catch(() => null);`,
    "cli/e.ts": `function bound() { try { a(); } catch { return null; } }`,
  };
  const wrong = {
    "connectors/f.ts": `a().catch(() => null);`,
    "pipelines/g.ts": `\ntry { a(); } catch { b(); }`,
    "operators/h.ts": `try { a(); } catch (error) { b(); }`,
    "cli/i.ts": `a().catch(function (error) { return 0; });`,
    "schemas/j.ts": `try { a(); } catch { throw new Error("it failed"); }`,
  };
  const allowed = { "cli/e.ts bound": "for a reason" };
  assert.deepEqual(catchViolations(tree(right), allowed), []);
  const found = catchViolations(tree({ ...right, ...wrong }), { ...allowed, "cli/gone.ts k": "for a reason" });
  assert.deepEqual(places(found), [
    "connectors/f.ts:1",
    "pipelines/g.ts:2",
    "operators/h.ts:1",
    "cli/i.ts:1",
    "schemas/j.ts:1",
    "cli/gone.ts k",
  ]);
});

test("what is said to be pure is there, and is pure", () => {
  const paths = new Set(sourceFiles().map(({ path }) => path));
  assert.deepEqual(
    listedPureFiles.filter((path) => !paths.has(path)),
    [],
  );
  assert.deepEqual(purityViolations(sourceFiles()), []);
});

test("every dependency is declared, used and decided", () => {
  const declared = JSON.parse(textOf("package.json")) as Package;
  assert.deepEqual(dependencyViolations(sourceFiles(), declared, textOf("docs/decisions/001-dependencies.md")), []);
});

test("the import rule finds each wrong direction, in whatever form it is written", () => {
  const allowed = {
    "schemas/a.ts": `import { z } from "zod"; import { b } from "./b.js";`,
    "schemas/b.ts": `export const b = 1;`,
    "operators/topk/topk.ts": `import { b } from "../../schemas/b.js";`,
    "operators/state/cut.ts": `import type { Store } from "../../connectors/store/store.js"; import "../topk/topk.js";`,
    "connectors/store/store.ts": `import { b } from "../../schemas/b.js";`,
    "connectors/store/filesystem/filesystem-store.ts": `import type { Store } from "../store.js";`,
    "connectors/engine/onnx/onnx-runner.ts": `import type { Store } from "../../store/store.js";`,
    "pipelines/ingest.ts": `import "../connectors/store/filesystem/filesystem-store.js"; import "../operators/state/cut.js";`,
    "cli/main.ts": `const { ingest } = await import("../pipelines/ingest.js");`,
    "test/a.test.ts": `import "../cli/main.js";`,
  };
  assert.deepEqual(importViolations(tree(allowed)), []);
  const wrong = {
    ...allowed,
    "schemas/c.ts": `\nimport { topk } from "../operators/topk/topk.js";`,
    "operators/topk/d.ts": `import type { Store } from "../../connectors/store/store.js";`,
    "operators/select/e.ts": `export { f } from "../state/cut.js";`,
    "operators/version/f.ts": `import { open } from "../../connectors/store/filesystem.js";`,
    "connectors/engine/g.ts": `import { open } from "../store/filesystem.js";`,
    "connectors/log/h.ts": `const cut = await import("../../operators/state/cut.js");`,
    "pipelines/i.ts": `import "../cli/main.js";`,
    "cli/j.ts": `import type { Store } from "../connectors/store/store.js";`,
    "cli/k.ts": `const w = new URL("../operators/topk/topk.js", import.meta.url);`,
    "bench/l.ts": `import "../test/a.test.js";`,
    "cli/m.ts": `import "../pipelines/gone.js";`,
    "cli/n.ts": `type T = import("../connectors/store/store.js").Store;`,
    "test/o.ts": `import "../bench/l.js";`,
  };
  const expected = Object.keys(wrong).slice(Object.keys(allowed).length);
  assert.deepEqual(places(importViolations(tree(wrong))), [
    "schemas/c.ts:2",
    ...expected.slice(1).map((path) => `${path}:1`),
  ]);
});

test("the purity rule finds I/O, clocks, chance and waiting, and leaves functions of their input alone", () => {
  const pure = `
    import { createHash, type Hash } from "node:crypto";
    import { z } from "zod";
    interface Out { process: string; fetch(): void }
    export const at = (ms: number) => new Date(ms).toISOString() + Date.UTC(2026, 1);
    export const f = (out: Out, values: { Promise: number }) => [out.process, values.Promise, Math.max(1, 2)];
    // process.exit(), await, Math.random()
    export const text = "setTimeout";`;
  assert.deepEqual(purityViolations(tree({ "operators/topk/good.ts": pure })), []);
  const impure = [
    `import { readFileSync } from "node:fs";`,
    `import net from "node:net";`,
    `import { randomBytes } from "node:crypto";`,
    `import * as crypto from "node:crypto";`,
    `import sharp from "sharp";`,
    `export const f = () => Date.now();`,
    `export const f = () => new Date();`,
    `export const f = Date;`,
    `export const f = () => Math.random();`,
    `export const f = () => crypto.randomUUID();`,
    `export const f = () => setTimeout(() => 1, 2);`,
    `export const f = () => process.env;`,
    `export const f = async () => 1;`,
    `export const f = () => Promise.resolve(1);`,
    `export const f = () => fetch("x");`,
    `export const f = () => import("./x.js");`,
    `export class C { async run() { return 1; } }`,
  ];
  for (const line of impure) {
    const found = places(purityViolations(tree({ "operators/topk/bad.ts": `\n${line}` })));
    assert.deepEqual([...new Set(found)], ["operators/topk/bad.ts:2"], line);
    assert.deepEqual(purityViolations(tree({ "operators/version/same.ts": line })), [], "others may");
  }
});

test("the dependency rule finds what is undeclared, unused, undecided or only for development", () => {
  const declared: Package = {
    dependencies: { zod: "1", "@scope/used": "1", idle: "1" },
    peerDependencies: { sought: "1", forgotten: "1" },
    devDependencies: { typescript: "1", tool: "1", "fast-check": "1", "@types/node": "1", "@types/idle-typed": "1" },
    scripts: { build: "tsc -p ." },
  };
  const files = tree({
    "schemas/a.ts": `import { z } from "zod"; import fs from "node:fs"; import path from "path";`,
    "cli/b.ts": `import x from "@scope/used/deep/file.js"; import y from "absent";`,
    "cli/c.ts": `import fc from "fast-check"; const NAME = "sought";`,
    "test/d.test.ts": `import fc from "fast-check"; const t = createRequire(import.meta.url).resolve("tool/package.json");`,
  });
  const decisions =
    "`zod` `@scope/used` `idle` `sought` `forgotten` `tool` `typescript` `@types/node` `@types/idle-typed`";
  assert.deepEqual(dependencyViolations(files, declared, decisions), [
    "cli/b.ts:1: imports absent, which package.json does not declare",
    "cli/c.ts:1: imports fast-check, which is installed for development only",
    "package.json: declares idle, which nothing uses",
    "package.json: declares forgotten, which nothing uses",
    "package.json: declares fast-check, which has no line in docs/decisions/001-dependencies.md",
    "package.json: declares @types/idle-typed, which nothing uses",
  ]);
});

test("threads that an ingest starts load what they work with alone", () => {
  // Each costs a start, and libraries of columns and of checks cost more than all else that a thread loads.
  assert.deepEqual(packagesLoadedBy("pipelines/flow/decode-worker.ts"), ["sharp"]);
  assert.deepEqual(packagesLoadedBy("connectors/engine/pool/worker.ts"), []);
});
