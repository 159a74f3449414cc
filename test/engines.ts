// Runs the tests of engines and training on every backend that this machine has, the native ones included, and says loudly which
// it could not run: `npm run test:engines [-- --require <backend> …]`. A backend that is required and absent is a failure.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { BACKENDS } from "../connectors/engine/backends.js";
import { cachedBuild } from "../connectors/native-tfjs.js";

const { values } = parseArgs({ options: { require: { type: "string", multiple: true, default: [] } } });
const states = BACKENDS.map((one) => ({ label: `${one.kind} ${one.name}`, name: one.name, absence: one.absence() }));
const present = states.filter(({ absence }) => absence === null);
const absent = states.filter(({ absence }) => absence !== null);

const files = readdirSync(import.meta.dirname, { recursive: true, encoding: "utf8" }).sort();
const native = files.filter((file) => file.endsWith(".native.js"));
const portable = files.filter((file) => /^connectors[\\/](engine|trainer)[\\/].*\.test\.js$/.test(file));

print(`engines on this machine: ${present.map(({ label }) => label).join(", ")}`);
const failures: string[] = [];
run("every backend that is present", [...portable, ...native], {});
if (cachedBuild("cpu") !== null && cachedBuild("gpu") !== null) {
  run("the native library for GPUs, as backend node too", native, { SLUICE_TFJS_NATIVE: "gpu" });
}

print("");
for (const { label, absence } of absent) print(`NOT RUN: ${label}: ${absence ?? ""}`);
for (const variant of ["cpu", "gpu"] as const) {
  if (cachedBuild(variant) === null) {
    print(`NOT RUN: native TensorFlow.js built for ${variant}: npm run tfjs-native -- ${variant} builds it`);
  }
}
for (const name of values.require) {
  if (!present.some((one) => one.name === name)) failures.push(`backend ${name} is required, and not here`);
}
for (const failure of failures) print(`FAILED: ${failure}`);
if (failures.length === 0) print(`engine tests passed on ${present.map(({ label }) => label).join(", ")}`);
process.exit(failures.length === 0 ? 0 : 1);

function run(what: string, names: readonly string[], environment: Readonly<Record<string, string>>): void {
  print(`\n--- ${what}`);
  const paths = names.map((file) => relative(process.cwd(), join(import.meta.dirname, file)));
  const { status } = spawnSync(
    process.execPath,
    ["--enable-source-maps", "--test", "--test-reporter=spec", "--test-concurrency=2", ...paths],
    { stdio: "inherit", env: { ...process.env, ...environment } },
  );
  if (status !== 0) failures.push(what);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
