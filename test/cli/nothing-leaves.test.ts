import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { writeSmallTeacher } from "../fixtures/models.js";
import { writePictures } from "../fixtures/pictures.js";
import { temporaryFolder } from "../fixtures/temporary-folder.js";

const MAIN = join(import.meta.dirname, "..", "..", "cli", "main.js");

/** Everything that a process and its children open for writing, and every address that they talk to. */
const TRACED = "trace=network,openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink";

/** null where the system has no tracer that works here */
function tracer(to: string): string[] | null {
  const tried = spawnSync("strace", ["-f", "--seccomp-bpf", "-o", "/dev/null", "true"], { stdio: "ignore" });
  return tried.status === 0 ? ["strace", "-f", "--seccomp-bpf", "-qq", "-s", "4096", "-o", to, "-e", TRACED] : null;
}

async function site(t: TestContext): Promise<{ folder: string; home: string; temporary: string }> {
  const folder = await temporaryFolder(t);
  const [home, temporary] = [join(folder, "home"), join(folder, "temporary")];
  await mkdir(home);
  await mkdir(temporary);
  await writePictures(join(folder, "pictures"), { images: 24 });
  return { folder, home, temporary };
}

const cases = [
  { format: "onnx", engine: ["--set", "engine.isolation=thread"] },
  { format: "onnx", engine: ["--set", "engine.isolation=process"] },
  { format: "tfjs-graph", engine: ["--backend", "cpu"] },
] as const;

for (const { format, engine } of cases) {
  test(`an ingest with ${format} (${engine.join(" ")}) talks to nobody and writes nothing outside its data folder`, async (t) => {
    const { folder, home, temporary } = await site(t);
    await writeSmallTeacher(join(folder, "teacher"), format);
    const trace = join(folder, "trace");
    const traced = tracer(trace);
    if (traced === null) t.diagnostic("no strace that works here: only the files are looked at, not the sockets");
    const [command, ...args] = [
      ...(traced ?? []),
      process.execPath,
      MAIN,
      ...["ingest", "pictures", "--teacher", "teacher", "--k", "5", "--p", "1", "--workers", "2", ...engine],
    ];
    const ran = spawnSync(command!, args, {
      cwd: folder,
      // Were the library's own switch inherited, the test would say nothing.
      env: { PATH: process.env["PATH"], HOME: home, TMPDIR: temporary },
      encoding: "utf8",
    });
    assert.equal(ran.status, 0, ran.stderr);
    assert.deepEqual(await readdir(home, { recursive: true }), [], "files in the home folder");
    assert.deepEqual(await readdir(temporary, { recursive: true }), [], "files in the temporary folder");
    assert.deepEqual((await readdir(folder)).sort(), [
      "home",
      "pictures",
      "sluice-data",
      "teacher",
      "temporary",
      ...(traced === null ? [] : ["trace"]),
    ]);
    if (traced === null) return;
    const lines = (await readFile(trace, "utf8")).split("\n");
    const outward = lines.filter((line) => /AF_INET/.test(line) && !/127\.0\.0\.1|"::1"/.test(line));
    assert.deepEqual(outward, [], "sockets beyond this machine");
    const written = lines.filter((line) =>
      /O_CREAT|O_WRONLY|O_RDWR|\b(creat|mkdir\w*|rename\w*|link\w*|symlink)\(/.test(line),
    );
    const places = written.flatMap((line) => [...line.matchAll(/"(\/[^"]*)"/g)].map(([, path]) => path!));
    const stray = places.filter((path) => !path.startsWith(`${folder}/sluice-data`) && !/^\/(dev|proc)\//.test(path));
    assert.deepEqual([...new Set(stray)], [], "files opened for writing outside the data folder");
  });
}
