import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ByteWriter, parquetWrite } from "hyparquet-writer";
import { sha256Hex } from "../../../schemas/canonical.js";
import { INDEX_COLUMNS } from "../../../schemas/index-row.js";
import type { Manifest } from "../../../schemas/manifest.js";
import { publish } from "../../../operators/version/publish.js";
import { tarEntry } from "../../../operators/version/tar-entry.js";
import { readIndexColumns, type IndexColumns } from "../../../pipelines/versions/index-reader.js";
import { verifyVersion, type VerifyReport } from "../../../pipelines/versions/verify-version.js";
import { sealJson } from "../../../schemas/sealed-json.js";
import { madeCut, madeImage, manyClasses } from "../../fixtures/cuts.js";
import { openMemoryStore, type MemoryStore } from "../../fixtures/memory-store.js";
import { collect, publishOptions } from "../../fixtures/publishing.js";

const MANIFEST = "versions/wild/1/manifest.json";
const records = { in: 100, scored: 90, copied: 6, quarantined: 3, lost: 1 };

/** A version of 18 rows in three index files and some six shards, one image of it absent; each time a copy. */
async function published(): Promise<{ store: MemoryStore; manifest: Manifest }> {
  const { store, manifest } = await (first ??= publishFirst());
  const copy = openMemoryStore();
  for (const [key, bytes] of store.objects) copy.objects.set(key, bytes);
  return { store: copy, manifest: structuredClone(manifest) };
}
let first: ReturnType<typeof publishFirst> | undefined;

async function publishFirst(): Promise<{ store: MemoryStore; manifest: Manifest }> {
  const { classes, images } = manyClasses(6, (index) => [5, 3, 0, 5, 1, 4][index]!);
  images.delete([...images.keys()][0]!);
  const sheets = { width: 2, render: async () => new Uint8Array([1, 2, 3]) };
  const options = publishOptions(images, { groupRows: 8, sheets });
  const { manifest } = await publish(madeCut(classes, { shards: { maxBytes: 12_000 } }), options);
  return { store: options.store, manifest };
}

const verify = (store: MemoryStore, version: number | "latest" = 1): Promise<VerifyReport> =>
  verifyVersion(store, "wild", version, { chainTotals: async () => records });

test("finds nothing wrong with what was published", async () => {
  const { store, manifest } = await published();
  const report = await verify(store, "latest");
  assert.deepEqual(report.findings, []);
  assert.deepEqual(report.manifest, manifest);
  assert.equal(report.checked.rows, 18);
  assert.equal(report.checked.images, 18 - manifest.totals.bytesAbsent);
  assert.ok(manifest.totals.bytesAbsent > 0);
  assert.equal(manifest.files.filter(({ key }) => key.endsWith(".parquet")).length, 3);
  assert.ok(manifest.files.filter(({ key }) => key.endsWith(".tar")).length > 3);
});

describe("finds each file that was tampered with", async () => {
  const { manifest } = await published();
  for (const { key } of manifest.files) {
    const name = key.slice(key.indexOf("/attempt-") + 1).replace(/^[^/]+\//, "");
    const place = (store: MemoryStore): string =>
      [...store.objects.keys()].find((other) => other.endsWith(`/${name}`))!;
    test(`${name} missing`, async () => {
      const { store } = await published();
      const at = place(store);
      store.objects.delete(at);
      const { findings } = await verify(store);
      assert.ok(findings.some(({ where }) => where.startsWith(at)));
    });
    test(`${name} with one bit flipped, anywhere`, async () => {
      const { store } = await published();
      const at = place(store);
      const whole = store.objects.get(at)!;
      for (let byte = 0; byte < whole.length; byte += Math.max(1, Math.floor(whole.length / 23))) {
        const bytes = whole.slice();
        bytes[byte]! ^= 4;
        store.objects.set(at, bytes);
        const { findings } = await verify(store);
        assert.ok(
          findings.some(({ where }) => where === `${at}: SHA-256`),
          `byte ${byte} of ${whole.length}`,
        );
      }
    });
    test(`${name} cut short, and grown`, async () => {
      const { store } = await published();
      const at = place(store);
      const whole = store.objects.get(at)!;
      for (const bytes of [whole.slice(0, -1), whole.slice(0, 0), new Uint8Array([...whole, 0])]) {
        store.objects.set(at, bytes);
        const { findings } = await verify(store);
        assert.ok(findings.some(({ where }) => where === `${at}: size in bytes`));
      }
    });
  }
  test("one more beside them", async () => {
    const { store, manifest: made } = await published();
    const key = made.files.find(({ key }) => key.endsWith(".tar"))!.key.replace(/\d+\.tar$/, "000099.tar");
    store.objects.set(key, new Uint8Array(1024));
    assert.deepEqual(
      (await verify(store)).findings.map(({ where }) => where),
      [key],
    );
  });
});

describe("finds each statement of the manifest that was tampered with", async () => {
  /** Every path to a leaf of the manifest, with what it is changed to. */
  const leaves: [string, (manifest: Manifest) => void, boolean][] = [];
  const { manifest } = await published();
  const walk = (value: unknown, path: (string | number)[]): void => {
    if (typeof value === "object" && value !== null) {
      for (const [name, member] of Object.entries(value)) walk(member, [...path, name]);
      return;
    }
    const changed =
      typeof value === "number"
        ? value + 1
        : typeof value === "boolean"
          ? !value
          : value === null
            ? 1
            : (value as string) + "0";
    const text = path.join(".");
    // What nothing else says: where the version came from, and the teacher's name.
    const unproven = /^(provenance\.(?!parent)|teacher\.(name|temperature))/.test(text);
    leaves.push([
      text,
      (tampered) => {
        let at = tampered as unknown as Record<string | number, unknown>;
        for (const name of path.slice(0, -1)) at = at[name] as typeof at;
        at[path.at(-1)!] = changed;
      },
      unproven,
    ]);
  };
  walk(manifest, []);
  for (const [path, change, unproven] of leaves) {
    if (unproven) continue;
    test(path, async () => {
      const { store, manifest: tampered } = await published();
      change(tampered);
      store.objects.set(MANIFEST, sealJson(tampered));
      const { findingCount } = await verify(store);
      assert.ok(findingCount > 0);
    });
  }
  test("which leaves were tried", () => {
    assert.ok(leaves.filter(([, , unproven]) => !unproven).length > 60);
  });
  test("files outside the store, or of another version's folder", async () => {
    for (const key of [
      "../../etc/passwd",
      "/etc/passwd",
      "versions/wild/data/../x",
      "versions/wild/data/other/README.md",
    ]) {
      const { store, manifest: tampered } = await published();
      tampered.files[0]!.key = key;
      store.objects.set(MANIFEST, sealJson(tampered));
      assert.ok((await verify(store)).findingCount > 0, key);
    }
  });
  test("bytes that are no manifest", async () => {
    const { store } = await published();
    store.objects.set(MANIFEST, new TextEncoder().encode("{}"));
    const report = await verify(store);
    assert.equal(report.manifest, null);
    assert.equal(report.findingCount, 1);
  });
  test("records that the archive counts differently", async () => {
    const { store } = await published();
    const counted = { ...records, scored: 89, copied: 7 };
    const { findings } = await verifyVersion(store, "wild", 1, { chainTotals: async () => counted });
    assert.deepEqual(
      findings.map(({ expected, found }) => [expected, found]),
      [
        ["89", "90"],
        ["7", "6"],
      ],
    );
  });
  test("a parent of another content", async () => {
    const { store, manifest: first } = await published();
    const { classes, images } = manyClasses(2, () => 2);
    await publish(madeCut(classes), publishOptions(images, { store }));
    assert.deepEqual((await verify(store, 2)).findings, []);
    store.objects.set(
      MANIFEST,
      sealJson({ ...first, id: first.id.replace(/./, (digit) => (digit === "0" ? "1" : "0")) }),
    );
    assert.deepEqual(
      (await verify(store, 2)).findings.map(({ where }) => where),
      ["manifest: parent's id"],
    );
  });
});

/** Files that a forger rewrote, with sizes and digests in the manifest to match. */
describe("finds contents that contradict each other though every digest fits", () => {
  const rewrite = (store: MemoryStore, manifest: Manifest, key: string, bytes: Uint8Array): void => {
    store.objects.set(key, bytes);
    const files = manifest.files.map((file) =>
      file.key === key ? { ...file, sizeBytes: bytes.length, sha256: sha256Hex(bytes) } : file,
    );
    store.objects.set(MANIFEST, sealJson({ ...manifest, files }));
  };

  type Changed = {
    -readonly [Name in keyof IndexColumns]: IndexColumns[Name] extends ArrayLike<infer Value> ? Value[] : number;
  };
  const forgeIndex = async (change: (columns: Changed) => void): Promise<string[]> => {
    const { store, manifest } = await published();
    const [first] = await collect(readIndexColumns(store, manifest));
    const columns = Object.fromEntries(
      Object.entries(first!).map(([name, column]) => [
        name,
        typeof column === "number" ? column : Array.from(column as []),
      ]),
    ) as unknown as Changed;
    change(columns);
    const writer = new ByteWriter();
    void parquetWrite({
      writer,
      columnData: INDEX_COLUMNS.map(({ name, type }) => ({ name, type, data: columns[name] })),
    });
    rewrite(store, manifest, manifest.files[0]!.key, writer.getBytes().slice());
    return (await verify(store)).findings.map(({ where }) => where.replace(/^.*\/index\//, ""));
  };

  test("the forger's tools themselves leave no trace", async () => {
    assert.deepEqual(await forgeIndex(() => undefined), []);
  });
  test("ranks with a hole", async () => {
    assert.ok((await forgeIndex(({ rank }) => (rank[4] = 6))).includes("000000.parquet, class 0, rank 6: rank"));
  });
  test("two rows swapped", async () => {
    const found = await forgeIndex(({ key, sha256, probability, bytes, shard }) => {
      for (const column of [key, sha256, probability, bytes, shard] as unknown[][]) {
        [column[2], column[0]] = [column[0], column[2]];
      }
    });
    assert.ok(found.includes("000000.parquet, class 0, rank 2: key"), found.join());
    assert.ok(found.includes("manifest: id"));
  });
  test("a tie the wrong way round", async () => {
    const found = await forgeIndex(({ key, sha256, bytes, shard }) => {
      assert.equal(key[2], key[3]);
      for (const column of [sha256, bytes, shard] as unknown[][]) [column[2], column[3]] = [column[3], column[2]];
    });
    assert.ok(found.includes("000000.parquet, class 0, rank 4: key"), found.join());
  });
  test("a key that is one bit off", async () => {
    const found = await forgeIndex(({ key }) => (key[4] = key[4]! * (1 + 2 ** -52)));
    assert.ok(found.includes("manifest: id") && found.includes("000000.parquet, class 0, rank 5: probability"));
  });
  test("another image's digest", async () => {
    const found = await forgeIndex(({ sha256 }) => (sha256[4] = madeImage("forged").sha256));
    assert.ok(found.includes("manifest: id"));
    assert.ok(
      found.some((where) => where.endsWith("rank 5: digest of the image")),
      found.join(),
    );
  });
  test("a digest in capitals", async () => {
    assert.ok((await forgeIndex(({ sha256 }) => (sha256[1] = sha256[1]!.toUpperCase()))).length > 0);
  });
  test("a row said to be absent, whose image is in a shard", async () => {
    const found = await forgeIndex(({ bytes, shard }) => {
      const row = bytes.indexOf("shard");
      bytes[row] = "absent";
      shard[row] = null;
    });
    assert.ok(found.includes("manifest: totals.bytesAbsent"), found.join());
  });
  test("an absent row said to be in a shard", async () => {
    const found = await forgeIndex(({ bytes, shard }) => {
      const row = bytes.indexOf("absent");
      bytes[row] = "shard";
      shard[row] = shard.find((name) => name !== null)!;
    });
    assert.ok(
      found.some((where) => /^000\d+\.tar, class 0/.test(where)),
      found.join(),
    );
  });
  test("a row left out, one doubled, one of a class too many", async () => {
    assert.ok(
      (
        await forgeIndex((columns) => {
          for (const { name } of INDEX_COLUMNS) (columns[name] as unknown[]).pop();
        })
      ).includes("manifest: totals.rows"),
    );
    assert.ok(
      (
        await forgeIndex((columns) => {
          for (const { name } of INDEX_COLUMNS) (columns[name] as unknown[]).push(columns[name].at(-1));
        })
      ).includes("manifest: totals.rows"),
    );
    assert.ok(
      (
        await forgeIndex((columns) => {
          columns.class[columns.class.length - 1] = 6;
        })
      ).length > 0,
    );
  });

  const shardKey = (manifest: Manifest): string => manifest.files.find(({ key }) => key.endsWith(".tar"))!.key;
  const forgeShard = async (change: (archive: Uint8Array) => Uint8Array): Promise<string[]> => {
    const { store, manifest } = await published();
    const key = shardKey(manifest);
    rewrite(store, manifest, key, change(store.objects.get(key)!));
    return (await verify(store)).findings.map(({ where }) => where.replace(/^.*\/shards\//, ""));
  };

  test("a shard whose image was replaced", async () => {
    const found = await forgeShard((archive) => {
      const bytes = archive.slice();
      bytes[512 + 20]! ^= 1;
      return bytes;
    });
    assert.equal(found.length, 1);
    assert.match(found[0]!, /digest of the image$/);
  });
  test("a shard without its last sample, and with one too many", async () => {
    const sample = 2 * 1024 + 1536; // a header and a block for image and .cls, two for .json
    assert.ok(
      (await forgeShard((archive) => new Uint8Array([...archive.slice(0, -1024 - sample), ...new Uint8Array(1024)])))
        .length > 0,
    );
    const extra = [
      ...tarEntry("000000-00000099.jpg", madeImage("extra").bytes),
      ...tarEntry("000000-00000099.cls", new TextEncoder().encode("0")),
      ...tarEntry(
        "000000-00000099.json",
        new TextEncoder().encode(JSON.stringify({ class: 0, rank: 99, sha256: "0", format: "png" })),
      ),
    ];
    const found = await forgeShard(
      (archive) => new Uint8Array([...archive.slice(0, -1024), ...extra, ...new Uint8Array(1024)]),
    );
    assert.ok(found.includes("000000.tar, class 0, rank 99"), found.join());
  });
  test("a shard with a .cls of another class", async () => {
    const found = await forgeShard((archive) => {
      const bytes = archive.slice();
      bytes[2 * 512 + 512] = "7".charCodeAt(0);
      return bytes;
    });
    assert.equal(found[0], "000000.tar");
    assert.ok(!found.some((where) => where.includes("SHA-256")));
  });
});
