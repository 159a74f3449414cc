import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { writePictures } from "../fixtures/pictures.js";
import { CommandFolder, type Ran, type Ingested, type Published } from "../fixtures/command-folder.js";

const MAIN = join(import.meta.dirname, "..", "..", "cli", "main.js");

let place: CommandFolder;

before(async () => {
  place = await CommandFolder.make({
    images: 120,
    duplicates: 10,
    broken: 4,
    datasets: "[{ name: flowers, select: { k: 20, p: 3 } }]",
  });
});

after(() => place.remove());

const sluice = (args: readonly string[]): Promise<Ran> => place.sluice(...args);

/** The command as a process of its own, as a person starts it. `onErr` sees what it has written to stderr so far. */
async function started(
  args: string[],
  onErr: (text: string, kill: (signal: NodeJS.Signals) => void) => void = () => undefined,
): Promise<Ran> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: place.path,
    env: { PATH: process.env["PATH"], HOME: place.path },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => {
    err += chunk.toString();
    onErr(err, (signal) => child.kill(signal));
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, out, err };
}

async function json<T>(args: string[]): Promise<T> {
  const { code, out, err } = await sluice([...args, "--json"]);
  assert.equal(code, 0, `${args.join(" ")}: ${out}`);
  const said = err.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as { type: string }]));
  assert.deepEqual(
    [...new Set(said.map(({ type }) => type))].filter((type) => type !== "note"),
    [],
    err,
  );
  return JSON.parse(out) as T;
}

test("from a folder of pictures to a version that verifies, by commands alone", async () => {
  const ingested = await json<Ingested>(["ingest", "pictures"]);
  assert.deepEqual([ingested.counts.scored, ingested.counts.copied, ingested.counts.quarantined], [120, 10, 4]);
  const [first] = ingested.published;
  assert.deepEqual([first.dataset, first.number, first.outcome], ["flowers", 1, "created"]);

  const again = await sluice(["ingest", "pictures"]);
  assert.match(again.out, /^Scored 0 images\.\nDataset flowers, version 1 is this already/);

  const list = await json<{ versions: { id: string; rows: number }[] }>(["versions", "list"]);
  assert.deepEqual(
    list.versions.map(({ id, rows }) => [id, rows]),
    [[first.id, first.rows]],
  );
  const manifest = await json<{ id: string; classes: { count: number }[] }>(["versions", "show", "latest"]);
  assert.equal(manifest.id, first.id);
  assert.equal(
    manifest.classes.reduce((sum, { count }) => sum + count, 0),
    first.rows,
  );
  const shown = await sluice(["versions", "show", "flowers/1", "--classes", "3"]);
  assert.match(shown.out, /134 in = 120 scored \+ 10 copied \+ 4 quarantined \+ 0 lost/);
  assert.match(shown.out, /… and 7 more \(--classes\)$/m);

  const verified = await sluice(["versions", "verify", "latest"]);
  assert.equal(verified.code, 0, verified.err);
  assert.match(verified.out, /^Version flowers\/1 is what it says: .*134 records add up with the archive\.$/m);
});

test("rebuild makes another version from the scores alone, and diff says what went", async () => {
  await rename(join(place.path, "teacher"), join(place.path, "teacher-away"));
  try {
    const rebuilt = await json<Published>(["rebuild", "--set", "datasets[0].select.k=5"]);
    assert.deepEqual([rebuilt.number, rebuilt.outcome], [2, "created"]);
    const diff = await json<{ totals: { added: number; removed: number; kept: number }; parameters: object[] }>([
      "versions",
      "diff",
      "1",
      "latest",
    ]);
    assert.deepEqual([diff.totals.added, diff.totals.kept], [0, rebuilt.rows]);
    assert.deepEqual(diff.parameters, [{ name: "k", before: "20", after: "5" }]);
  } finally {
    await rename(join(place.path, "teacher-away"), join(place.path, "teacher"));
  }
});

test("status says what is archived and which classes starve", async () => {
  const { out, code } = await sluice(["status"]);
  assert.equal(code, 0);
  assert.match(out, /nobody writes to it/);
  assert.match(out, /Stages busy over .*: fetch \d+ %, decode \d+ %, score \d+ %, archive \d+ %, waiting \d+ %\./);
  assert.match(out, /engine +onnxruntime-node .* on cpu \(.*\), batch 8/);
  assert.match(out, /archived +134 records, 0 waiting/);
  assert.match(out, /quarantined +4 at most: (E_IMAGE_EMPTY|E_IMAGE_FORMAT) 2, (E_IMAGE_EMPTY|E_IMAGE_FORMAT) 2/);
  assert.match(out, /dataset flowers: \d+ of 10 classes full/);
});

test("quarantine: listed with reasons, retried once the file is whole, empty by a filter", async () => {
  const listed = await json<{ count: number; entries: { uri: string; code: string }[] }>(["quarantine", "list"]);
  assert.equal(listed.count, 4);
  const limited = await sluice(["quarantine", "list", "--limit", "1", "--code", "E_IMAGE_EMPTY"]);
  assert.match(limited.out, /^2 images in quarantine: E_IMAGE_EMPTY 2\n/);
  assert.match(limited.out, /… and 1 more \(--limit\)\n$/);
  const wrong = await sluice(["quarantine", "list", "--code", "E_IMAGE_EMTY"]);
  assert.deepEqual([wrong.code, wrong.out], [2, ""]);
  assert.match(wrong.err, /did you mean E_IMAGE_EMPTY\?/);

  const mended = new URL(listed.entries.find(({ code }) => code === "E_IMAGE_EMPTY")!.uri);
  await writeFile(mended, await readFile(join(place.path, "pictures", "0", "picture-0000.png")));
  const retried = await json<{ appended: number; counts: { copied: number; scored: number } }>([
    "quarantine",
    "retry",
    "--match",
    mended.href,
  ]);
  assert.deepEqual([retried.appended, retried.counts.copied, retried.counts.scored], [1, 1, 0]);
  assert.equal((await json<{ count: number }>(["quarantine", "list"])).count, 3);
});

test("quarantine export writes every row to a Parquet file", async () => {
  const { rows } = await json<{ rows: number }>(["quarantine", "export", "quarantine.parquet"]);
  assert.equal(rows, (await json<{ count: number }>(["quarantine", "list"])).count);
  const bytes = await readFile(join(place.path, "quarantine.parquet"));
  assert.equal(bytes.subarray(0, 4).toString(), "PAR1");
});

test("train: a teacher from labelled pictures, a version scored by it, a student that has seen both", async () => {
  await writePictures(join(place.path, "labelled"), { images: 24 }, 7);
  await writePictures(join(place.path, "test"), { images: 24 }, 8);
  const data = ["--data", "trained"];
  interface Trained {
    card: { labels: string[] };
    evaluations: Record<string, { accuracy: number; confusion: number[][] } | null>;
    versionImages: number;
  }
  const small = ["--side", "16", "--backend", "cpu"];
  const teacher = await json<Trained>(["train", "teacher", "labelled", "--out", "first", "--steps", "5", ...small]);
  assert.deepEqual(teacher.card.labels, ["0", "1", "2"]);
  await json<Ingested>([
    "ingest",
    "pictures",
    "--teacher",
    "first",
    "--batch",
    "16",
    "--p",
    "1",
    "--set",
    "bytes=keep",
    ...data,
  ]);
  const student = await json<Trained>([
    ...["train", "student", "labelled", "--test", "test", "--out", "second", ...small, ...data],
    ...["--baseline-steps", "3", "--pretrain-steps", "5", "--fine-tune-steps", "3"],
  ]);
  assert.ok(student.versionImages > 0);
  for (const name of ["baseline", "pretrained", "fineTuned"]) {
    const evaluation = student.evaluations[name]!;
    assert.ok(evaluation.accuracy >= 0 && evaluation.accuracy <= 1);
    assert.deepEqual(
      evaluation.confusion.map((row) => row.reduce((sum, count) => sum + count, 0)),
      [8, 8, 8],
    );
  }
  const next = await json<Ingested>(["ingest", "pictures", "--teacher", "second", ...data]);
  assert.equal(next.counts.scored, 120, "the student is a teacher like any other");

  const wrong = await sluice(["train", "teacher", "labelled", "--out", "x", "--steps", "0"]);
  assert.deepEqual([wrong.code, wrong.out], [2, ""]);
  assert.match(wrong.err, /'--steps <n>' argument '0' is invalid\. Expected a whole number above 0/);
});

test("check: a line for each thing, code 0; what fails has its code, a wrong configuration its line", async () => {
  const fine = await json<{ ok: boolean; lines: { subject: string; state: string; message: string }[] }>(["check"]);
  assert.equal(fine.ok, true);
  for (const subject of [
    "configuration",
    "node",
    "machine",
    "engine onnx",
    "engine tfjs",
    "decoder",
    "teacher",
    "memory",
    "data folder",
  ]) {
    assert.ok(
      fine.lines.some((line) => line.subject === subject),
      subject,
    );
  }
  assert.ok(fine.lines.some(({ message }) => /^scores a trial batch on onnxruntime-node/.test(message)));

  const absent = await sluice(["check", "--teacher", "nowhere", "--set", "engine.backend=node"]);
  assert.equal(absent.code, 1);
  assert.match(absent.out, /^fail {2}engine tfjs +/m);
  assert.match(absent.out, /^fail {2}teacher +Expected a model/m);
  assert.match(absent.out, /2 things to mend/);

  const greedy = await sluice(["check", "--set", "datasets[0].select.k=900000000"]);
  assert.equal(greedy.code, 1);
  assert.match(greedy.out, /^fail {2}memory .* take up to \d{11,} bytes/m);

  await writeFile(join(place.path, "wrong.yaml"), "partitions: 0\n");
  const misled = await sluice(["check", "--config", "wrong.yaml"]);
  assert.equal(misled.code, 2);
  assert.match(
    misled.out,
    /^fail {2}configuration .*\n +wrong\.yaml:1:13 partitions: expected a whole number above 0/m,
  );
  assert.match(misled.out, /^ok {4}engine onnx/m, "the machine is looked at all the same");
});

test("more memory than there is is refused before anything starts, with the estimate", async () => {
  const { code, err } = await sluice(["ingest", "pictures", "--data", "huge", "--k", "900000000"]);
  assert.equal(code, 2);
  assert.match(err, /^error E_MEMORY: .*an estimate of \d{11,} bytes/m);
});

test("Ctrl-C: exit code 130, what was scored stays, and the same command gives the version of an undisturbed run", async () => {
  const run = ["ingest", "pictures", "--data", "stopped", "--batch", "1", "--set", "archive.segmentRecords=1"];
  let isSent = false;
  const stopped = await started([...run, "--progress", "json"], (err, kill) => {
    if (isSent || !err.includes('"progress"')) return;
    isSent = true;
    kill("SIGINT");
  });
  assert.equal(stopped.code, 130, stopped.err);
  assert.match(stopped.err, /^\{"type":"note","message":"Stopping: .*Press Ctrl-C again/m);
  assert.match(
    stopped.err,
    /^\{"type":"error","code":"E_CANCELLED","message":"Stopped on request\. Scored \d+ images?/m,
  );
  assert.equal(stopped.out, "");

  const resumed = await json<Ingested>(run);
  const whole = await json<Ingested>(["ingest", "pictures", "--data", "whole"]);
  assert.equal(resumed.published[0].id, whole.published[0].id);
});

test("two writers on one data folder: the second is refused with the holder's pid, code 4", async () => {
  let second: Promise<Ran> | undefined;
  const run = ["ingest", "pictures", "--data", "shared", "--batch", "1", "--set", "archive.segmentRecords=1"];
  const first = await started([...run, "--progress", "json"], (err) => {
    if (err.includes('"progress"')) second ??= started(["ingest", "pictures", "--data", "shared"]);
  });
  assert.equal(first.code, 0, first.err);
  const refused = await second!;
  assert.equal(refused.code, 4, `${refused.out}${refused.err}`);
  assert.match(refused.err, /^error E_LOCKED: .*\b\d+\b/m);
});

test("commands that read leave no folder behind, and say what to do", async () => {
  for (const args of [["status"], ["versions", "list"], ["quarantine", "list"], ["rebuild"]]) {
    const { code, err } = await sluice([...args, "--data", "never"]);
    assert.equal(code, 1, args.join(" "));
    assert.match(err, /^error E_STORE_MISSING: .*Run `sluice ingest --data never` first/m);
  }
  await assert.rejects(readFile(join(place.path, "never")), { code: "ENOENT" });
});

test("a reader that goes away early is no failure", async () => {
  const child = spawn("sh", ["-c", `"${process.execPath}" "${MAIN}" --help | true`], { cwd: place.path });
  const [code] = (await once(child, "close")) as [number];
  assert.equal(code, 0);
});
