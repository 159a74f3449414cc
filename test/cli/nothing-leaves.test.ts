import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cp, mkdir, readdir, readFile, rm } from "node:fs/promises";
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

/** Under the tracer, where there is one, with an empty home: what is written outside `places` (folders or files of `folder`), and whom it talks to. */
async function runTraced(
  t: TestContext,
  { folder, home, temporary }: Awaited<ReturnType<typeof site>>,
  program: readonly string[],
  places: readonly string[],
): Promise<void> {
  const before = await readdir(folder);
  const trace = join(folder, "trace");
  const traced = tracer(trace);
  if (traced === null) t.diagnostic("no strace that works here: only the files are looked at, not the sockets");
  const [command, ...args] = [...(traced ?? []), process.execPath, ...program];
  const ran = spawnSync(command!, args, {
    cwd: folder,
    // Were the library's own switch inherited, the test would say nothing.
    env: { PATH: process.env["PATH"], HOME: home, TMPDIR: temporary },
    encoding: "utf8",
  });
  assert.equal(ran.status, 0, ran.stderr);
  assert.deepEqual(await readdir(home, { recursive: true }), [], "files in the home folder");
  assert.deepEqual(await readdir(temporary, { recursive: true }), [], "files in the temporary folder");
  const made = places.map((place) => place.split("/")[0]!);
  assert.deepEqual(
    (await readdir(folder)).sort(),
    [...new Set([...before, ...made, ...(traced === null ? [] : ["trace"])])].sort(),
  );
  if (traced === null) return;
  const lines = (await readFile(trace, "utf8")).split("\n");
  const outward = lines.filter((line) => /AF_INET/.test(line) && !/127\.0\.0\.1|"::1"/.test(line));
  assert.deepEqual(outward, [], "sockets beyond this machine");
  // A folder that is there already is not made.
  const written = lines.filter(
    (line) =>
      /O_CREAT|O_WRONLY|O_RDWR|\b(creat|mkdir\w*|rename\w*|link\w*|symlink)\(/.test(line) &&
      !line.includes("= -1 EEXIST"),
  );
  const paths = written.flatMap((line) => [...line.matchAll(/"(\/[^"]*)"/g)].map(([, path]) => path!));
  const isOwn = (path: string): boolean => places.some((place) => path.startsWith(join(folder, place)));
  const stray = paths.filter((path) => !isOwn(path) && !/^\/(dev|proc)\//.test(path));
  assert.deepEqual([...new Set(stray)], [], "files opened for writing elsewhere");
}

const ingest = ["ingest", "pictures", "--teacher", "teacher", "--k", "5", "--p", "1"];

for (const { format, engine } of [
  { format: "onnx", engine: ["--set", "engine.isolation=process"] },
  { format: "tfjs-graph", engine: ["--backend", "cpu"] },
] as const) {
  test(`an ingest with ${format} (${engine.join(" ")}) talks to nobody and writes nothing outside its data folder`, async (t) => {
    const there = await site(t);
    await writeSmallTeacher(join(there.folder, "teacher"), format);
    await runTraced(t, there, [MAIN, ...ingest, "--workers", "2", ...engine], ["sluice-data"]);
  });
}

test("so does every other command: each writes only what it is asked to", async (t) => {
  const there = await site(t);
  const { folder } = there;
  await writeSmallTeacher(join(folder, "teacher"), "onnx");
  await rm(join(folder, "teacher", "model-card.json"));
  await cp(join(folder, "pictures"), join(folder, "elsewhere"), { recursive: true });
  for (const [seed, set] of ["labelled", "test"].entries()) {
    let at = 0;
    await writePictures(join(folder, set), { images: 40 }, 2 + seed, () => `class-${at % 10}/${at++}.png`);
  }
  const steps = ["--pretrain-steps", "3", "--fine-tune-steps", "3", "--baseline-steps", "3"];
  const commands = [
    ["check"],
    ["teacher", "add", "teacher", "--normalise", "unit", "--try", "pictures", "--try-count", "2"],
    ["teacher", "calibrate", "teacher", "--on", "labelled"],
    ["train", "teacher", "labelled", "--test", "test", "--out", "trained", "--side", "8", "--steps", "3"],
    ["--set", "engine.isolation=thread", ...ingest],
    ["datasets", "list"],
    ["status"],
    ["quarantine", "list"],
    ["whatif", "--k", "2,4", "--plot", "what-if.svg"],
    ["label", "not", "class-9", "--rows", "class-9:1"],
    ["rebuild"],
    ["versions", "list"],
    ["versions", "show", "latest"],
    ["versions", "diff", "1", "latest"],
    ["versions", "verify", "latest"],
    ["reproduce", "latest"],
    ["compact"],
    ["archive", "verify"],
    ["relocate", "pictures", "elsewhere"],
    ["train", "student", "labelled", "--test", "test", "--out", "student", "--side", "8", ...steps],
    ["init"],
  ];
  const typed = join(import.meta.dirname, "..", "fixtures", "type-commands.js");
  await runTraced(
    t,
    there,
    [typed, JSON.stringify(commands)],
    ["sluice-data", "sluice.yaml", "teacher/model-card.json", "trained", "student", "what-if.svg"],
  );
});
