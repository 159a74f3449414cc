import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import fc from "fast-check";
import { extract } from "tar-stream";
import { indexFile } from "../../../operators/version/index-writer.js";
import { publish } from "../../../operators/version/publish.js";
import { tarEntry, TAR_END } from "../../../operators/version/tar-entry.js";
import { rowGroup } from "../../../operators/version/publish-plan.js";
import { chosenRows, madeCut, madeImage, manyClasses, type MadeRow } from "../../fixtures/cuts.js";
import { collect, publishOptions } from "../../fixtures/publishing.js";

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-files-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function query(sql: string): Promise<unknown[]> {
  const connection = await (await DuckDBInstance.create()).connect();
  try {
    return (await connection.runAndReadAll(sql)).getRowObjectsJson();
  } finally {
    connection.closeSync();
  }
}

/** Publishes small shards and groups, and lays the files out in a folder. */
async function publishedTo(folder: string, classCount = 6, change: Parameters<typeof madeCut>[1] = {}) {
  const { classes, images } = manyClasses(classCount, (index) => (index * 7) % 6);
  const options = publishOptions(images, { groupRows: 6 });
  const { manifest } = await publish(madeCut(classes, { shards: { maxBytes: 14_000 }, ...change }), options);
  for (const { key } of manifest.files) {
    const file = join(folder, key.replace(/^versions\/[^/]+\/data\/[^/]+\//, ""));
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, options.store.objects.get(key)!);
  }
  return { classes, images, manifest, store: options.store };
}

describe("the index", () => {
  test("reads in DuckDB with its types, nulls and every bit of its values", async (t) => {
    const folder = await temporaryFolder(t);
    const far = 2 ** 53 - 1;
    const text = ["plain", "ünïcödé 𝔘", "quote ' and \" and \\", "line\nbreak", "", "x".repeat(3000)];
    const rows: MadeRow[] = [-0, -1e-300, -0.1, -1 / 3, -700, -1e300].map((key, index) => ({
      image: madeImage(`bits ${index}`),
      key,
      partition: 2 ** 31 - 1,
      offset: far - index,
      licence: index % 2 === 0 ? text[index]! : null,
      origin: null,
      notes: index === 1 ? "wrong-extension,cmyk" : null,
      uri: text[index]!,
    }));
    const group = rowGroup([chosenRows(0, []), chosenRows(1, rows)]);
    const file = join(folder, "index.parquet");
    await writeFile(file, Buffer.concat([...indexFile(group, Int32Array.of(0, 0, 1, 1, -1, -1), ["none", "all"])]));

    const types = await query(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM '${file}')`);
    assert.deepEqual(
      types.map((row) => Object.values(row as object).join(" ")),
      [
        "class INTEGER",
        "label VARCHAR",
        "rank INTEGER",
        "sha256 VARCHAR",
        "key DOUBLE",
        "probability DOUBLE",
        "uri VARCHAR",
        "partition INTEGER",
        "offset BIGINT",
        "event_time TIMESTAMP WITH TIME ZONE",
        "size_bytes BIGINT",
        "width INTEGER",
        "height INTEGER",
        "licence VARCHAR",
        "origin VARCHAR",
        "notes VARCHAR",
        "bytes VARCHAR",
        "shard VARCHAR",
        "repeat INTEGER",
        "by VARCHAR",
      ],
    );
    const nullable = await query(`SELECT name FROM parquet_schema('${file}') WHERE repetition_type = 'OPTIONAL'`);
    assert.deepEqual(
      nullable.map((row) => (row as { name: string }).name),
      ["key", "probability", "licence", "origin", "notes", "shard"],
    );
    // The JSON that DuckDB prints loses bits of doubles: their sign and value are compared as text of 17 digits.
    const found =
      await query(`SELECT class, label, rank, sha256, printf('%.17g', key) AS key, printf('%.17g', probability) AS probability,
      uri, partition, "offset", epoch_ms(event_time) AS time, size_bytes, licence, origin, notes, bytes, shard FROM '${file}'`);
    assert.deepEqual(
      found.map((row) => ({
        ...(row as object),
        key: Number((row as { key: string }).key),
        probability: Number((row as { probability: string }).probability),
      })),
      rows.map((row, index) => ({
        class: 1,
        label: "all",
        rank: index + 1,
        sha256: row.image.sha256,
        key: row.key,
        probability: Math.exp(row.key),
        uri: text[index],
        partition: 2 ** 31 - 1,
        offset: String(far - index),
        time: String(1_700_000_000_000 + index),
        size_bytes: "40",
        licence: row.licence,
        origin: null,
        notes: index === 1 ? "wrong-extension,cmyk" : null,
        bytes: index < 4 ? "shard" : "absent",
        shard: index < 4 ? `00000${Math.floor(index / 2)}.tar` : null,
      })),
    );
    assert.ok(Object.is(Number((found[0] as { key: string }).key), -0));
  });

  test("of several files and row groups reads as one table in DuckDB", async (t) => {
    const folder = await temporaryFolder(t);
    const { manifest } = await publishedTo(folder);
    const files = manifest.files.filter(({ key }) => key.endsWith(".parquet"));
    assert.ok(files.length > 2);
    const counts = await query(
      `SELECT class, count(*)::INT AS count, min(probability) AS worst FROM '${folder}/index/*.parquet' GROUP BY class ORDER BY class`,
    );
    assert.deepEqual(
      counts,
      manifest.classes
        .filter(({ count }) => count > 0)
        .map(({ class: index, count, worst }) => ({ class: index, count, worst })),
    );
  });

  test("of no rows at all is a readable table", async (t) => {
    const folder = await temporaryFolder(t);
    const file = join(folder, "empty.parquet");
    await writeFile(file, Buffer.concat([...indexFile(rowGroup([]), new Int32Array(0), [])]));
    assert.deepEqual(await query(`SELECT count(*)::INT AS count FROM '${file}'`), [{ count: 0 }]);
  });
});

describe("the shards", () => {
  test("are read by another tar program as what they are", async (t) => {
    const folder = await temporaryFolder(t);
    const { manifest, images } = await publishedTo(folder);
    let samples = 0;
    for (const { key } of manifest.files.filter(({ key }) => key.endsWith(".tar"))) {
      const file = join(folder, "shards", key.split("/").at(-1)!);
      const listing = spawnSync("tar", ["--numeric-owner", "--utc", "-tvf", file], { encoding: "utf8" });
      assert.equal(listing.status, 0, listing.stderr);
      assert.equal(listing.stderr, "");
      for (const line of listing.stdout.trim().split("\n")) {
        assert.match(line, /^-rw-r--r-- 0\/0 +\d+ 1970-01-01 00:00 \d{6}-\d{8}\.(jpg|cls|json)$/);
      }
      const out = join(folder, "out", key.split("/").at(-1)!);
      await mkdir(out, { recursive: true });
      assert.equal(spawnSync("tar", ["-xf", file, "-C", out]).status, 0);
      for (const name of listing.stdout.match(/\S+\.json$/gm) ?? []) {
        samples++;
        const about = JSON.parse(await readFile(join(out, name), "utf8")) as { sha256: string; class: number };
        assert.equal(await readFile(join(out, name.replace("json", "cls")), "utf8"), String(about.class));
        const image = await readFile(join(out, name.replace("json", "jpg")));
        assert.deepEqual(new Uint8Array(image), images.get(about.sha256)!.bytes);
      }
    }
    assert.equal(samples, manifest.totals.rows);
  });

  test("hold any content and size", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 1600 }), { maxLength: 5 }),
        fc.stringMatching(/^[a-z0-9.-]{1,90}$/),
        async (contents, name) => {
          const archive = extract();
          for (const [index, content] of contents.entries()) archive.write(tarEntry(`${index}${name}`, content));
          archive.write(TAR_END);
          archive.end(undefined);
          const found: [string, Uint8Array][] = [];
          for await (const entry of archive) {
            assert.deepEqual([entry.header.mtime.getTime(), entry.header.uid, entry.header.mode], [0, 0, 0o644]);
            found.push([
              entry.header.name,
              new Uint8Array(Buffer.concat(await collect(entry as AsyncIterable<Uint8Array>))),
            ]);
          }
          assert.deepEqual(
            found,
            contents.map((content, index) => [`${index}${name}`, content]),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  test("are bounded, and each holds at least a sample", async () => {
    const { classes, images } = manyClasses(3, () => 5, 3000);
    for (const maxBytes of [1, 9000, 20_000, 1e9]) {
      const { manifest } = await publish(madeCut(classes, { shards: { maxBytes } }), publishOptions(images));
      const shards = manifest.files.filter(({ key }) => key.endsWith(".tar"));
      for (const { sizeBytes, rows } of shards) assert.ok(sizeBytes <= maxBytes || rows === 1);
      assert.equal(
        shards.reduce((sum, { rows }) => sum + (rows ?? 0), 0),
        15,
      );
      if (maxBytes === 1) assert.equal(shards.length, 15);
      if (maxBytes === 1e9) assert.equal(shards.length, 1);
    }
  });

  test("mix the classes and ranks of a group", async () => {
    const { classes, images } = manyClasses(10, () => 60);
    const { store, ...options } = publishOptions(images);
    const { manifest } = await publish(madeCut(classes, { k: 60, shards: { maxBytes: 100_000 } }), {
      store,
      ...options,
    });
    const { readSamples } = await import("../../../pipelines/versions/versions.js");
    const samples = await collect(readSamples(store, manifest));
    assert.equal(samples.length, 600);
    for (let start = 0; start < 600; start += 100) {
      const part = samples.slice(start, start + 100);
      assert.ok(new Set(part.map((sample) => sample.class)).size >= 8);
      const meanRank = part.reduce((sum, { rank }) => sum + rank, 0) / part.length;
      assert.ok(meanRank > 20 && meanRank < 41, `mean rank ${meanRank}`);
    }
    const together = samples.filter((sample, index) => samples[index + 1]?.sha256 === sample.sha256).length;
    assert.ok(together < 3, `${together} images twice in a row`);
  });
});

test("equal cuts give equal files, whoever writes them, whenever, in whichever order bytes arrive", async () => {
  const { classes, images } = manyClasses(5, (index) => index + 1);
  const written = [];
  for (const index of [0, 1, 2]) {
    const options = publishOptions(images, { groupRows: 6, now: () => new Date(index) });
    const read: typeof options.read = async function* (needed) {
      const orders = [
        needed.keys(),
        [...needed.keys()].reverse(),
        [...needed.keys()].sort((a, b) => (a % 3) - (b % 3)),
      ];
      for (const at of orders[index]!) yield { at, bytes: images.get(needed[at]!.digest)?.bytes ?? null };
    };
    const { manifest } = await publish(madeCut(classes, { shards: { maxBytes: 9000 } }), {
      ...options,
      read,
      memoryBytes: [2 ** 20, 5000, 0][index]!,
    });
    written.push(manifest.files.map(({ key, ...file }) => ({ ...file, name: key.split("/").slice(4).join("/") })));
  }
  assert.deepEqual(written[1], written[0]);
  assert.deepEqual(written[2], written[0]);
});

test("README and Croissant metadata say what the version is", async (t) => {
  const folder = await temporaryFolder(t);
  const labels = ["tench", "a|b", "line\nbreak", "<b>", "", "last"];
  const teacher = { digest: "ab".repeat(32), name: "teacher", labels, temperature: 1 };
  const { manifest } = await publishedTo(folder, 6, { teacher });
  const readme = await readFile(join(folder, "README.md"), "utf8");
  assert.match(readme, new RegExp(manifest.id));
  const table = readme.split("## Classes")[1]!.trim().split("\n").slice(2);
  assert.deepEqual(
    table.map((line) =>
      line
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim())
        .slice(1, 4),
    ),
    manifest.classes.map(({ class: index, count }) => [
      String(index),
      ["tench", "a\\|b", "line break", "<b>", "", "last"][index],
      String(count),
    ]),
  );
  const croissant = JSON.parse(await readFile(join(folder, "croissant.json"), "utf8")) as {
    distribution: { "@type": string; contentUrl: string; sha256: string }[];
    recordSet: { field: { name: string }[] }[];
  };
  const objects = croissant.distribution.filter((entry) => entry["@type"] === "cr:FileObject");
  assert.deepEqual(
    objects.map(({ contentUrl, sha256 }) => [contentUrl, sha256]),
    manifest.files
      .filter(({ key }) => key.endsWith(".parquet"))
      .map(({ key, sha256 }) => [key.split("/").slice(4).join("/"), sha256]),
  );
  assert.equal(croissant.recordSet[0]?.field.length, 20);
});
