import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, before, test } from "node:test";
import { runProgram } from "../../cli/program.js";
import { isClaim } from "../../operators/version/attempt.js";
import { uniform } from "../fixtures/seeded-weights.js";
import { writePictures } from "../fixtures/pictures.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { recordedTerminal } from "./recorded-terminal.js";

let folder = "";
let store = "";
let id = "";

/** A data folder with an object of every kind: runs and a tail, labels, names of classes, a relocation, versions with their shards. */
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-flipped-bits-"));
  store = join(folder, "sluice-data", "store");
  await writePictures(join(folder, "pictures"), { images: 24, duplicates: 2, broken: 1 });
  await writeSmallTeacher(join(folder, "teacher"), "onnx", { classes: 4, output: "logits" });
  const settings = [
    "teacher: teacher",
    "engine: { workers: 1, batch: 8 }",
    "archive: { topM: 4, segmentRecords: 8 }",
    "datasets: [{ name: few, select: { k: 4, p: 1 } }]",
  ];
  await writeFile(join(folder, "sluice.yaml"), settings.join("\n"));
  await done(["ingest", "pictures", "--no-publish"]);
  await done(["compact"]);
  await writePictures(join(folder, "pictures"), { images: 6 }, 2, (name) => `later/${name}`);
  await done(["ingest", "pictures"]);
  const picture = await readFile(join(folder, "pictures", "later", "0", "picture-0000.png"));
  await done(["label", "none", createHash("sha256").update(picture).digest("hex")]);
  await cp(join(folder, "pictures"), join(folder, "moved"), { recursive: true });
  await done(["relocate", "pictures", "moved"]);
  id = (JSON.parse(await done(["rebuild", "few", "--json"])) as { id: string }).id;
});

after(() => rm(folder, { recursive: true, force: true }));

async function sluice(args: readonly string[], within = folder): Promise<{ code: number; out: string; err: string }> {
  const terminal = recordedTerminal({ folder: within });
  const code = await runProgram(args, terminal);
  return { code, out: terminal.stdout.text, err: terminal.stderr.text };
}

async function done(args: readonly string[]): Promise<string> {
  const { code, out, err } = await sluice(args);
  assert.equal(code, 0, err);
  return out;
}

/** The kind of an object: its key without what tells one of them from another. */
function kindOf(key: string): string {
  return key.replace(/[0-9a-f]{12,}|\d+/g, "*");
}

async function objectsByKind(): Promise<Map<string, string[]>> {
  const kinds = new Map<string, string[]>();
  for (const entry of await readdir(store, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isFile()) continue;
    // A publisher's claim on an attempt is read by nobody once the manifest stands; which runs stand is listed where it is not told.
    if (isClaim(path) || entry.name === "standing.json") continue;
    const kind = kindOf(relative(store, path));
    kinds.set(kind, [...(kinds.get(kind) ?? []), path]);
  }
  return kinds;
}

test("flip any bit of any object: what reads it names it, and nothing wrong is published", async () => {
  const next = uniform(3);
  const kinds = await objectsByKind();
  const unnoticed: string[] = [];
  for (const [kind, paths] of [...kinds].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const path = paths[Math.floor(next() * paths.length)]!;
    const whole = await readFile(path);
    if (whole.length === 0) continue;
    const bytes = Buffer.from(whole);
    const at = Math.floor(next() * bytes.length);
    bytes[at]! ^= 1 << Math.floor(next() * 8);
    await writeFile(path, bytes);
    const isOfVersion = /^versions\/[^/]+\/data\//.test(relative(store, path));
    const command = isOfVersion ? ["versions", "verify", "few/1", "--deep"] : ["archive", "verify"];
    const told = await sluice(command);
    const said = `${told.out}${told.err}`;
    const name = relative(store, path).split("/").at(-1)!;
    if (told.code === 0 || !said.includes(name)) unnoticed.push(`${kind} at ${at}: ${told.code} ${said.slice(0, 300)}`);
    const rebuilt = await sluice(["rebuild", "few", "--json"]);
    if (rebuilt.code === 0) assert.ok(rebuilt.out.includes(id), `${kind}: another version was published`);
    await writeFile(path, whole);
  }
  assert.deepEqual(unnoticed, []);
  assert.ok(kinds.size >= 16, [...kinds.keys()].join("\n"));
});

/** Where a bit is turned: in an object's middle, in the first column of a run's rows, in the line of a run's index that has its segments. */
const DAMAGES = [
  { kind: "a segment", prefix: "scores", ending: ".arrow", place: (bytes: Buffer) => bytes.length >> 1 },
  { kind: "the rows of a run", prefix: "runs", ending: ".parquet", place: () => 200 },
  { kind: "the index of a run", prefix: "runs", ending: ".jsonl", place: (bytes: Buffer) => bytes.length - 200 },
] as const;

for (const { kind, prefix, ending, place } of DAMAGES) {
  test(`${kind} is damaged: what reads it names offsets, versions and the repair, which is run as it is printed`, async (t) => {
    const copy = await mkdtemp(join(tmpdir(), "sluice-declared-lost-"));
    t.after(() => rm(copy, { recursive: true, force: true }));
    await cp(folder, copy, { recursive: true });
    const run = (...args: string[]) => sluice(args, copy);
    const stored = join(copy, "sluice-data", "store");
    const names = await readdir(join(stored, prefix), { recursive: true });
    const key = join(
      prefix,
      names.find((name) => name.endsWith(ending))!,
    );
    const bytes = await readFile(join(stored, key));
    bytes[place(bytes)]! ^= 16;
    await writeFile(join(stored, key), bytes);

    const refused = await run("rebuild", "few");
    assert.notEqual(refused.code, 0);
    assert.ok(refused.err.includes(key), refused.err);
    const [, start, end] = /[Oo]ffsets \[(\d+), (\d+)\) of images\/0/.exec(refused.err) ?? [];
    assert.ok(Number(end) > Number(start), refused.err);
    const verified = await run("archive", "verify", "--json");
    assert.equal(verified.code, 3);
    const { damaged } = JSON.parse(verified.out) as {
      damaged: readonly { key: string; range: { start: number; end: number } | null; versions: readonly string[] }[];
    };
    const inChain = damaged.find(({ range }) => range !== null);
    assert.deepEqual([inChain?.key, inChain?.range?.start, inChain?.range?.end], [key, Number(start), Number(end)]);
    assert.ok(inChain?.versions.includes("few/1"));

    const [, hint] = /`sluice (archive declare-lost [^`]+)`/.exec(refused.err) ?? [];
    const words = hint!.split(" ");
    const before = await readdir(stored, { recursive: true });
    const told = await run(...words);
    assert.equal(told.code, 0, told.err);
    assert.match(told.out, /would be declared lost: \d+ record/);
    assert.match(told.out, /few\/1/);
    assert.deepEqual(await readdir(stored, { recursive: true }), before, "nothing was written");
    const declared = await run(...words, "--author", "anna", "--yes", "--json");
    assert.equal(declared.code, 0, declared.err);
    const [lost] = (JSON.parse(declared.out) as { declared: { start: number; end: number; records: number }[] })
      .declared;
    assert.deepEqual([lost?.start, lost?.end], [Number(start), Number(end)]);
    assert.equal((await run(...words, "--yes")).code, 2, "there is nothing more to declare");

    const whole = await run("archive", "verify");
    assert.equal(whole.code, 0, whole.out);
    assert.match(whole.out, /declared lost, \d+ records? \(damaged; anna/);
    assert.match(whole.out, /few\/1/);
    assert.match((await run("status")).out, /lost +\d+ records? at/);
    const old = await run("versions", "verify", "few/1");
    assert.equal(old.code, 0, old.out);
    assert.match(old.out, /declared lost since \(damaged\): \d+ rows? of it/);
    // What is left is less than K in every class.
    const rebuilt = await run("rebuild", "few", "--allow-starving", "--json");
    assert.equal(rebuilt.code, 0, rebuilt.err);
    const { number, records } = JSON.parse(rebuilt.out) as { number: number; records?: unknown };
    assert.ok(number > 1, String(records));
    const shown = JSON.parse((await run("versions", "show", "latest", "--json")).out) as {
      totals: { records: { in: number; scored: number; copied: number; quarantined: number; lost: number } };
      provenance: { lost: readonly { start: number; end: number; reason: string }[] };
    };
    const { totals, provenance } = shown;
    assert.equal(totals.records.lost, lost?.records);
    assert.deepEqual(
      provenance.lost.map((one) => [one.start, one.end, one.reason]),
      [[Number(start), Number(end), "damaged"]],
    );
    for (const args of [
      ["versions", "verify", "latest", "--deep"],
      ["reproduce", "latest"],
      ["compact"],
      ["ingest", "pictures"],
    ]) {
      const after = await run(...args);
      assert.equal(after.code, 0, `${args.join(" ")}: ${after.out}${after.err}`);
    }
    assert.match((await run("versions", "verify", "few/1")).out, /declared lost since/);
  });
}
