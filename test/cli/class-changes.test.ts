import assert from "node:assert/strict";
import { readdir, rm, utimes } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { ClassChanges } from "../../pipelines/teachers/class-changes.js";
import type { Manifest } from "../../schemas/manifest.js";
import { CommandFolder, type Ran } from "../fixtures/command-folder.js";
import { writeSmallTeacher } from "../fixtures/models.js";

const DAY_MS = 86_400_000;
const FIRST_MS = Date.UTC(2026, 9, 1);
const DATASETS = `[{ name: all, select: { k: 4, p: 1 } }, { name: daily, select: { k: 3, p: 1 }, window: { kind: tumbling, sizeMs: ${DAY_MS} } }]`;

let place: CommandFolder;
const sluice = (...args: string[]): Promise<Ran> => place.sluice(...args);
const good = async (...args: string[]): Promise<Ran> => {
  const ran = await sluice(...args);
  assert.equal(ran.code, 0, `${args.join(" ")}: ${ran.out}${ran.err}`);
  return ran;
};
/** Commands that a text prints, without the first word */
const hints = (text: string): string[][] =>
  [...text.matchAll(/`sluice ([^`]+)`/g)].map(([, words]) =>
    words!.split(" ").map((word) => word.replace(/^'(.*)'$/, "$1")),
  );

before(async () => {
  place = await CommandFolder.make({ images: 24, datasets: DATASETS });
  const pictures = (await readdir(join(place.path, "pictures"), { recursive: true })).filter((name) =>
    /\.\w+$/.test(name),
  );
  for (const [at, name] of pictures.sort().entries()) {
    const timeS = (FIRST_MS + (at % 3) * DAY_MS + at) / 1000;
    await utimes(join(place.path, "pictures", name), timeS, timeS);
  }
  await writeSmallTeacher(join(place.path, "more"), "onnx", { classes: 12, seed: 2 });
  await writeSmallTeacher(join(place.path, "other"), "onnx", { classes: 13, seed: 3 });
  await good("ingest", "pictures");
});

after(() => place.remove());

test("a teacher with more classes: which records and windows lack them, and commands that mend it", async () => {
  const asked = ["datasets", "apply", "--teacher", "more", "--dry-run"];
  const { classes } = await place.json<{ classes: ClassChanges }>(...asked);
  assert.deepEqual(classes.added, ["class-10", "class-11"]);
  assert.deepEqual(classes.dropped, []);
  assert.deepEqual(classes.unscored, [{ partition: 0, start: 0, end: 24 }]);
  assert.deepEqual(classes.lost, []);
  assert.deepEqual(
    classes.datasets.map(({ dataset, windowsMs }) => [dataset, windowsMs]),
    [
      ["all", []],
      ["daily", [FIRST_MS, FIRST_MS + DAY_MS]],
    ],
  );
  const { out } = await good(...asked);
  assert.match(out, /has 2 classes that .* has not: class-10, class-11\./);
  assert.match(out, /^24 records that .* scored have no score of them yet: 0:\[0, 24\)\.$/m);
  assert.match(out, /of 2 windows \(2026-10-01T00:00:00\.000Z, 2026-10-02T00:00:00\.000Z\)/);

  const commands = hints(out);
  assert.deepEqual(
    commands.map(([name]) => name),
    ["replay", "rebuild", "rebuild"],
  );
  for (const command of commands) {
    const { out: made } = await good(...command);
    if (command[0] === "replay") assert.match(made, /^Replayed 24 of 24 offsets/);
  }
  const windowed = await place.json<Manifest>("versions", "show", "daily/latest");
  assert.equal(windowed.classes.length, 12);
  assert.equal(windowed.span.startMs, FIRST_MS);

  const { out: then } = await good("datasets", "apply", "--teacher", "more");
  assert.match(then, /It has scored all that .* has\./);
  for (const command of hints(then)) await good(...command);
  assert.equal((await place.json<Manifest>("versions", "show", "all/latest")).classes.length, 12);
});

test("the card of a model with more classes says the same beside the teacher that stands", async () => {
  const { out } = await good("teacher", "add", "other", "--overwrite", "--normalise", "unit");
  assert.match(out, /has 1 class that .* has not: class-12\.$/m);
  assert.match(out, /^24 records that .* scored have no score of it yet/m);
});

test("an ingest by a teacher with more classes scores what it lacks by itself, and says so first", async () => {
  const { err, out } = await good("ingest", "--teacher", "other");
  assert.match(err, /24 records that .* scored have no score of it yet: 0:\[0, 24\)\./);
  assert.match(err, /They are scored again first\./);
  assert.match(out, /^Scored 24 images\./m);
});

test("what the log has no more is said", async () => {
  await writeSmallTeacher(join(place.path, "fourth"), "onnx", { classes: 14, seed: 4 });
  await rm(join(place.path, "sluice-data", "log"), { recursive: true });
  const { classes } = await place.json<{ classes: ClassChanges }>(
    "datasets",
    "apply",
    "--teacher",
    "fourth",
    "--dry-run",
  );
  assert.equal(classes.lost, null);
});
