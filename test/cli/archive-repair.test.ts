import assert from "node:assert/strict";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test, type TestContext } from "node:test";
import { runProgram } from "../../cli/program.js";
import { CommandFolder, type Ran } from "../fixtures/command-folder.js";
import { writePictures } from "../fixtures/pictures.js";
import { recordedTerminal } from "./recorded-terminal.js";

let place: CommandFolder;

/** A run of three segments whose objects still lie there, a tail of two, and a version of all of them. */
before(async () => {
  place = await CommandFolder.make({ images: 20, datasets: "[{ name: few, select: { k: 2, p: 1 } }]" });
  await place.ingest("--no-publish");
  assert.equal((await place.sluice("compact")).code, 0);
  await writePictures(join(place.path, "pictures"), { images: 10 }, 2, (name) => `later/${name}`);
  await place.ingest("--allow-starving");
});

after(() => place.remove());

interface Repaired {
  readonly dryRun: boolean;
  readonly repaired: readonly {
    readonly from: string | null;
    readonly isSame: boolean | null;
    readonly versions: readonly string[];
  }[];
}

/** A copy of the folder, in which one object is another. */
class Damaged {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  static async copy(t: TestContext): Promise<Damaged> {
    const path = await mkdtemp(join(tmpdir(), "sluice-repair-"));
    t.after(() => rm(path, { recursive: true, force: true }));
    await cp(place.path, path, { recursive: true });
    return new Damaged(path);
  }

  stored(...names: string[]): string {
    return join(this.path, "sluice-data", "store", ...names);
  }

  /** Keys below a prefix, in order */
  async keys(prefix: string, ending: string): Promise<string[]> {
    const names = await readdir(this.stored(prefix), { recursive: true });
    return names
      .filter((name) => name.endsWith(ending))
      .map((name) => join(prefix, name))
      .sort();
  }

  async flip(key: string, at: (bytes: Buffer) => number): Promise<Buffer> {
    const whole = await readFile(this.stored(key));
    const bytes = Buffer.from(whole);
    bytes[at(bytes)]! ^= 16;
    await writeFile(this.stored(key), bytes);
    return whole;
  }

  async sluice(...args: string[]): Promise<Ran> {
    const terminal = recordedTerminal({ folder: this.path });
    terminal.atMs = Date.now();
    const code = await runProgram(["--no-progress", ...args], terminal);
    return { code, out: terminal.stdout.text, err: terminal.stderr.text };
  }

  /** Runs the hint that a reader of `key` prints, and then does what it says. */
  async repaired(key: string): Promise<Repaired> {
    const { code, out } = await this.sluice("archive", "verify");
    assert.equal(code, 3, out);
    const hint = `archive repair ${key}`;
    assert.ok(out.includes(`\`sluice ${hint}`), out);
    const before = await this.keys("", "");
    const dry = await this.sluice(...hint.split(" "));
    assert.equal(dry.code, 0, dry.err);
    assert.match(dry.out, /few\/1/);
    assert.match(dry.out, /Nothing was changed/);
    assert.deepEqual(await this.keys("", ""), before);
    const done = await this.sluice(...hint.split(" "), "--yes", "--json");
    assert.equal(done.code, 0, done.err);
    for (const args of [
      ["archive", "verify"],
      ["reproduce", "few/1"],
      ["versions", "verify", "few/1", "--deep"],
      ["compact"],
    ]) {
      const ran = await this.sluice(...args);
      assert.equal(ran.code, 0, `${args.join(" ")}: ${ran.out}${ran.err}`);
    }
    return JSON.parse(done.out) as Repaired;
  }
}

const middle = (bytes: Buffer): number => bytes.length >> 1;

test("a segment whose rows are damaged is scored again from the log, bit for bit where the engine gives the same", async (t) => {
  const folder = await Damaged.copy(t);
  const key = (await folder.keys("scores", ".arrow")).at(-2)!;
  const whole = await folder.flip(key, middle);
  const { repaired } = await folder.repaired(key);
  assert.deepEqual(
    repaired.map(({ from, isSame, versions }) => ({ from, isSame, versions })),
    [{ from: "log", isSame: true, versions: ["few/1"] }],
  );
  // Compacted since, and not swept yet
  assert.deepEqual(await readFile(folder.stored(key)), whole);
});

test("a segment whose header is damaged, or that has gone, is made again between its neighbours", async (t) => {
  const folder = await Damaged.copy(t);
  const key = (await folder.keys("scores", ".arrow")).at(-2)!;
  await rm(folder.stored(key));
  const [one] = (await folder.repaired(key)).repaired;
  assert.equal(one?.from, "log");
});

test("a run's rows are made again from segments that still lie there, else from the log; what lies beside them from the rows", async (t) => {
  for (const [place, from] of [
    ["rows", "copy"],
    ["rows", "log"],
    ["digests", "rows"],
  ] as const) {
    const folder = await Damaged.copy(t);
    const key = (await folder.keys("runs", ".parquet"))[0]!;
    const segments = await folder.keys("scores", ".arrow");
    if (from === "log") for (const one of segments.slice(0, 3)) await rm(folder.stored(one));
    const head = JSON.parse(
      (await readFile(folder.stored((await folder.keys("runs", ".jsonl"))[0]!), "utf8")).split("\n", 1)[0]!,
    ) as { files: { digests: { start: number } }[] };
    await folder.flip(key, () => (place === "rows" ? 200 : head.files[0]!.digests.start + 3));
    const { repaired } = await folder.repaired(key);
    assert.deepEqual(
      repaired.map((one) => [one.from, one.isSame]),
      [[from, true]],
    );
  }
});

test("what cannot be made again is refused with the reason, and nothing is changed", async (t) => {
  const folder = await Damaged.copy(t);
  const segments = await folder.keys("scores", ".arrow");
  // The chain's last segment: nothing says where it ended.
  const last = segments.at(-1)!;
  const whole = await folder.flip(last, (bytes) => bytes.length - 60);
  const refused = await folder.sluice("archive", "repair", last, "--yes");
  assert.notEqual(refused.code, 0);
  const [, giveUp] = /`sluice (archive declare-lost [^`]+)`/.exec(refused.err) ?? [];
  assert.equal((await folder.sluice(...giveUp!.split(" "))).code, 0);
  await writeFile(folder.stored(last), whole);

  const index = (await folder.keys("runs", ".jsonl"))[0]!;
  const head = await folder.flip(index, (bytes) => bytes.length - 200);
  const damagedIndex = await folder.sluice("archive", "repair", "--yes");
  assert.notEqual(damagedIndex.code, 0);
  assert.ok(damagedIndex.err.includes(`declare-lost ${index}`), damagedIndex.err);
  await writeFile(folder.stored(index), head);

  const key = segments.at(-2)!;
  await folder.flip(key, middle);
  const damaged = await readFile(folder.stored(key));
  await rm(join(place.path, "pictures", "later"), { recursive: true });
  const vanished = await folder.sluice("archive", "repair", key, "--yes");
  assert.notEqual(vanished.code, 0);
  assert.match(vanished.err, /images have vanished or changed/);
  assert.deepEqual(await readFile(folder.stored(key)), damaged);
  assert.equal((await folder.sluice("archive", "repair", "images/0/0-1")).code, 2, "nothing is damaged there");
});
