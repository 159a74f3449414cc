// Publishes a version and reads it back, all rows of it, by the libraries that people load it with: `npm run test:readers`. The
// libraries are installed into the cache on first use. `-- --heavy` adds PyTorch and TensorFlow (6 GB); `-- --require` fails where
// a library cannot be installed, which is a printed skip otherwise.
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { repositoryFolder } from "../bench/cache.js";
import { pythonWith } from "../bench/python-peers.js";
import { openFilesystemStore } from "../connectors/store/filesystem/filesystem-store.js";
import { exportedRows, groupsOfVersion } from "../pipelines/console/exported-rows.js";
import { exportVersion } from "../pipelines/export/export-version.js";
import { openExportTarget } from "../pipelines/export/export-target.js";
import { readIndexColumns } from "../pipelines/versions/versions.js";
import { EXPORT_FORMATS } from "../schemas/export-format.js";
import type { Manifest } from "../schemas/manifest.js";
import { publishExample } from "./readers/published-example.js";

const LIGHT = [
  "datasets==5.2.0",
  "webdataset==1.0.2",
  "duckdb==2.0.1",
  "polars==2.1.0",
  "pandas==3.1.1",
  "pyarrow==26.0.1",
  "pillow==13.0.0",
  "mlcroissant==1.1.1",
];
const HEAVY = [...LIGHT, "torch==2.15.0", "tensorflow-cpu==2.21.0"];

const { values } = parseArgs({
  options: { heavy: { type: "boolean", default: false }, require: { type: "boolean", default: false } },
});
const root = await mkdtemp(join(tmpdir(), "sluice-readers-"));
const failures: string[] = [];
const skips: string[] = [];
try {
  const { folder, manifest } = await publishExample(root);
  await exportRows(manifest);
  await exportForms(manifest);
  print(`a version of ${manifest.totals.rows} rows, ${manifest.totals.bytesAbsent} of them without bytes`);
  await read("light.py", LIGHT, folder);
  if (values.heavy) await read("heavy.py", HEAVY, folder);
  else skips.push("PyTorch and TensorFlow: by hand, npm run test:readers -- --heavy");
} finally {
  await rm(root, { recursive: true, force: true });
}
for (const skip of skips) print(`NOT RUN: ${skip}`);
for (const failure of failures) print(`FAILED: ${failure}`);
process.exit(failures.length === 0 ? 0 : 1);

/** What `GET …/rows?format=` answers, beside the version. */
async function exportRows(manifest: Manifest): Promise<void> {
  const store = await openFilesystemStore(root);
  for (const format of ["arrow", "parquet"] as const) {
    const rows = exportedRows(groupsOfVersion(readIndexColumns(store, manifest)), format);
    await writeFile(join(root, `rows.${format}`), rows);
  }
  await store.close();
}

/** What `versions export` writes: `exports/<form>`, beside the version. */
async function exportForms(manifest: Manifest): Promise<void> {
  const store = await openFilesystemStore(root);
  for (const as of EXPORT_FORMATS) {
    const target = await openExportTarget(join(root, "exports", as), undefined);
    await exportVersion(store, manifest, target, { as });
    await target.close();
  }
  await store.close();
}

async function read(script: string, packages: readonly string[], folder: string): Promise<void> {
  print(`\n--- ${script}`);
  const python = await pythonWith(packages, print);
  if (python === null) {
    (values.require ? failures : skips).push(`${script}: its libraries are not here, see above`);
    return;
  }
  const path = join(repositoryFolder(), "test", "readers", script);
  const { status } = spawnSync(python, [path, folder, join(root, "expected.json")], {
    stdio: "inherit",
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
  });
  if (status !== 0) failures.push(script);
  if (script !== "light.py") return;
  const tests = spawnSync(python, ["-m", "unittest", "discover", "python/sluice_loader/tests"], {
    cwd: repositoryFolder(),
    stdio: "inherit",
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
  });
  if (tests.status !== 0) failures.push("the tests of python/sluice_loader");
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
