// Runs the compiled tests of one kind under node's own runner: `node test/run.mjs unit|integration|web [part of a path …]`.
// `*.test.ts` are unit tests (no network, server or GPU), `*.integration.ts` start the real services themselves, `*.browser.ts` a Chromium. `*.native.ts` need a
// native TensorFlow.js and are run by engines.ts; unit tests do without it where it is built, so that they are the same everywhere.
//
// Unit tests of one folder share processes, some files each: loading the libraries takes longer than most tests do. Each file is a suite of its own there, so that its hooks
// are called around its own tests alone. A process to itself has a file that lies in no folder.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";

const root = join(import.meta.dirname, "..");
const built = process.env.SLUICE_BUILD ?? join(root, "dist");
const [kind = "unit", ...parts] = process.argv.slice(2);
const ending = { integration: ".integration.js", web: ".browser.js" }[kind] ?? ".test.js";
const sourceOf = (file) => join(root, "test", file.replace(/\.js$/, ".ts"));
const files = readdirSync(join(built, "test"), { recursive: true, encoding: "utf8" })
  // What an earlier build left of a test that has moved since is none.
  .filter((file) => existsSync(sourceOf(file)))
  .filter((file) => file.endsWith(ending) && (parts.length === 0 || parts.some((part) => file.includes(part))))
  .sort();
if (files.length === 0) {
  console.error(`No ${kind} tests match ${parts.join(", ") || "*"} under ${built}; run \`npm run build\` first.`);
  process.exit(1);
}

/** A module of one suite a file. A suite takes what is registered while it is called: none of the files may await outside its tests. */
function suites(members) {
  const lines = members.map((file) => {
    const path = JSON.stringify(join(built, "test", file));
    return `describe(${JSON.stringify(sourceOf(file))}, () => void require(${path}));\n`;
  });
  return [
    'import { createRequire } from "node:module";\nimport { describe } from "node:test";\n',
    "const require = createRequire(import.meta.url);\n",
    ...lines,
  ].join("");
}

/** Files of one process at most: those of a large folder do not wait for each other on one core */
const MOST_FILES = 10;
/** Files that share a process, by a name for it */
const groups = new Map();
for (const file of files) {
  const isAlone = kind !== "unit" || dirname(file) === ".";
  const folder = dirname(file).split("/").slice(0, 2).join("-");
  for (let part = 1; ; part++) {
    const name = isAlone ? file : `${folder}-${part}`;
    const members = groups.get(name) ?? [];
    if (members.length >= MOST_FILES) continue;
    groups.set(name, [...members, file]);
    break;
  }
}
const folder = mkdtempSync(join(tmpdir(), "sluice-tests-"));
try {
  const entries = [...groups].map(([name, members]) => {
    if (members.length === 1) return relative(process.cwd(), join(built, "test", members[0]));
    const entry = join(folder, `${name}.mjs`);
    writeFileSync(entry, suites(members));
    return entry;
  });
  const run = spawnSync(
    process.execPath,
    [
      "--enable-source-maps",
      "--test",
      "--test-reporter=spec",
      // Unit tests wait for disks and threads more than half of the time.
      `--test-concurrency=${{ web: 1, integration: 2 }[kind] ?? Math.max(3, availableParallelism())}`,
      ...entries,
    ],
    { stdio: "inherit", env: kind === "unit" ? { SLUICE_TFJS_NATIVE: "none", ...process.env } : process.env },
  );
  process.exitCode = run.status ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
