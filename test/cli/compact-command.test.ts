import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { writePictures } from "../fixtures/pictures.js";
import { CommandFolder, type Ran } from "../fixtures/command-folder.js";

let place: CommandFolder;

before(async () => {
  place = await CommandFolder.make({
    images: 60,
    duplicates: 4,
    broken: 2,
    datasets: "[{ name: flowers, select: { k: 20, p: 3 } }]",
  });
  assert.equal((await sluice(["ingest", "pictures"])).code, 0);
});

after(() => place.remove());

const sluice = (args: readonly string[]): Promise<Ran> => place.sluice(...args);

interface Done {
  readonly teachers: readonly [
    {
      readonly segments: number;
      readonly runs: number;
      readonly rows: number;
      readonly bytesAfter: number | null;
      readonly refused: readonly { readonly start: number; readonly end: number; readonly key: string }[];
    },
  ];
}

const store = (): string => place.stored();

async function parquetFiles(): Promise<string[]> {
  const names = await readdir(join(store(), "runs"), { recursive: true }).catch(() => []);
  return names.filter((name) => name.endsWith(".parquet"));
}

test("compact says what it would do, does it, and the archive gives the same version", async () => {
  const dry = JSON.parse((await sluice(["compact", "--dry-run", "--json"])).out) as Done;
  assert.equal(dry.teachers[0].bytesAfter, null);
  assert.ok(dry.teachers[0].segments > 4);
  assert.deepEqual(await parquetFiles(), []);

  const old = await sluice(["compact", "--older-than", "5200w", "--json"]);
  assert.equal((JSON.parse(old.out) as Done).teachers[0].segments, 0);

  const { code, out, err } = await sluice(["compact", "--segments", "4"]);
  assert.equal(code, 0, err);
  assert.match(
    out,
    /^Compacted \d+ segments of images under teacher \w{12} \(64 rows\) into \d runs: [\d.]+ KiB before, /,
  );
  assert.ok((await parquetFiles()).length >= 2);
  assert.match(out, /merged others into 1 larger run/);

  assert.equal((await sluice(["reproduce", "latest"])).code, 0);
  const rebuilt = JSON.parse((await sluice(["rebuild", "--json"])).out) as { outcome: string };
  assert.equal(rebuilt.outcome, "unchanged");
  const whatif = await sluice(["whatif", "--k", "5,10"]);
  assert.equal(whatif.code, 0, whatif.err);
  const again = JSON.parse((await sluice(["compact", "--json"])).out) as Done;
  assert.deepEqual([again.teachers[0].segments, again.teachers[0].runs], [0, 0]);
  // Scoring goes on behind the runs.
  await writePictures(join(place.path, "more"), { images: 6, duplicates: 0, broken: 0 }, 99);
  const more = JSON.parse((await sluice(["ingest", "more", "--json"])).out) as {
    counts: { scored: number };
  };
  assert.equal(more.counts.scored, 6);
});

test("a corrupt segment is named with its offsets, and what lies before is compacted; exit code 1", async () => {
  const scores = join(store(), "scores");
  const names = (await readdir(scores, { recursive: true })).filter((name) => name.endsWith(".arrow")).sort();
  await writeFile(join(scores, names.at(-1)!), "no segment");
  const { code, out } = await sluice(["compact", "--json"]);
  assert.equal(code, 1);
  const [refused] = (JSON.parse(out) as Done).teachers[0].refused;
  assert.equal(refused?.key, `scores/${names.at(-1)!}`);
  assert.match(
    (await sluice(["compact"])).out,
    /stopped before offsets from \d+ on of images\/0: Expected an archive segment/,
  );
});

test("arguments that make no sense are refused", async () => {
  for (const [args, said] of [
    [["--older-than", "soon"], /Expected a duration such as 90s/],
    [["--segments", "0"], /Expected a whole number above 0/],
  ] as const) {
    const { code, err } = await sluice(["compact", ...args]);
    assert.equal(code, 2);
    assert.match(err, said);
  }
  const none = await sluice(["compact", "--teacher-digest", "zz"]);
  assert.equal(none.code, 1);
  assert.match(none.err, /Expected a teacher whose digest starts with "zz"/);
});
