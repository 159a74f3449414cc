import assert from "node:assert/strict";
import { describe, test } from "node:test";
import sharp from "sharp";
import { parse } from "yaml";
import { publish } from "../../../operators/version/publish.js";
import { datasetCard } from "../../../operators/version/dataset-card.js";
import { readSamples, verifyVersion } from "../../../pipelines/versions/versions.js";
import { SIDECAR_FIELDS } from "../../../schemas/sample-sidecar.js";
import { sha256Hex } from "../../../schemas/canonical.js";
import { chosenRows, madeCut, manyClasses, type MadeImage } from "../../fixtures/cuts.js";
import { collect, publishOptions } from "../../fixtures/publishing.js";

const FORMATS = ["jpeg", "png", "webp", "gif", "tiff", "avif"] as const;

async function imagesOfAllFormats(): Promise<MadeImage[]> {
  return Promise.all(
    FORMATS.map(async (format, index) => {
      const made = sharp({ create: { width: 16, height: 16, channels: 3, background: { r: 40 * index, g: 9, b: 9 } } });
      const bytes = new Uint8Array(await made.toFormat(format).toBuffer());
      const sha256 = sha256Hex(bytes);
      return { bytes, sha256, digest: new Uint8Array(Buffer.from(sha256, "hex")) };
    }),
  );
}

test("an image of any format is the same field of its sample, and the sidecar says the format", async () => {
  const made = await imagesOfAllFormats();
  const rows = made.map((image, index) => ({ image, key: -index / 8, licence: index % 2 === 0 ? null : "CC0" }));
  const options = publishOptions(new Map(made.map((image) => [image.sha256, image])));
  const { manifest } = await publish(madeCut([chosenRows(0, rows)], { k: 6 }), options);
  const tar = options.store.objects.get(manifest.files.find(({ key }) => key.endsWith(".tar"))!.key)!;
  const names = Buffer.from(tar)
    .toString("latin1")
    .match(/\d{6}-\d{8}\.[a-z]+/g)!;
  assert.deepEqual(new Set(names.map((name) => name.split(".")[1])), new Set(["jpg", "cls", "json"]));
  const samples = await collect(readSamples(options.store, manifest));
  assert.deepEqual(
    samples.toSorted((a, b) => a.rank - b.rank).map(({ format, sha256 }) => [format, sha256]),
    made.map(({ sha256 }, index) => [FORMATS[index]!.replace("jpeg", "jpg"), sha256]),
  );
});

describe("shards", () => {
  const shardRows = async (
    counts: readonly number[],
    shards: { count?: number; maxBytes?: number },
    groupRows = 1000,
  ) => {
    const { classes, images } = manyClasses(counts.length, (index) => counts[index]!);
    const options = publishOptions(images, { groupRows });
    const { manifest } = await publish(madeCut(classes, { k: 100, shards }), options);
    assert.deepEqual((await verifyVersion(options.store, "wild", 1)).findings, []);
    return manifest.files.filter(({ key }) => key.endsWith(".tar")).map(({ rows }) => rows!);
  };

  test("are as many as asked for, of nearly equal rows", async () => {
    const rows = await shardRows([40, 30, 33], { count: 16 });
    assert.equal(rows.length, 16);
    assert.equal(Math.max(...rows) - Math.min(...rows), 1);
  });
  test("are as many as there are images where these are fewer", async () => {
    assert.deepEqual(await shardRows([2, 0, 3], { count: 16 }), [1, 1, 1, 1, 1]);
    assert.deepEqual(await shardRows([0, 0], { count: 16 }), []);
  });
  test("are more where the greatest size asks for it", async () => {
    const rows = await shardRows([60], { count: 2, maxBytes: 10 * 3584 + 1024 });
    assert.equal(
      rows.reduce((sum, one) => sum + one, 0),
      60,
    );
    assert.ok(rows.length >= 6 && Math.max(...rows) <= 11, rows.join());
  });
  test("are as many in each group of classes", async () => {
    const rows = await shardRows([20, 20, 20], { count: 4 }, 20);
    assert.deepEqual(
      rows,
      Array.from({ length: 12 }, () => 5),
    );
  });
});

describe("the card that Hugging Face's datasets reads", () => {
  interface Card {
    configs: { config_name: string; default: boolean; data_files: { split: string; path: string }[] }[];
    dataset_info?: { features: { name: string; dtype?: unknown; struct?: { name: string; dtype: string }[] }[] }[];
  }
  const card = (labels: readonly string[], hasShards = true): Card =>
    parse(datasetCard("wild", labels, hasShards).replaceAll(/^---$/gm, "")) as Card;
  const namesOf = (read: Card): unknown => read.dataset_info![0]!.features.find(({ name }) => name === "cls")!.dtype;

  test("names the shards, the classes and every field of a sidecar", () => {
    const read = card(["cat", "dog"]);
    assert.deepEqual(read.configs, [
      { config_name: "images", default: true, data_files: [{ split: "train", path: "shards/*.tar" }] },
    ]);
    assert.deepEqual(namesOf(read), { class_label: { names: { "0": "cat", "1": "dog" } } });
    const fields = read.dataset_info![0]!.features.find(({ name }) => name === "json")!.struct!;
    assert.deepEqual(
      fields,
      SIDECAR_FIELDS.map(({ name, type }) => ({ name, dtype: type })),
    );
  });
  test("bears any label, and tells equal ones apart", () => {
    const labels = [
      "yes",
      "a: b #c",
      'q"uo\\te',
      "line\nbreak\u2028\u0085\u007f",
      "ünï 猫 😀",
      "",
      "crane",
      "tail",
      "crane",
    ];
    assert.deepEqual(namesOf(card(labels)), {
      class_label: {
        names: Object.fromEntries(
          labels.map((label, index) => [String(index), label === "crane" ? `crane #${index}` : label]),
        ),
      },
    });
    assert.equal(namesOf(card(["a", "a", "a #0"])), "int64");
  });
  test("names the index where no image has bytes", () => {
    assert.deepEqual(card(["cat"], false).configs[0]!.data_files, [{ split: "train", path: "index/*.parquet" }]);
  });
});
