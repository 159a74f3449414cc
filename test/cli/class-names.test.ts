import assert from "node:assert/strict";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { runProgram } from "../../cli/program.js";
import type { Manifest } from "../../schemas/manifest.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { writePictures } from "../fixtures/pictures.js";
import { temporaryFolder } from "../fixtures/temporary-folder.js";
import { recordedTerminal } from "./recorded-terminal.js";

/** Ten classes, none of them called what people would call it */
const NAMES = ["constructor", "__proto__", "7", "no", "crane", "a/b", "..", "tench, Tinca tinca", "crane", "Y"];

let folder = "";

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-class-names-"));
  await writePictures(join(folder, "pictures"), { images: 40 });
  await writeSmallTeacher(folder, "onnx");
  await rm(join(folder, "model-card.json"));
});

after(() => rm(folder, { recursive: true, force: true }));

async function sluice(...args: string[]): Promise<{ code: number; out: string; err: string; json: () => unknown }> {
  const terminal = recordedTerminal({ folder });
  const code = await runProgram(args, terminal);
  const { text: out } = terminal.stdout;
  return { code, out, err: terminal.stderr.text, json: (): unknown => JSON.parse(out) };
}

async function good(...args: string[]) {
  const ran = await sluice(...args);
  assert.equal(ran.code, 0, `${args.join(" ")}: ${ran.err}`);
  return ran;
}

interface Ingested {
  readonly counts: { readonly scored: number };
}

const INGEST = [
  "ingest",
  "pictures",
  "--teacher",
  "model.onnx",
  "--set",
  "datasets.0.select.k=5",
  "--set",
  "datasets.0.select.p=2",
];
const shown = async (version: string): Promise<Manifest> =>
  (await good("versions", "show", version, "--json")).json() as Manifest;

test("classes that are named after an ingest are not scored again, and all that was said of them holds", async () => {
  const first = (await good(...INGEST, "--json")).json() as Ingested;
  assert.equal(first.counts.scored, 40);
  const before = await shown("1");
  const fullest = before.classes.toSorted((a, b) => b.count - a.count)[0]!.class;
  await good("label", "not", `class-${fullest}`, "--rows", `class-${fullest}:1`);
  await good("rebuild", "--set", "datasets.0.select.k=5", "--set", "datasets.0.select.p=2");

  await writeFile(join(folder, "model.labels.txt"), NAMES.join("\n"));
  const { err, out } = await good(...INGEST);
  assert.match(
    err,
    /its classes have other names from now on: #0 class-0 → constructor.* and 7 more; no score changes/,
  );
  assert.match(out, /^Scored 0 images\./m);
  // The same rows under other names: another version with the same id.
  assert.match(out, /version 3/i);
  const [second, third] = [await shown("2"), await shown("3")];
  assert.equal(third.id, second.id);
  assert.deepEqual(
    third.classes.map(({ label }) => label),
    NAMES,
  );
  assert.deepEqual(third.teacher.labels, NAMES);
  assert.deepEqual(second.teacher.labels[0], "class-0");
  for (const version of ["1", "2", "3"]) {
    await good("versions", "verify", version);
    await good("reproduce", version);
  }
  assert.match(
    (await good("versions", "diff", "2", "3")).out,
    /the same rows: .*\n10 classes with another name: #0 class-0 -> constructor/,
  );

  // Without the file of names the store still knows them.
  await rm(join(folder, "model.labels.txt"));
  const again = await good(...INGEST);
  assert.match(again.err, /classes are called as .* has them: constructor, __proto__, 7/);
  assert.deepEqual((await shown("latest")).number, 3);
});

test("every class can be labelled, and has its own K, by its number or by a name that is its own", async () => {
  for (const [index, name] of NAMES.entries()) {
    const clear = name !== "crane";
    for (const text of clear ? [`#${index}`, name] : [`#${index}`]) {
      const sha256 = String(index).padStart(64, "0");
      await good("label", "not", text, sha256);
      const { labels } = (await good("label", "list", "--json")).json() as {
        labels: { class: string; number?: number }[];
      };
      const { class: said, number } = labels.at(-1)!;
      assert.deepEqual([said, number], [name, clear ? undefined : index]);
    }
  }
  const listed = (await good("label", "list")).out;
  assert.match(listed, / not +#4 crane\b/);
  assert.match(listed, / not +7 *$/m, "a name that is its own stands alone");

  const refused = await sluice("label", "not", "crane", "0".repeat(64));
  assert.equal(refused.code, 2);
  assert.match(refused.err, /which 2 classes have: #4 crane, #8 crane\. Name it by its number: #4 or #8/);

  const classes = Object.fromEntries(NAMES.map((_, index) => [`#${index}`, index + 1]));
  await good(
    "rebuild",
    "--set",
    `datasets.0.select.k=${JSON.stringify({ default: 20, classes })}`,
    "--set",
    "datasets.0.select.p=10",
  );
  const byNumber = await shown("latest");
  assert.deepEqual(
    byNumber.classes.map(({ k, count }) => [k, count]),
    NAMES.map((_, index) => [index + 1, index + 1]),
  );
  await good("versions", "verify", "latest");
  await good("reproduce", "latest");
});

test("whatif answers for classes by name, quoted where they have commas, and by number", async () => {
  const classes = (text: string, ...more: string[]) =>
    sluice("whatif", "--classes", text, "--k", "5", "--p", "1", ...more);
  const answer = async (text: string, ...more: string[]) => {
    const { code, err, json } = await classes(text, "--json", ...more);
    assert.equal(code, 0, err);
    return (json() as { answers: { classes: number; rows: number }[] }).answers;
  };
  const byName = await answer('"tench, Tinca tinca",constructor,__proto__,..');
  assert.equal(byName[0]!.classes, 4);
  assert.deepEqual(byName, await answer("#7,#0,#1,#6"));
  assert.equal((await answer("#4,#8"))[0]!.classes, 2);
  // The flag once for each class, as for any other flag that takes several.
  assert.deepEqual(byName, await answer("#7,constructor", "--classes", "__proto__", "--classes", '".."'));
  assert.match((await classes("crane")).err, /--classes, found "crane", which 2 classes have: #4 crane, #8 crane/);
  assert.match((await classes("tench, Tinca tinca")).err, /--classes, found "tench"\. Similar: #7 tench, Tinca tinca/);
  assert.match((await classes('"tench')).err, /closing quote/);
});

test("a subfolder called as numbers of classes are written is refused before anything is trained", async (t) => {
  const labelled = await temporaryFolder(t);
  for (const name of ["#1", "cat"]) {
    await mkdir(join(labelled, name));
    await writeFile(join(labelled, name, "a.png"), "");
  }
  const { code, err } = await sluice("train", "teacher", labelled, "--out", join(labelled, "out"));
  assert.equal(code, 1);
  assert.match(err, /^error E_TRAIN_DATA: .*found the subfolder "#1".*Rename it, such as "1"\./m);
});

describe("a student's labelled and test folders", () => {
  const FOLDERS = ["constructor", "__proto__", "7", "no", "#4", "#5", "#6", "tench, Tinca tinca", "#8", "Y"];
  const SHORT = ["--pretrain-steps", "2", "--fine-tune-steps", "2", "--baseline-steps", "2", "--backend", "wasm"];

  /** `images` pictures a subfolder: one more in each than in the one before */
  async function labelledFolder(name: string, folders: readonly string[], images: (index: number) => number) {
    for (const [index, one] of folders.entries()) {
      const made = await writePictures(
        join(folder, "made", name, String(index)),
        { images: images(index) },
        // Other pictures than those that are tested with.
        (name === "test" ? 90 : 40) + index,
      );
      await mkdir(join(folder, name, one), { recursive: true });
      for (const [at, picture] of made.images.entries())
        await rename(join(folder, "made", name, String(index), picture), join(folder, name, one, `${at}.png`));
    }
  }
  const student = (labelled: string, test: string, ...more: string[]) =>
    sluice("train", "student", labelled, "--test", test, "--out", join(folder, "student"), ...SHORT, ...more);

  test("name classes by number where names are shared, or are no folder's", async () => {
    await labelledFolder("labelled", FOLDERS, (index) => index + 1);
    // The other way to say the same.
    await labelledFolder("test", ["#0", "#1", "#2", "#3", "#4", "#5", "#6", "#7", "#8", "#9"], () => 2);
    const { code, err, json } = await student("labelled", "test", "--json");
    assert.equal(code, 0, err);
    const trained = json() as {
      card: { labels: string[] };
      trainingCounts: number[];
      evaluations: Record<string, { count: number; recall: unknown[] }>;
    };
    assert.deepEqual(trained.card.labels, NAMES);
    assert.deepEqual(
      trained.trainingCounts,
      FOLDERS.map((_, index) => index + 1),
    );
    for (const name of ["baseline", "pretrained", "fineTuned"]) assert.equal(trained.evaluations[name]!.count, 20);
    const { out } = await student("labelled", "test");
    for (const shown of [/^crane #4 /m, /^crane #8 /m, /^constructor /m, /^__proto__ /m]) assert.match(out, shown);
  });

  for (const [name, message] of [
    [
      "crane",
      /^error E_TRAIN_DATA: .*"crane", which 2 classes have: #4 crane, #8 crane\. Name it by its number: #4 or #8\. Rename or remove it\.$/m,
    ],
    ["Constructor", /^error E_TRAIN_DATA: .*"Constructor"\. Similar: #0 constructor\..* Rename or remove it\.$/m],
    ["#10", /^error E_TRAIN_DATA: .*"#10"/m],
  ] as const) {
    test(`called ${name} are refused, in either of the two`, async () => {
      const bad = `bad ${name.replace("#", "number ")}`;
      await labelledFolder(bad, [name, "no"], () => 1);
      for (const [labelled, tested] of [
        [bad, "test"],
        ["labelled", bad],
      ] as const) {
        const { code, err } = await student(labelled, tested);
        assert.equal(code, 1);
        assert.match(err, message);
        assert.match(err, new RegExp(`the subfolders of .*${bad}`));
      }
    });
  }
});
