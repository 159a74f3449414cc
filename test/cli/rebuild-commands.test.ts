import assert from "node:assert/strict";
import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { VersionDiff } from "../../pipelines/versions/versions.js";
import type { Manifest } from "../../schemas/manifest.js";
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

interface Published {
  readonly number: number;
  readonly id: string;
  readonly outcome: string;
}

test("reproduce prints both ids, and exits with 3 where the archive gives another version", async () => {
  const good = await sluice(["reproduce", "latest"]);
  assert.equal(good.code, 0, good.err);
  const [, published, archive] = /published {2}(\w{64})\n {2}archive {4}(\w{64})/.exec(good.out) ?? [];
  assert.ok(published !== undefined);
  assert.equal(published, archive);

  const { out } = await sluice(["reproduce", "flowers/1", "--json"]);
  assert.deepEqual(JSON.parse(out), {
    dataset: "flowers",
    number: 1,
    same: true,
    published,
    archive,
    incomplete: false,
    erased: 0,
    differences: [],
  });
  assert.equal((await sluice(["reproduce", "7"])).code, 1);
});

test("rebuild takes a version's frontier, a time, other parameters; what cannot go together is refused", async () => {
  const first = JSON.parse((await sluice(["rebuild", "--at", "1", "--json"])).out) as Published;
  assert.equal(first.outcome, "unchanged");
  const smaller = await sluice(["rebuild", "--at", "1", "--set", "datasets[0].select.k=5", "--json"]);
  assert.equal((JSON.parse(smaller.out) as Published).outcome, "created", smaller.err);
  const none = await sluice(["rebuild", "--until", "2001-01-01", "--json"]);
  assert.equal(none.code, 1);
  assert.equal((JSON.parse(none.out) as { error: { code: string } }).error.code, "E_PUBLISH_EMPTY");
  const early = await sluice(["rebuild", "--until", "2001-01-01", "--allow-empty", "--json"]);
  assert.equal((JSON.parse(early.out) as { rows: number }).rows, 0, early.err);

  const windowed = ["rebuild", "--set", "datasets.0.window={kind: tumbling, sizeMs: 864000000000}", "--json"];
  const open = JSON.parse((await sluice(windowed)).out) as Published;
  assert.equal(open.outcome, "created", "as far as the window has come");
  const ended = JSON.parse((await sluice([...windowed, "--ended", "--allow-empty"])).out) as { rows: number };
  assert.equal(ended.rows, 0, "the window before it, which has ended");
  const whole = JSON.parse((await sluice(["rebuild", "--ended", "--json"])).out) as Published;
  assert.equal(whole.id, first.id, "a global window has no end");

  for (const [args, said] of [
    [["--until", "2026-01-01", "--window", "2026-01-01"], /Expected --until or --window, found both/],
    [["--ended", "--until", "2026-01-01"], /Expected --ended or --until, found both/],
    [["--ended", "--window", "2026-01-01"], /Expected --ended or --window, found both/],
    [["--until", "soon"], /Expected a date/],
    [["--window", "2026-01-01"], /its window is global/],
  ] as const) {
    const { code, err } = await sluice(["rebuild", ...args]);
    assert.equal(code, 2, `${args.join(" ")}: ${err}`);
    assert.match(err, said);
  }
});

test("images that are labelled leave the next version; withdrawing gives the first one again", async () => {
  const shown = async (version: string) =>
    JSON.parse((await sluice(["versions", "show", version, "--json"])).out) as Manifest;
  const { id: before } = JSON.parse((await sluice(["rebuild", "--json"])).out) as Published;
  const manifest = await shown("latest");
  const full = manifest.classes.find(({ count }) => count > 2)!;
  const { code, out, err } = await sluice(["label", "not", full.label, "--rows", `${full.label}:1,2`, "--by", "anna"]);
  assert.equal(code, 0, err);
  assert.match(out, /^2 images labelled\. They count/);
  const again = await sluice(["label", "not", full.label, "--rows", `${full.label}:1,2`, "--by", "ben"]);
  assert.match(again.out, /^Nothing was appended: all 2 labels stand already\.$/m);
  const { labels } = JSON.parse((await sluice(["label", "list", "--json"])).out) as { labels: { sha256: string }[] };
  assert.deepEqual(Object.keys(labels[0]!).sort(), ["by", "class", "sha256", "timeMs", "verdict"]);
  assert.equal(labels.length, 2);

  const second = JSON.parse((await sluice(["rebuild", "--json"])).out) as Published;
  assert.notEqual(second.id, before);
  const { added, removed } = (
    JSON.parse((await sluice(["versions", "diff", String(manifest.number), "latest", "--json"])).out) as VersionDiff
  ).totals;
  assert.equal(removed, 2);
  assert.equal(added, (await shown("latest")).totals.rows - manifest.totals.rows + 2);
  assert.equal((await sluice(["reproduce", "latest"])).code, 0);
  assert.equal((await sluice(["reproduce", String(manifest.number)])).code, 0);
  assert.match((await sluice(["versions", "show", "latest"])).out, /labels {6}2 heeded/);

  await writeFile(
    join(place.path, "back.jsonl"),
    labels.map(({ sha256 }) => JSON.stringify({ sha256, verdict: "withdrawn" })).join("\n"),
  );
  assert.equal((await sluice(["label", "import", "back.jsonl"])).code, 0);
  const { labelled, known } = JSON.parse((await sluice(["label", "import", "back.jsonl", "--json"])).out) as {
    labelled: number;
    known: number;
  };
  assert.deepEqual([labelled, known], [0, 2]);
  assert.equal((JSON.parse((await sluice(["rebuild", "--json"])).out) as Published).id, before);
});

test("an image is labelled by the first digits of its digest, as a contact sheet has them", async () => {
  type Listed = { labels: { sha256: string; verdict: string }[] };
  const listed = async () => (JSON.parse((await sluice(["label", "list", "--json"])).out) as Listed).labels;
  const { sha256 } = (await listed())[0]!;
  for (const [verdict, digits] of [
    ["none", sha256.slice(0, 8)],
    ["withdraw", `sha256:${sha256.slice(0, 12).toUpperCase()}`],
  ] as const) {
    const { code, err } = await sluice(["label", verdict, digits, "--of", "1"]);
    assert.equal(code, 0, err);
    assert.equal((await listed()).at(-1)!.sha256, sha256);
  }
});

test("labels that cannot be meant are refused, and nothing of them is taken in", async () => {
  const sha256 = "ab".repeat(32);
  const { out } = await sluice(["label", "list", "--json"]);
  await writeFile(
    join(place.path, "bad.jsonl"),
    `{"sha256":"${sha256}","verdict":"none"}\n{"sha256":"${sha256}","verdict":"is"}\n`,
  );
  for (const [args, said] of [
    [["label", "none"], /Expected images, by their SHA-256 or with --rows, found none/],
    [["label", "none", "abc"], /Expected an image's SHA-256 .* found "abc"/],
    [["label", "none", "abababab"], /the first digits of an image of version .*, found "abababab", with which none/],
    [
      ["label", "is", "no such class", sha256],
      /Expected one of \d+ labels in a label; --any-class accepts others, found "no such class"/,
    ],
    [["label", "none", "--rows", "class 0:0"], /"0" names no ranks/],
    [["label", "none", "--rows", "class 0"], /Expected a class and its ranks, such as cat:3,7-9/],
    [["label", "none", "--rows", "nothing:1"], /labels in --rows for version flowers\/\d+, found "nothing"/],
    [["label", "import", "bad.jsonl"], /line 2 of bad\.jsonl, found one where class is wrong/],
    [["label", "import", "gone.jsonl"], /Expected a file of labels at gone\.jsonl/],
  ] as const) {
    const { code, err } = await sluice([...args]);
    assert.equal(code, 2, `${args.join(" ")}: ${err}`);
    assert.match(err, said);
  }
  assert.equal((await sluice(["label", "list", "--json"])).out, out);
  assert.equal((await sluice(["label", "is", "no such class", sha256, "--any-class"])).code, 0);
});

test("a gap stops rebuild and reproduce; rebuild --allow-gaps says what it leaves out and how it comes back", async () => {
  const scores = place.stored("scores");
  const segments = (await readdir(scores, { recursive: true })).filter((name) => name.endsWith(".arrow")).sort();
  const gone = segments[1]!;
  await rm(join(scores, gone));
  for (const command of [["rebuild"], ["reproduce", "1"]]) {
    const { code, err } = await sluice(command);
    assert.equal(code, 1);
    assert.match(err, /E_CHAIN_GAP/);
    assert.ok(err.includes(gone));
  }
  const { code, out, err } = await sluice(["rebuild", "--allow-gaps"]);
  assert.equal(code, 0, err);
  assert.match(out, /incomplete: gaps in the archive were left out/);
  const [line] = err.split("\n").filter((text) => text.includes("left out: offsets ["));
  assert.ok(line?.includes(`Restore scores/${gone} from a copy`), err);
  assert.equal(err.split("left out: offsets").length, 2, "each gap is named once");
});
