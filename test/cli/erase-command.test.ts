import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { copyFile, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { openEmbeddedLog } from "../../connectors/log/embedded/embedded-log.js";
import { openStore } from "../../pipelines/open/workspace.js";
import { readIndex } from "../../pipelines/versions/index-reader.js";
import { readManifest } from "../../pipelines/versions/versions.js";
import type { IndexRow } from "../../schemas/index-row.js";
import type { Manifest } from "../../schemas/manifest.js";
import { scan, windowsOf } from "../fixtures/byte-scan.js";
import { CommandFolder } from "../fixtures/command-folder.js";
import { collect } from "../fixtures/publishing.js";

interface Report {
  readonly changed: boolean;
  readonly images: readonly { readonly sha256: string; readonly recorded: string; readonly isKnown: boolean }[];
  readonly rows: number;
  readonly packs: { readonly images: number };
  readonly versions: readonly { readonly number: number; readonly rows: number; readonly files: readonly string[] }[];
  readonly logRecords: number;
  readonly uris: readonly string[];
}

const DATASETS = "[{ name: d, select: { k: 5, p: 3 } }]";

async function rowsOf(place: CommandFolder, version: number): Promise<IndexRow[]> {
  const store = await openStore({ data: join(place.path, "sluice-data") });
  try {
    return await collect(readIndex(store, await readManifest(store, "d", version)));
  } finally {
    await store.close();
  }
}

/** What the records of the log say of where images lie. */
async function logUris(data: string): Promise<string[]> {
  const log = await openEmbeddedLog(join(data, "log"), { exclusive: false });
  try {
    const [{ start, end }] = (await log.ends("images")) as [{ start: number; end: number }];
    const offsets = Array.from({ length: end - start }, (_, at) => start + at);
    return (await log.fetch("images", 0, offsets)).map(({ headers }) => headers["sluice-uri"] ?? "");
  } finally {
    await log.close();
  }
}

/** The pictures of a folder by their digests. */
async function pictures(place: CommandFolder): Promise<Map<string, { readonly file: string; readonly bytes: Buffer }>> {
  const found = new Map<string, { file: string; bytes: Buffer }>();
  const folder = join(place.path, "pictures");
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const bytes = await readFile(file);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    if (!found.has(sha256)) found.set(sha256, { file, bytes });
  }
  return found;
}

for (const bytes of ["keep", "refer"] as const) {
  test(`bytes: ${bytes}: an erased image leaves everything, versions keep their ids, and it is never stored again`, async (t) => {
    const place = await CommandFolder.make({ images: 40, duplicates: 4, broken: 1, datasets: DATASETS }, t);
    const data = join(place.path, "sluice-data");
    const set = ["--set", `bytes=${bytes}`];
    await place.ingest(...set);
    const before = await place.json<Manifest>("versions", "show", "1");
    const rows = await rowsOf(place, 1);
    const best = rows.find(({ rank }) => rank === 1)!;
    const known = await pictures(place);
    const picture = known.get(best.sha256)!;
    const others = [...known].flatMap(([sha256, one]) => (sha256 === best.sha256 ? [] : [one.bytes]));
    const windows = windowsOf(picture.bytes, others);
    const texts = [best.uri];
    assert.ok(windows.length > 3);
    const holding = await scan(join(data, "store"), windows, texts);
    assert.ok(holding.some((file) => file.endsWith(".tar")) && holding.some((file) => file.endsWith(".parquet")));
    assert.equal(
      holding.some((file) => file.endsWith(".pack")),
      bytes === "keep",
    );
    const held = await readFile(join(data, "store", before.files.find(({ key }) => key.endsWith(".webp"))!.key));

    const planned = await place.json<Report>("erase", best.sha256);
    assert.deepEqual([planned.changed, planned.images[0]?.isKnown], [false, true]);
    assert.deepEqual(await scan(join(data, "store"), windows, texts), holding, "without --yes nothing is changed");

    const erased = await place.json<Report>(
      "erase",
      best.sha256.slice(0, 12),
      "--yes",
      "--reason",
      "asked",
      "--by",
      "anna",
    );
    assert.deepEqual(erased.images, [{ sha256: best.sha256, recorded: "now", isKnown: true }]);
    assert.deepEqual(
      [erased.rows, erased.packs, erased.versions, erased.logRecords],
      [planned.rows, planned.packs, planned.versions, planned.logRecords],
    );
    assert.equal(erased.packs.images, bytes === "keep" ? 1 : 0);
    assert.ok(erased.uris.includes(best.uri), "where the file of the user lies is said");
    assert.deepEqual(await scan(join(data, "store"), windows, texts), []);
    assert.deepEqual(await scan(join(data, "log"), windows, texts), []);
    const sheet = await readFile(join(data, "store", before.files.find(({ key }) => key.endsWith(".webp"))!.key));
    assert.ok(best.class !== 0 || !sheet.equals(held), "its contact sheet is drawn anew");

    const after = await place.json<Manifest>("versions", "show", "1");
    assert.equal(after.id, before.id);
    const left = await rowsOf(place, 1);
    const ranks = (all: readonly IndexRow[]): unknown => all.map((row) => [row.class, row.rank, row.sha256, row.key]);
    assert.deepEqual(ranks(left), ranks(rows), "digests and scores stay");
    assert.deepEqual(
      left.filter(({ uri }) => uri === "erased:").map((row) => [row.sha256, row.bytes, row.shard]),
      rows.filter(({ sha256 }) => sha256 === best.sha256).map(() => [best.sha256, "absent", null]),
    );
    for (const deep of [[], ["--deep"]]) {
      const { code, out } = await place.sluice("versions", "verify", "1", ...deep);
      assert.equal(code, 0, out);
      assert.match(out, /redacted: 1\b/);
    }
    assert.equal((await place.sluice("archive", "verify")).code, 0);
    const again = await place.sluice("reproduce", "1");
    assert.equal(again.code, 0, again.out + again.err);

    await place.json<unknown>("rebuild");
    const rebuilt = await rowsOf(place, 2);
    assert.ok(rebuilt.every(({ sha256 }) => sha256 !== best.sha256));
    const next = rows.find((row) => row.class === best.class && row.rank === 2);
    assert.equal(rebuilt.find((row) => row.class === best.class && row.rank === 1)?.sha256, next?.sha256);

    const withdrawn = await place.sluice("label", "withdraw", best.sha256);
    assert.equal(withdrawn.code, 2);
    assert.match(withdrawn.err, /is for ever and cannot be withdrawn/);

    await copyFile(picture.file, join(place.path, "pictures", "came-again.png"));
    const { counts } = await place.ingest(...set);
    assert.deepEqual([counts.scored, counts.copied, counts.quarantined], [0, 0, 1]);
    const { byCode } = await place.json<{ byCode: Record<string, number> }>("quarantine", "list");
    assert.equal(byCode["E_IMAGE_ERASED"], 1);
    assert.deepEqual(await scan(join(data, "store"), windows, [...texts, "came-again"]), []);
    const same = await place.json<Report>("erase", "--yes");
    assert.deepEqual([same.images, same.rows, same.packs.images, same.versions], [[], 0, 0, []]);
    assert.deepEqual(await scan(join(data, "log"), windows, texts), []);
    assert.equal((await logUris(data)).filter((uri) => uri.includes("came-again")).length, 0);
    assert.equal((await logUris(data)).filter((uri) => uri === "erased:").length, same.logRecords + erased.logRecords);
  });
}

test("what is not in the archive is recorded all the same, several at once, from a file", async (t) => {
  const place = await CommandFolder.make({ images: 24, datasets: DATASETS }, t);
  const file = [...(await pictures(place))][0]!;
  await place.ingest("--set", "bytes=keep");
  const unknown = "ab".repeat(32);
  await writeFile(join(place.path, "requests.txt"), `# by post\n${file[0]}\n\nsha256:${unknown.toUpperCase()}\n`);
  const { images } = await place.json<Report>("erase", "--from", "requests.txt", "--yes");
  assert.deepEqual(images, [
    { sha256: file[0], recorded: "now", isKnown: true },
    { sha256: unknown, recorded: "now", isKnown: false },
  ]);
  const { labels } = await place.json<{ labels: readonly { verdict: string; sha256: string }[] }>("label", "list");
  assert.deepEqual(
    labels.map(({ verdict, sha256 }) => [verdict, sha256]),
    [
      ["erased", file[0]],
      ["erased", unknown],
    ],
  );
  const wrong = await place.sluice("erase", "not-a-digest", "--yes");
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /Nothing was erased/);
});
