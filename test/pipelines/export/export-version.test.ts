import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Store } from "../../../connectors/store/store.js";
import { appendLabels } from "../../../operators/archive/image-labels.js";
import { publish } from "../../../operators/version/publish.js";
import { exportVersion, type Exported } from "../../../pipelines/export/export-version.js";
import { openExportTarget, type ExportTarget } from "../../../pipelines/export/export-target.js";
import { wilson } from "../../../pipelines/console/review/review-queue.js";
import { readIndex, readSamples } from "../../../pipelines/versions/versions.js";
import { EXPORT_FORMATS, type ExportFormat } from "../../../schemas/export-format.js";
import { sha256Hex } from "../../../schemas/canonical.js";
import { SluiceError } from "../../../schemas/errors.js";
import type { Manifest } from "../../../schemas/manifest.js";
import { madeCut, manyClasses } from "../../fixtures/cuts.js";
import { openMemoryStore, type MemoryStore } from "../../fixtures/memory-store.js";
import { collect, publishOptions } from "../../fixtures/publishing.js";

const LABELS = ["../..", "a/b.c", "CON", "猫", 'say "x", y', "nobody", "n".repeat(300)];

/** 21 rows of seven classes in some shards, one image of which is absent. */
async function published(): Promise<{ store: MemoryStore; manifest: Manifest }> {
  const { classes, images } = manyClasses(7, (index) => [5, 3, 1, 5, 2, 0, 5][index]!);
  images.delete([...images.keys()][1]!);
  const teacher = { digest: "ab".repeat(32), name: "teacher", labels: LABELS, temperature: 1 };
  const options = publishOptions(images, { groupRows: 8 });
  const { manifest } = await publish(madeCut(classes, { teacher, shards: { count: 3 } }), options);
  return { store: options.store, manifest };
}

const into = (store: Store, found: readonly string[] = []): ExportTarget => ({ store, found, close: async () => {} });

async function exported(as: ExportFormat): Promise<{ target: MemoryStore; manifest: Manifest; store: MemoryStore }> {
  const { store, manifest } = await published();
  const target = openMemoryStore();
  const done = await exportVersion(store, manifest, into(target), { as });
  assert.deepEqual([done.outcome, done.rows, done.kept], ["exported", 21, 0]);
  return { target, manifest, store };
}

const textOf = (store: MemoryStore, key: string): string => Buffer.from(store.objects.get(key)!).toString("utf8");

/** A reader of CSV that knows nothing of the writer. */
function csv(text: string): Record<string, string>[] {
  const rows: string[][] = [[]];
  let cell = "";
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (quoted && character === '"' && text[at + 1] === '"') cell += text[++at]!;
    else if (character === '"') quoted = !quoted;
    else if (!quoted && (character === "," || character === "\n")) {
      rows.at(-1)!.push(cell);
      cell = "";
      if (character === "\n") rows.push([]);
    } else if (quoted || character !== "\r") cell += character;
  }
  const [head, ...lines] = rows.slice(0, -1);
  return lines.map((line) => Object.fromEntries(head!.map((name, column) => [name, line[column]!])));
}

test("a folder has every image once, whole, in its class's folder, and its rows say where", async () => {
  const { target, manifest, store } = await exported("folder");
  const rows = csv(textOf(target, "rows.csv"));
  const index = await collect(readIndex(store, manifest));
  assert.deepEqual(
    rows.map(({ class: one, label, rank, sha256, key, licence, event_time }) => [
      Number(one),
      label,
      Number(rank),
      sha256,
      Number(key),
      licence === "" ? null : licence,
      Date.parse(event_time!),
    ]),
    index.map((row) => [row.class, row.label, row.rank, row.sha256, row.key, row.licence, row.eventTimeMs]),
  );
  const folders = new Map(csv(textOf(target, "classes.csv")).map(({ folder, label }) => [folder, label]));
  assert.deepEqual([...folders.values()], LABELS);
  const files = [...target.objects.keys()].filter((key) => key.startsWith("images/"));
  for (const row of rows.filter(({ bytes }) => bytes === "shard")) {
    assert.equal(sha256Hex(target.objects.get(row["file"]!)!), row["sha256"]);
    assert.equal(folders.get(row["file"]!.split("/")[1]), row["label"]);
  }
  const said = rows.map(({ file }) => file!).filter((file) => file !== "");
  assert.deepEqual(files.sort(), said.sort());
  assert.equal(rows.length - said.length, manifest.totals.bytesAbsent);
  assert.ok(manifest.totals.bytesAbsent > 0);
});

test("the shards and the index of a version are copied as they are", async () => {
  for (const as of ["hf", "webdataset"] as const) {
    const { target, manifest } = await exported(as);
    const copied = manifest.files.filter(({ key }) =>
      as === "hf" ? !key.endsWith("README.md") : key.endsWith(".tar"),
    );
    for (const { key, sha256 } of copied) {
      assert.equal(sha256Hex(target.objects.get(key.split("/").slice(4).join("/"))!), sha256);
    }
    assert.equal(textOf(target, "README.md").startsWith("---\npretty_name"), as === "hf");
  }
});

test("a card says counts, cut-offs, lineage, licences and limits", async () => {
  const { target, manifest } = await exported("csv");
  const card = textOf(target, "README.md");
  const licences = csv(textOf(target, "rows.csv")).map(({ licence }) => licence);
  const free = licences.filter((licence) => licence === "CC-BY-4.0").length;
  assert.ok(card.includes(`| CC-BY-4.0 | ${free} |`));
  assert.ok(card.includes(`| not said | ${licences.length - free} |`));
  assert.ok(card.includes(manifest.id) && card.includes(manifest.teacher.digest));
  assert.match(card, /teacher's guesses, not the truth/);
  assert.match(card, /bytes any more/);
  for (const { class: one, count, worst } of manifest.classes) {
    const line = card.split("\n").find((each) => each.startsWith(`| ${one} |`))!;
    assert.ok(line.includes(` ${count} | `) && (worst === null || line.includes(worst.toPrecision(4))));
  }
});

/** A store that breaks at its n-th write, which it does not make. */
function breaking(store: MemoryStore, at: number): Store {
  let writes = 0;
  const full = (): void => {
    if (++writes >= at) throw new SluiceError("E_STORE_FULL", "Expected room, found none.");
  };
  return {
    ...store,
    put: async (key, bytes) => {
      full();
      await store.put(key, bytes);
    },
    putIfAbsent: async (key, bytes) => {
      full();
      return store.putIfAbsent(key, bytes);
    },
    putStream: async (key, chunks) => {
      full();
      return store.putStream(key, chunks);
    },
  };
}

test("an export that breaks off anywhere leaves whole files alone, and the same call completes it", async () => {
  for (const as of EXPORT_FORMATS) {
    const { target: whole, store, manifest } = await exported(as);
    const last = whole.objects.size;
    for (const at of new Set([1, 2, Math.ceil(last / 2), last - 1, last])) {
      const target = openMemoryStore();
      await assert.rejects(exportVersion(store, manifest, into(breaking(target, at)), { as }), {
        code: "E_STORE_FULL",
      });
      for (const [key, bytes] of target.objects) assert.deepEqual(bytes, whole.objects.get(key), key);
      assert.ok(!target.objects.has("README.md"));
      const found = [...target.objects.keys()];
      const { outcome, files, kept } = await exportVersion(store, manifest, into(target, found), { as });
      assert.equal(outcome, at === 1 ? "exported" : "resumed");
      assert.deepEqual([files, kept], [whole.objects.size - 1, Math.max(0, found.length - 1)]);
      assert.deepEqual(new Map([...target.objects].sort()), new Map([...whole.objects].sort()));
    }
    const again: Exported = await exportVersion(store, manifest, into(whole, ["README.md"]), { as });
    assert.equal(again.outcome, "there");
  }
});

test("a place with anything else in it is refused, and stays as it is", async (t) => {
  const { store, manifest } = await published();
  const folder = await mkdtemp(join(tmpdir(), "sluice-export-"));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "my thesis.txt"), "years of work");
  const target = await openExportTarget(folder, undefined);
  await assert.rejects(exportVersion(store, manifest, target, { as: "csv" }), {
    code: "E_EXPORT_TARGET",
    message: /found my thesis\.txt\. Name another place with --to/,
  });
  await target.close();
  assert.deepEqual(await readdir(folder), ["my thesis.txt"]);

  const other = openMemoryStore();
  await exportVersion(store, manifest, into(other), { as: "csv" });
  await assert.rejects(exportVersion(store, manifest, into(other, ["export.json"]), { as: "folder" }), {
    code: "E_EXPORT_TARGET",
    message: /found another export, .*"as":"csv"/,
  });
});

test("of two exports that found a place empty at once, the second one is refused where it is another", async () => {
  const { store, manifest } = await published();
  const target = openMemoryStore();
  await exportVersion(store, manifest, into(target), { as: "csv" });
  const before = new Map(target.objects);
  await assert.rejects(exportVersion(store, manifest, into(target), { as: "webdataset" }), { code: "E_EXPORT_TARGET" });
  assert.deepEqual(target.objects, before);
});

test("a damaged shard is never exported, whatever the form", async () => {
  const { store, manifest } = await published();
  const [first] = await collect(readSamples(store, manifest));
  for (const { key } of manifest.files.filter((file) => file.key.endsWith(".tar"))) {
    const shard = Buffer.from(store.objects.get(key)!);
    const at = shard.indexOf(first!.bytes);
    if (at >= 0) shard[at + 20]! ^= 1;
    store.objects.set(key, shard);
  }
  for (const as of ["folder", "hf", "webdataset", "tfrecord"] as const) {
    const target = openMemoryStore();
    await assert.rejects(exportVersion(store, manifest, into(target), { as }), { code: "E_VERSION_CORRUPT" });
    assert.ok(!target.objects.has("README.md"));
    for (const bytes of target.objects.values())
      assert.equal(Buffer.from(bytes).indexOf(first!.bytes.subarray(8, 20)) >= 0 && as === "folder", false);
  }
});

test("one that is stopped says that it can go on", async () => {
  const { store, manifest } = await published();
  await assert.rejects(
    exportVersion(store, manifest, into(openMemoryStore()), { as: "folder", signal: AbortSignal.abort() }),
    { code: "E_CANCELLED", message: /goes on with what is missing/ },
  );
});

test("the card says how right people found the version's audit sample, by class, and that nobody has judged it before", async () => {
  const { store, manifest } = await published();
  const cardOf = async (): Promise<string> => {
    const target = openMemoryStore();
    await exportVersion(store, manifest, into(target), { as: "csv" });
    return textOf(target, "README.md");
  };
  assert.match(await cardOf(), /## Precision\nNobody has audited this version/);
  const rows = await collect(readIndex(store, manifest));
  // Of the first class' five rows one is not right; of another class nobody says anything.
  const said = rows
    .filter((row) => row.class === 0)
    .map(({ sha256, label, rank }) => {
      const about = { sha256, timeMs: 1, by: null, class: label };
      return rank === 2 ? { verdict: "not" as const, ...about } : { verdict: "is" as const, ...about };
    });
  await appendLabels(store, manifest.provenance.stream, said);
  const card = await cardOf();
  const denied = said.find(({ verdict }) => verdict === "not")!.sha256;
  const isSaid = (sha256: string): boolean => said.some((one) => one.sha256 === sha256);
  // An image of them that stands in another class, too, is not right there; of one that is only not of the first, that is not known.
  const judged = rows.filter(({ sha256, class: index }) => isSaid(sha256) && (index === 0 || sha256 !== denied)).length;
  const share = (value: number): string => `${(100 * value).toFixed(1)} %`;
  const whole = wilson(4, judged);
  const between = `between ${share(whole.low)} and ${share(whole.high)} (95 %`;
  assert.ok(card.includes(`4 are right, ${share(4 / judged)},\n${between}`), card);
  const first = wilson(4, 5);
  assert.ok(card.includes(`| 0 | ../.. | 4 of 5 | ${share(first.low)} to ${share(first.high)} |`), card);
});
