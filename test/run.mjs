// Runs the compiled tests of one kind under node's own runner: `node test/run.mjs unit|integration [part of a path …]`.
// `*.test.ts` are unit tests (no network, server or GPU), `*.integration.ts` start the real services themselves. `*.native.ts` need a
// native TensorFlow.js and are run by engines.ts; unit tests do without it where it is built, so that they are the same everywhere.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";

const root = join(import.meta.dirname, "..");
const built = process.env.SLUICE_BUILD ?? join(root, "dist");
const [kind = "unit", ...parts] = process.argv.slice(2);
const ending = kind === "integration" ? ".integration.js" : ".test.js";
const files = readdirSync(join(built, "test"), { recursive: true, encoding: "utf8" })
  // What an earlier build left of a test that has moved since is none.
  .filter((file) => existsSync(join(root, "test", file.replace(/\.js$/, ".ts"))))
  .filter((file) => file.endsWith(ending) && (parts.length === 0 || parts.some((part) => file.includes(part))))
  .sort()
  .map((file) => relative(process.cwd(), join(built, "test", file)));
if (files.length === 0) {
  console.error(`No ${kind} tests match ${parts.join(", ") || "*"} under ${built}; run \`npm run build\` first.`);
  process.exit(1);
}
const run = spawnSync(
  process.execPath,
  ["--enable-source-maps", "--test", "--test-reporter=spec", "--test-concurrency=2", ...files],
  { stdio: "inherit", env: kind === "unit" ? { SLUICE_TFJS_NATIVE: "none", ...process.env } : process.env },
);
process.exit(run.status ?? 1);
