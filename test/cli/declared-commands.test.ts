import assert from "node:assert/strict";
import { appendFile, cp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { Manifest } from "../../schemas/manifest.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { writePictures } from "../fixtures/pictures.js";
import { CommandFolder, ENGINE, type Published, type Ran } from "../fixtures/command-folder.js";

const refused = ({ code, out, err }: Ran, said: RegExp, expected = 2): void => {
  assert.equal(code, expected, out + err);
  assert.match(err, said);
};

test("what the first ingest was told holds for status, rebuild, retry, what-if and the next ingest, without being told again", async (t) => {
  const place = await CommandFolder.make({}, t);
  const first = await place.ingest("--teacher", "teacher", "--k", "2", "--p", "3");
  assert.deepEqual(
    first.declared.map(({ kind, name, isNew }) => [kind, name, isNew]),
    [
      ["stream", "images", true],
      ["dataset", "default", true],
    ],
  );
  assert.deepEqual(await place.selection("latest"), { k: 2, p: 3 });
  const status = await place.json<{ teachers: { datasets: { fill: { full: number } }[] }[] }>("status");
  assert.ok(status.teachers[0]!.datasets[0]!.fill.full >= 8, "full by K = 2, not by K = 1000");

  for (const command of [["rebuild"], ["rebuild", "default"]]) {
    const rebuilt = await place.json<Published>(...command);
    assert.deepEqual([rebuilt.outcome, rebuilt.id], ["unchanged", first.published[0].id]);
  }
  const again = await place.ingest();
  assert.deepEqual([again.counts.scored, again.declared], [0, []]);
  assert.equal(again.published[0].id, first.published[0].id);
  const { answers } = await place.json<{ answers: { k: number; p: number; rows: number }[] }>("whatif");
  assert.deepEqual([answers[0]!.k, answers[0]!.p, answers[0]!.rows], [2, 3, first.published[0].rows]);
});

test("the hint that label prints, typed as it stands, makes a version by what is declared", async (t) => {
  const place = await CommandFolder.make({}, t);
  const data = ["--data", "elsewhere data"];
  await place.ingest("--teacher", "teacher", "--k", "2", "--p", "1", ...data);
  const manifest = await place.json<Manifest>("versions", "show", "latest", ...data);
  const { label } = manifest.classes.find(({ count }) => count === 2)!;
  const said = await place.sluice("label", "not", label, "--rows", `${label}:1`, ...data);
  const hint = /`sluice (.*)` makes one/.exec(said.out)![1]!;
  assert.equal(hint, "rebuild --data 'elsewhere data'");
  const rebuilt = await place.json<Published>("rebuild", ...data);
  assert.deepEqual([rebuilt.number, rebuilt.outcome], [2, "created"]);
  const next = await place.json<Manifest>("versions", "show", "latest", ...data);
  assert.deepEqual([next.select.k, next.select.p], [2, 1]);
});

test("elsewhere a flag or variable holds for one call, and is said; the declared holds again afterwards", async (t) => {
  const place = await CommandFolder.make({}, t);
  const first = await place.ingest("--teacher", "teacher", "--k", "2", "--p", "1");
  const once = await place.sluice("rebuild", "--set", "datasets[0].select.k=1");
  assert.match(once.err, /^for this call alone: dataset default: K 2 → 1$/m);
  assert.deepEqual(await place.selection("latest"), { k: 1, p: 1 });
  const told = await place.under({ SLUICE_DATASETS__0__SELECT__K: "1" }, "status");
  assert.match(told.err, /^for this call alone: dataset default: K 2 → 1$/m);
  assert.equal((await place.json<Published>("rebuild")).id, first.published[0].id);
  const { datasets } = await place.json<{ datasets: { revision: number }[] }>("datasets", "list");
  assert.deepEqual(
    datasets.map(({ revision }) => revision),
    [1],
  );
});

test("ingest changes what is declared, says what changes before it publishes, and keeps what is not said", async (t) => {
  const place = await CommandFolder.make({}, t);
  await place.yaml("teacher: teacher\ndatasets: [{ name: default, select: { k: 2, p: 3, floor: 0.01 } }]\n");
  await place.ingest();
  await rm(join(place.path, "sluice.yaml"));
  const changed = await place.sluice("ingest", "pictures", ...ENGINE, "--k", "1");
  assert.equal(changed.code, 0, changed.err);
  assert.match(changed.err, /^dataset default: K 2 → 1$/m);
  const { select } = await place.json<Manifest>("versions", "show", "latest");
  assert.deepEqual([select.k, select.p, select.floor], [1, 3, 0.01]);
  // A file that says less changes only what it says.
  await place.yaml("datasets: [{ name: default, select: { p: 2 } }]\n");
  const { declared } = await place.ingest();
  assert.deepEqual(declared, [
    { kind: "dataset", name: "default", isNew: false, settings: [{ setting: "select.p", before: 3, after: 2 }] },
  ]);
  assert.deepEqual(await place.selection("latest"), { k: 1, p: 2 });
});

test("--include and decode settings are remembered: the second run takes the same pictures by the same rules", async (t) => {
  const place = await CommandFolder.make({}, t);
  const only = ["--include", "0/*", "--set", "decode.minSide=19"];
  const first = await place.ingest("--teacher", "teacher", ...only, "--allow-empty");
  // The pictures are 20 x 18 px.
  assert.deepEqual([first.counts.scored, first.counts.quarantined], [0, 8]);
  await writePictures(join(place.path, "pictures"), { images: 6 }, 5, (name) => `later/${name}`);
  await cp(
    join(place.path, "pictures", "later", "0", "picture-0000.png"),
    join(place.path, "pictures", "0", "new.png"),
  );
  const second = await place.sluice("ingest", "pictures", ...ENGINE, "--allow-empty");
  assert.match(second.err, /^only 0\/\*, as said of this source before; --include '\*\*' takes everything$/m);
  assert.match(second.out, /^Scored 0 images, quarantined 1 /);
  const all = await place.ingest("--include", "**", "--set", "decode.minSide=8");
  assert.equal(all.counts.scored, 22, "the 16 and 6 that were left out");
});

test("P is 1 where there are 10 classes or fewer, counted as the version has them, and is recorded as a number", async (t) => {
  const many = await CommandFolder.make({ classes: 12 }, t);
  await many.ingest("--teacher", "teacher", "--k", "3");
  assert.equal((await many.selection("latest")).p, 10);
  const few = await CommandFolder.make({ classes: 4 }, t);
  await few.ingest("--teacher", "teacher", "--k", "3");
  assert.equal((await few.selection("latest")).p, 1);
  const { dataset } = await few.json<{ dataset: { select: { p: number } } }>("datasets", "show");
  assert.equal(dataset.select.p, 1);
  await many.yaml(
    "datasets: [{ name: pair, select: { k: 2, labels: { a: [class-0], b: [class-1] } } }]\narchive: { topM: 12 }",
  );
  assert.equal((await many.sluice("ingest", "pictures", ...ENGINE, "--set", "archive.topM=12")).code, 0);
  assert.equal((await many.selection("pair/1")).p, 1);
});

test("a renamed dataset stays, beside the new one; versions of any dataset in the store are named", async (t) => {
  const place = await CommandFolder.make({}, t);
  await place.yaml("teacher: teacher\ndatasets: [{ name: daily, select: { k: 2, p: 1 } }]\n");
  await place.ingest();
  await place.yaml("teacher: teacher\ndatasets: [{ name: nightly, select: { k: 3, p: 1 } }]\n");
  const { versions } = await place.json<{ versions: { dataset: string }[] }>("versions", "list");
  assert.deepEqual(
    versions.map(({ dataset }) => dataset),
    ["daily"],
  );
  await place.ingest();
  const { datasets } = await place.json<{ datasets: { name: string }[] }>("datasets", "list");
  assert.deepEqual(
    datasets.map(({ name }) => name),
    ["daily", "nightly"],
  );
  await rm(join(place.path, "sluice.yaml"));
  assert.equal((await place.sluice("versions", "verify", "daily/1")).code, 0);
  assert.equal((await place.sluice("reproduce", "nightly/1")).code, 0);

  // A store with versions of a dataset that was never declared in it.
  await rm(join(place.path, "sluice-data", "store", "datasets"), { recursive: true });
  await rm(join(place.path, "sluice-data", "store", "versions", "nightly"), { recursive: true });
  for (const version of ["daily/1", "latest"]) {
    const { code, err } = await place.sluice("versions", "verify", version);
    assert.equal(code, 0, err);
  }
  refused(
    await place.sluice("versions", "verify", "weekly/1"),
    /E_DATASET_UNKNOWN: Expected a dataset that is declared in .* or has versions there \(daily\), found "weekly"/,
  );
  refused(
    await place.sluice("rebuild", "daily"),
    /E_DATASET_UNKNOWN: .*Declare one: `sluice datasets set daily k=1000 p=1`/,
  );
  assert.equal((await place.sluice("datasets", "set", "daily", "k=1000", "p=1")).code, 0);
});

test("a retry that recovers nothing publishes nothing, and one that does publishes by what is declared", async (t) => {
  const place = await CommandFolder.make({ broken: 2 }, t);
  await place.ingest("--teacher", "teacher", "--k", "2", "--p", "1");
  const { classes } = await place.json<Manifest>("versions", "show", "latest");
  const { label } = classes.find(({ count }) => count === 2)!;
  await place.sluice("label", "not", label, "--rows", `${label}:1`);
  interface Retried {
    appended: number;
    published: Published[];
  }
  const none = await place.json<Retried>("quarantine", "retry", ...ENGINE);
  assert.deepEqual([none.appended, none.published], [2, []]);
  await cp(join(place.path, "pictures", "0", "picture-0000.png"), join(place.path, "pictures", "broken-0.png"));
  const one = await place.json<Retried>("quarantine", "retry", ...ENGINE);
  assert.equal(one.published[0]!.outcome, "created");
  assert.deepEqual(await place.selection("latest"), { k: 2, p: 1 });
});

test("the declared teacher is taken where it was; one that moved or changed is an error that says how to name it again", async (t) => {
  const place = await CommandFolder.make({}, t);
  await place.ingest("--teacher", "teacher", "--k", "2");
  await rename(join(place.path, "teacher"), join(place.path, "moved"));
  refused(
    await place.sluice("ingest", "pictures", ...ENGINE),
    /E_TEACHER_CARD: Expected the declared teacher small-\d+ \(\w{12}\) at .*teacher, found that it cannot be read there\. Name it where it is now.*`sluice ingest --teacher <path>`/,
    1,
  );
  const moved = await place.sluice("ingest", "pictures", ...ENGINE, "--teacher", "moved");
  assert.match(moved.err, /^stream images: teacher's path .*teacher → .*moved$/m);
  assert.equal((await place.ingest()).counts.scored, 0);

  await rm(join(place.path, "moved"), { recursive: true });
  await writeSmallTeacher(join(place.path, "moved"), "onnx", { seed: 9 });
  const before = await place.objects();
  refused(
    await place.sluice("ingest", "pictures", ...ENGINE),
    /found another there \(\w{12}\): its files have changed/,
    1,
  );
  assert.deepEqual(await place.objects(), before, "nothing was declared or archived");
  const named = await place.sluice("ingest", "pictures", ...ENGINE, "--teacher", "moved");
  assert.match(named.err, /^stream images: teacher small-\d+ \(\w{12}\) → small-9 \(\w{12}\)$/m);
  // Two teachers have scored here; the declared one is meant.
  assert.equal((await place.json<Published>("rebuild")).outcome, "unchanged");
});

test("sluice run refuses a sluice.yaml or an environment that differs from what is declared, before it does anything", async (t) => {
  const place = await CommandFolder.make({}, t);
  await place.ingest("--teacher", "teacher", "--k", "2", "--p", "1");
  await rename(join(place.path, "teacher"), join(place.path, "other"));
  const kafka = { SLUICE_KAFKA__BROKERS: "127.0.0.1:1", SLUICE_KAFKA__ONE_MACHINE: "true" };
  const run = ["run", "publish", "--wait", "1s"];
  await place.yaml(
    "teacher: other\nbytes: keep\ndatasets: [{ name: default, select: { k: 1000 } }, { name: extra }]\n",
  );
  const before = await place.objects();
  refused(
    await place.under(kafka, ...run),
    /E_DATASET_CONFLICT: Expected sluice\.yaml and the environment to say what is declared, .*stream images: bytes refer → keep; dataset default: K 2 → 1000; dataset extra: declared with K 1000, P 10\. `sluice datasets apply`/,
  );
  await place.yaml("datasets: [{ name: default, select: { k: 2 } }]\n");
  refused(
    await place.under({ ...kafka, SLUICE_DATASETS__0__SELECT__P: "3" }, ...run),
    /E_DATASET_CONFLICT: .*dataset default: P 1 → 3\./,
  );
  await writeSmallTeacher(join(place.path, "another"), "onnx", { seed: 9 });
  refused(
    await place.under({ ...kafka, SLUICE_TEACHER: "another" }, ...run),
    /E_DATASET_CONFLICT: .*teacher small-\d+ \(\w{12}\) → small-9/,
  );
  // The same teacher at another place is the same, and so is a file that says nothing else than what is declared.
  await place.yaml("teacher: other\ndatasets: [{ name: default, select: { k: 2 } }]\n");
  const agreed = await place.under(kafka, ...run, "--set", "datasets.0.select.k=7");
  refused(agreed, /E_LOG_IO/, 1);
  assert.match(agreed.err, /^\S+ info  for this call alone: dataset default: K 2 → 7$/m);
  assert.deepEqual(await place.objects(), before, "nothing was declared");
});

test("run declares what it is told where nothing is declared yet", async (t) => {
  const place = await CommandFolder.make({ classes: 4 }, t);
  const kafka = { SLUICE_KAFKA__BROKERS: "127.0.0.1:1" };
  refused(
    await place.under(kafka, "run", "topk", "--teacher", "teacher"),
    /E_CONFIG: Expected a store that all processes of the stream see .*--one-machine/,
  );
  const first = await place.under(kafka, "run", "topk", "--teacher", "teacher", "--one-machine", "--wait", "1s");
  assert.match(first.err, /^\S+ info  dataset default: declared with K 1000, P 1$/m);
  refused(first, /E_LOG_IO/, 1);
  const { datasets } = await place.json<{ datasets: { by: string }[] }>("datasets", "list");
  assert.deepEqual(
    datasets.map(({ by }) => by),
    ["sluice run"],
  );
});

test("datasets: set, apply and drop say what changes; revisions stay; a dropped one comes back only by name", async (t) => {
  const place = await CommandFolder.make({}, t);
  await place.ingest("--teacher", "teacher", "--k", "2", "--p", "1");
  const dry = await place.sluice("datasets", "set", "default", "k=5", "floor=0.1", "--dry-run");
  assert.equal(dry.out, "Would declare:\n  dataset default: K 2 → 5, floor 0 → 0.1\n");
  assert.deepEqual(await place.selection("latest"), { k: 2, p: 1 });
  const set = ["datasets", "set", "default", "k={default: 5, classes: {class-1: 2}}"];
  assert.match((await place.sluice(...set)).out, /^Declared:\n {2}dataset default: K 2 → /);
  assert.equal((await place.sluice(...set)).out, "Nothing changes: all of it is declared already.\n");
  // A part of a value that has several forms.
  assert.equal((await place.sluice("datasets", "set", "default", "k.default=4")).code, 0);
  await place.json<Published>("rebuild");
  assert.deepEqual((await place.selection("latest")).k, { default: 4, classes: { "class-1": 2 } });

  for (const [args, said] of [
    [["default", "k=0"], /E_CONFIG: .*\nselect\.k: expected a whole number above 0/],
    [["default", "kk=3"], /no such setting/],
    [["default", "k"], /E_USAGE: Expected setting=value/],
    [["default", "name=x"], /E_USAGE: Expected another setting than the name/],
    [["default", "p=40"], /expected at most archive\.topM \(32\), found 40/],
    [["Default", "k=3"], /expected lower-case letters/],
    [["default", "labels={a: [nothing]}"], /E_SELECTION/],
  ] as const) {
    refused(await place.sluice("datasets", "set", ...args), said);
  }

  assert.equal(
    (await place.sluice("datasets", "set", "daily", "k=1", "window={kind: tumbling, sizeMs: 1000}")).code,
    0,
  );
  await place.yaml("bytes: keep\ndatasets: [{ name: daily, trigger: { everyImages: 5 } }]\n");
  const held = await place.sluice("status");
  assert.match(
    held.err,
    /^sluice\.yaml says otherwise than what is declared, which holds \(stream images: bytes refer → keep; dataset daily: trigger none → \{"everyImages":5\}\): `sluice datasets apply`/m,
  );
  const applied = await place.json<{ changes: { name: string }[] }>("datasets", "apply");
  assert.deepEqual(
    applied.changes.map(({ name }) => name),
    ["images", "daily"],
  );
  assert.equal((await place.sluice("datasets", "set", "daily", "trigger=")).code, 0);
  const checked = await place.sluice("check");
  assert.match(checked.out, /^ok +declared +dataset daily: declared with K 1, P 1, window .*\(revision 3\)$/m);
  assert.match(checked.out, /^warn +declared +given otherwise: dataset daily: trigger none → /m);
  await rm(join(place.path, "sluice.yaml"));

  assert.equal((await place.sluice("datasets", "drop", "nothing")).code, 2);
  assert.match((await place.sluice("datasets", "drop", "default", "--dry-run")).out, /^Would drop/);
  assert.equal((await place.sluice("datasets", "drop", "default")).code, 0);
  assert.equal((await place.sluice("datasets", "drop", "daily")).code, 0);
  const before = await place.objects();
  refused(await place.sluice("ingest", "pictures", ...ENGINE), /E_DATASET_UNKNOWN: .*found that all were dropped/);
  refused(await place.sluice("rebuild"), /E_DATASET_UNKNOWN/);
  assert.deepEqual(await place.objects(), before);
  assert.equal((await place.sluice("versions", "verify", "default/1")).code, 0);
  assert.equal((await place.sluice("datasets", "set", "default", "k=3", "p=1")).code, 0);
  const { revisions } = await place.json<{ revisions: { by: string; dataset: object | null }[] }>("datasets", "show");
  assert.deepEqual(
    revisions.map(({ by, dataset }) => [by, dataset !== null]),
    [
      ["sluice ingest", true],
      ["sluice datasets set", true],
      ["sluice datasets set", true],
      ["sluice datasets drop", false],
      ["sluice datasets set", true],
    ],
  );
});

test("before anything is ingested: a dataset needs its P or a teacher, and apply makes the store", async (t) => {
  const place = await CommandFolder.make({ classes: 4 }, t);
  refused(
    await place.sluice("datasets", "set", "default", "k=3"),
    /E_CONFIG: Expected a teacher to choose P of dataset "default" by/,
  );
  refused(await place.sluice("datasets", "list"), /E_STORE_MISSING/, 1);
  await place.yaml(
    "teacher: teacher\ndatasets: [{ name: a, select: { k: 3 } }, { name: b, select: { k: 2, p: 2 } }]\n",
  );
  assert.match(
    (await place.sluice("datasets", "apply")).out,
    /dataset a: declared with K 3, P 1\n {2}dataset b: declared with K 2, P 2/,
  );
  await rm(join(place.path, "sluice.yaml"));
  const { published } = await place.ingest();
  assert.deepEqual(
    published.map(({ dataset }) => dataset),
    ["a", "b"],
  );
});

test("a folder whose one stream has another name than the default is told of it once", async (t) => {
  const place = await CommandFolder.make({}, t);
  const first = await place.ingest("--teacher", "teacher", "--k", "2", "--set", "stream=crawl");
  const status = await place.json<{ stream: string; teachers: { datasets: { name: string }[] }[] }>("status");
  assert.deepEqual([status.stream, status.teachers[0]!.datasets.length], ["crawl", 1]);
  assert.equal((await place.json<Published>("rebuild")).id, first.published[0].id);
  assert.deepEqual([(await place.ingest()).counts.scored, (await place.ingest()).declared], [0, []]);
});

test("a second stream of a store has a dataset called as itself, unless one is named", async (t) => {
  const place = await CommandFolder.make({}, t);
  await place.ingest("--teacher", "teacher", "--k", "2", "--p", "1");
  const second = await place.ingest("--teacher", "teacher", "--set", "stream=more", "--set", "datasets.0.select.k=3");
  assert.deepEqual(
    second.published.map(({ dataset }) => dataset),
    ["more"],
  );
  const again = await place.ingest("--set", "stream=more");
  assert.deepEqual([again.counts.scored, again.declared], [0, []]);
  const listed = await place.json<{ datasets: { name: string }[] }>("datasets", "list", "--set", "stream=more");
  assert.deepEqual(
    listed.datasets.map(({ name }) => name),
    ["more"],
  );
});

test("a dataset of another stream is not taken over, and commands that read leave no new object", async (t) => {
  const place = await CommandFolder.make({ broken: 1 }, t);
  await place.ingest("--teacher", "teacher", "--k", "2", "--p", "1");
  const before = await place.objects();
  refused(
    await place.sluice(
      ...["ingest", "pictures", "--teacher", "teacher", "--set", "stream=more", "--set", "datasets.0.name=default"],
    ),
    /E_DATASET_CONFLICT: Expected a dataset over stream "more", found that "default" is declared over stream "images"/,
  );
  await appendFile(join(place.path, "sluice.yaml"), "datasets: [{ name: default, select: { k: 9 } }]\n");
  for (const args of [
    ...[["status"], ["check"], ["whatif", "--k", "1,2"], ["datasets", "list"], ["datasets", "show"], ["label", "list"]],
    ...[
      ["versions", "list"],
      ["versions", "show", "latest"],
      ["versions", "verify", "latest"],
      ["reproduce", "1"],
    ],
    ...[["quarantine", "list"], ["compact", "--dry-run"], ["datasets", "apply", "--dry-run"], ["rebuild"]],
    ["replay", "--dry-run"],
  ]) {
    const { code, out, err } = await place.sluice(...args);
    assert.equal(code, 0, `${args.join(" ")}: ${out}${err}`);
  }
  assert.deepEqual(await place.objects(), before);
});
