import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { copyFile, mkdir, readFile, readdir, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { runProgram } from "../../cli/program.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { writePictures } from "../fixtures/pictures.js";
import { tarOf } from "../fixtures/tar-archive.js";
import { temporaryFolder } from "../fixtures/temporary-folder.js";
import { recordedTerminal } from "./recorded-terminal.js";

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

interface Result {
  readonly outcome: string;
  readonly rows: number;
  readonly bytesAbsent: number;
  readonly id: string;
}

/** A folder with pictures and a teacher, and the command there. */
async function site(t: TestContext): Promise<{ folder: string; sluice: (...args: string[]) => Promise<Ran> }> {
  const folder = await temporaryFolder(t);
  await writePictures(join(folder, "pictures"), { images: 30 });
  await writeSmallTeacher(join(folder, "teacher"), "onnx", { classes: 4, output: "logits" });
  await writeFile(
    join(folder, "sluice.yaml"),
    "teacher: teacher\nengine: { workers: 1, batch: 8 }\ndatasets: [{ name: d, select: { k: 5, p: 1 } }]\n",
  );
  const sluice = async (...args: string[]): Promise<Ran> => {
    const terminal = recordedTerminal({ folder });
    terminal.atMs = Date.now();
    const code = await runProgram(args, terminal);
    return { code, out: terminal.stdout.text, err: terminal.stderr.text };
  };
  return { folder, sluice };
}

/** The result of a command that has done what it was asked. */
function done({ code, out, err }: Ran): unknown {
  assert.equal(code, 0, `${out}${err}`);
  return JSON.parse(out) as unknown;
}

async function published(folder: string): Promise<string[]> {
  const versions = join(folder, "sluice-data", "store", "versions");
  return existsSync(versions) ? readdir(versions, { recursive: true }) : [];
}

test("a version that nobody could want is not published: the error says why and how, and nothing is left", async (t) => {
  const { folder, sluice } = await site(t);
  for (const [args, code, said] of [
    [
      ["ingest", "pictures", "--k", "1000", "--p", "4"],
      "E_PUBLISH_STARVING",
      /Scored 30 images.* found every image in every class: P is 4 with 4 classes.*--allow-starving/s,
    ],
    [
      ["rebuild", "--set", "datasets.0.select.floor=0.999999999"],
      "E_PUBLISH_EMPTY",
      /found none: 30 images are scored.*--allow-empty/s,
    ],
  ] as const) {
    const { code: exit, err } = await sluice(...args);
    assert.equal(exit, 1, err);
    assert.match(err, new RegExp(`^error ${code}: `, "m"));
    assert.match(err, said);
    assert.deepEqual(
      (await published(folder)).filter((path) => path.includes(".")),
      [],
    );
  }
  const starving = await sluice("ingest", "--k", "1000", "--p", "4", "--allow-starving", "--json");
  assert.equal((done(starving) as { published: Result[] }).published[0]!.rows, 120);
  const empty = await sluice("rebuild", "--set", "datasets.0.select.floor=0.999999999", "--allow-empty", "--json");
  assert.equal((done(empty) as Result).rows, 0);
});

test("a run that could use no image says once where to look, and counts one as one", async (t) => {
  const { folder, sluice } = await site(t);
  await mkdir(join(folder, "broken"));
  await writeFile(join(folder, "broken", "a.jpg"), "no picture");
  const { code, err } = await sluice("ingest", "broken");
  assert.equal(code, 1, err);
  assert.match(err, /E_PUBLISH_EMPTY: Scored 0 images, quarantined 1\. .*: 0 images are scored, 1 quarantined/);
  assert.equal(err.split("`sluice quarantine list`").length, 2, err);
});

test("of a source that gives nothing, nothing is recorded", async (t) => {
  const { folder, sluice } = await site(t);
  await mkdir(join(folder, "empty"));
  await symlink(join(folder, "pictures", "0"), join(folder, "empty", "link"));
  const first = await sluice("ingest", "empty");
  assert.equal(first.code, 2);
  assert.match(first.err, /^error E_SOURCE_EMPTY: .*found none, only 1 link, not followed, such as link/m);
  assert.ok(!existsSync(join(folder, "sluice-data")), "no data folder either");

  done(await sluice("ingest", "pictures", "--json"));
  const declared = (await sluice("datasets", "show", "d", "--json")).out;
  const next = await sluice("ingest", "empty", "--k", "7");
  assert.equal(next.code, 2);
  assert.doesNotMatch(next.err, /K 5 → 7/);
  assert.equal((await sluice("datasets", "show", "d", "--json")).out, declared);
});

test("moved pictures: refused without their bytes, published once it is said where they went", async (t) => {
  const { folder, sluice } = await site(t);
  await sluice("ingest", "pictures", "--no-publish");
  await rename(join(folder, "pictures"), join(folder, "moved"));
  const refused = await sluice("rebuild");
  assert.equal(refused.code, 1);
  assert.match(refused.err, /^error E_PUBLISH_ABSENT: .*found none for \d+ that had them.*sluice relocate/m);
  assert.deepEqual(
    (await published(folder)).filter((path) => path.includes(".")),
    [],
  );

  const without = await sluice("rebuild", "--allow-absent-bytes", "--json");
  const absent = done(without) as Result;
  assert.equal(absent.bytesAbsent, absent.rows);
  const verified = await sluice("versions", "verify", "latest");
  assert.equal(verified.code, 0);
  assert.match(verified.err, /^warning: \d+ of \d+ rows have no image bytes/m);

  // Wrong places are refused, and nothing is written down.
  await mkdir(join(folder, "empty"));
  for (const [args, said] of [
    [["pictures", "empty"], /found none of the 30 looked for/],
    [["elsewhere", "moved"], /Expected images that were seen below .*elsewhere, found none/],
    [["pictures"], /Expected two places/],
  ] as const) {
    const { code, err } = await sluice("relocate", ...args);
    assert.equal(code, 2, err);
    assert.match(err, said);
  }
  const dry = done(await sluice("relocate", "pictures", "moved", "--dry-run", "--json"));
  const places = { from: join(folder, "pictures"), to: join(folder, "moved") };
  assert.deepEqual(dry, { ...places, number: null, known: 30, looked: 30, found: 30 });
  assert.match((await sluice("relocate", "--list")).out, /Nothing was relocated/);
  await sluice("relocate", "pictures/", "moved/");
  const listed = done(await sluice("relocate", "--list", "--json")) as { relocations: object[] };
  assert.equal(listed.relocations.length, 1);

  // The same rows, now with their bytes: one version more, of the same id.
  const found = done(await sluice("rebuild", "--json")) as Result;
  assert.deepEqual([found.outcome, found.id, found.bytesAbsent], ["created", absent.id, 0]);
  assert.equal((done(await sluice("rebuild", "--json")) as Result).outcome, "unchanged");
  const whole = await sluice("versions", "verify", "latest");
  assert.match(whole.out, new RegExp(`${found.rows} images read`));
  assert.equal(whole.err.includes("warning"), false, whole.err);

  // Moved once more: a place is gone through in the order in which it was said.
  await rename(join(folder, "moved"), join(folder, "again"));
  assert.equal((await sluice("relocate", "moved", "again")).code, 0);
  const smaller = done(await sluice("rebuild", "--set", "datasets.0.select.k=3", "--json")) as Result;
  assert.deepEqual([smaller.outcome, smaller.bytesAbsent], ["created", 0]);
});

test("pictures taken in again from where they were moved: the first occurrence stands, its bytes come from the second", async (t) => {
  const { folder, sluice } = await site(t);
  await sluice("ingest", "pictures", "--no-publish");
  await rename(join(folder, "pictures"), join(folder, "moved"));
  // Other pictures lie under the same names meanwhile: bytes go by their digest.
  await writePictures(join(folder, "pictures"), { images: 30 }, 99);
  const made = (done(await sluice("ingest", "moved", "--json")) as { published: Result[] }).published[0]!;
  assert.deepEqual([made.rows > 0, made.bytesAbsent], [true, 0]);
  const verified = await sluice("versions", "verify", "latest");
  assert.match(verified.out, new RegExp(`${made.rows} images read`));
  const shown = done(await sluice("versions", "show", "latest", "--json")) as { files: { key: string }[] };
  const { parquetReadObjects, asyncBufferFromFile } = await import("hyparquet");
  const index = shown.files.find(({ key }) => key.endsWith(".parquet"))!;
  const rows = await parquetReadObjects({
    file: await asyncBufferFromFile(join(folder, "sluice-data", "store", index.key)),
    columns: ["uri"],
  });
  for (const { uri } of rows) assert.match(String(uri), /\/pictures\//);
});

test("tar shards that were moved are relocated like pictures: their members are found in the new place", async (t) => {
  const { folder, sluice } = await site(t);
  const { images } = await writePictures(join(folder, "loose"), { images: 12 }, 5);
  const members = await Promise.all(
    images.map(async (path) => ({
      name: path.replaceAll("/", "-"),
      content: await readFile(join(folder, "loose", path)),
    })),
  );
  await mkdir(join(folder, "shards"));
  for (const [shard, from] of [0, 6].entries())
    await writeFile(join(folder, "shards", `train-${shard}.tar`), await tarOf(members.slice(from, from + 6)));
  await sluice("ingest", "shards", "--no-publish");
  await rename(join(folder, "shards"), join(folder, "moved"));
  assert.match((await sluice("rebuild")).err, /^error E_PUBLISH_ABSENT: /m);
  const said = done(await sluice("relocate", "shards", "moved", "--json")) as { found: number; known: number };
  assert.deepEqual([said.known, said.found], [12, 12]);
  const made = done(await sluice("rebuild", "--json")) as Result;
  assert.deepEqual([made.outcome, made.rows > 0, made.bytesAbsent], ["created", true, 0]);
});

test("a quarantined file that was moved and mended is taken up again from its new place", async (t) => {
  const { folder, sluice } = await site(t);
  await writeFile(join(folder, "pictures", "broken.png"), "no picture yet");
  await sluice("ingest", "pictures", "--no-publish");
  await rename(join(folder, "pictures"), join(folder, "moved"));
  const { images } = await writePictures(join(folder, "loose"), { images: 1 }, 6);
  await copyFile(join(folder, "loose", images[0]!), join(folder, "moved", "broken.png"));
  assert.equal((await sluice("relocate", "pictures", "moved")).code, 0);
  const { counts } = done(await sluice("quarantine", "retry", "--no-publish", "--json")) as {
    counts: { scored: number; quarantined: number };
  };
  assert.deepEqual([counts.scored, counts.quarantined], [1, 0]);
  assert.match((await sluice("quarantine", "list")).out, /Nothing is in quarantine/);
});
