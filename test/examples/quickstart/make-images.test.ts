import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import sharp from "sharp";
import { openSharpDecoder } from "../../../connectors/decoder/libvips/libvips-decoder.js";
import { zipfCounts } from "../../../examples/quickstart/image-plan.js";
import { makeQuickstartImages, type QuickstartImages } from "../../../examples/quickstart/make-images.js";
import { readMnist } from "../../../examples/quickstart/mnist.js";
import { planDecode, refuse } from "../../../operators/image/decode-plan.js";
import { decodeSchema } from "../../../schemas/config.js";
import { isSluiceError } from "../../../schemas/errors.js";

const SMALL = { seed: 3, labelled: 60, unlabelled: 500, test: 50, broken: 22 };

interface TruthRow {
  readonly path: string;
  readonly kind: string;
  readonly digit: string;
  readonly duplicateOf: string;
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

async function truthOf(images: QuickstartImages): Promise<TruthRow[]> {
  const [header, ...lines] = (await readFile(images.truth, "utf8")).trim().split("\n");
  assert.equal(header, "path,kind,digit,duplicateOf");
  return lines.map((line) => {
    const [path, kind, digit, duplicateOf] = line.split(",");
    return { path: path!, kind: kind!, digit: digit!, duplicateOf: duplicateOf! };
  });
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

describe("the quickstart's images", () => {
  let folder: string;
  let images: QuickstartImages;
  let truth: TruthRow[];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-images-"));
    const told: number[] = [];
    images = await makeQuickstartImages(join(folder, "a"), {
      ...SMALL,
      onProgress: ({ written, total }) => {
        assert.equal(total, 60 + 500 + 50 + 22);
        told.push(written);
      },
    });
    assert.equal(told.at(-1), 632);
    truth = await truthOf(images);
  });
  after(() => rm(folder, { recursive: true }));

  test("the truth names every wild file, once, and nothing else", async () => {
    assert.deepEqual(truth.map(({ path }) => path).sort(), await filesBelow(images.wild));
  });

  test("kinds come in the shares asked for; digits follow Zipf's law", () => {
    const count = (kind: (row: TruthRow) => boolean): number => truth.filter(kind).length;
    assert.equal(
      count(({ kind }) => kind === "broken"),
      22,
    );
    assert.equal(
      count(({ kind, duplicateOf }) => kind.startsWith("distractor:") && duplicateOf === ""),
      100,
    );
    assert.equal(
      count(({ duplicateOf }) => duplicateOf !== ""),
      15,
    );
    const digits = images.order.map((digit) =>
      count((row) => row.kind === "digit" && row.digit === String(digit) && row.duplicateOf === ""),
    );
    assert.equal(
      digits.reduce((sum, n) => sum + n, 0),
      385,
    );
    digits.forEach((n, rank) => {
      const expected = 385 / (rank + 1) / 2.929;
      assert.ok(Math.abs(n - expected) <= 1.01, `rank ${rank}: ${n}, not ${expected}`);
    });
  });

  test("names of wild files tell nothing", () => {
    for (const { path } of truth) assert.match(path, /^[0-9a-f]\/[0-9a-f]\/img-[0-9a-f]{8}\.(png|jpg|gif)$/);
  });

  test("labelled, wild and test images share no picture; duplicates, and only they, share all bytes", async () => {
    const mnist = await readMnist();
    const known = new Map<string, string>();
    for (const part of ["train", "test"] as const) {
      for (let index = 0; index < mnist[part].count; index++) {
        known.set(sha256(mnist[part].pixels.subarray(index * 784, (index + 1) * 784)), part);
      }
    }
    const byPixels = new Map<string, string>();
    const byBytes = new Map<string, string>();
    const wild = new Map(truth.map((row) => [row.path, row]));
    for (const set of ["labelled", "wild", "test"] as const) {
      for (const path of await filesBelow(images[set])) {
        const row = set === "wild" ? wild.get(path)! : null;
        if (row?.kind === "broken") continue;
        const bytes = await readFile(join(images[set], path));
        const place = `${set}/${path}`;
        const before = byBytes.get(sha256(bytes));
        assert.equal(before !== undefined, row !== null && isRepeated(row), place);
        byBytes.set(sha256(bytes), place);
        if (!path.endsWith(".png")) continue;
        const { data, info } = await sharp(bytes).toColourspace("b-w").raw().toBuffer({ resolveWithObject: true });
        assert.deepEqual([info.width, info.height, info.channels], [28, 28, 1], place);
        const pixels = sha256(data);
        if (row?.duplicateOf === "" || row === null) {
          assert.equal(byPixels.get(pixels), undefined, `${place} is ${byPixels.get(pixels)} again`);
          byPixels.set(pixels, place);
        }
        if (row === null || row.kind === "digit") {
          assert.equal(known.get(pixels), set === "test" ? "test" : "train", place);
        } else {
          assert.equal(known.get(pixels), undefined, `${place} is a digit of MNIST`);
        }
      }
    }
    assert.equal(byPixels.size > 200, true);

    /** Whether a file with these bytes came earlier in the order of paths. */
    function isRepeated(row: TruthRow): boolean {
      const original = row.duplicateOf === "" ? row.path : row.duplicateOf;
      const same = truth.filter(({ path, duplicateOf }) => path === original || duplicateOf === original);
      return same.some(({ path }) => path < row.path);
    }
  });

  test("a strict decoder takes every file but the broken ones, and refuses each of these for its fault", async () => {
    const decoder = openSharpDecoder({ concurrency: 2 });
    const config = decodeSchema.parse({ strict: true });
    const wild = decodeSchema.parse({});
    const used = new Set<string>();
    const card = {
      input: { width: 14, height: 14, layout: "NHWC", colour: "grey" },
      resize: { kernel: "linear", mode: "crop", shrinkOnLoad: true },
    } as const;
    const codes = new Map<string, number>();
    for (const { path, kind } of truth) {
      const bytes = await readFile(join(images.wild, path));
      let code: string | null;
      try {
        const header = await decoder.header(bytes);
        code = refuse(header, config, `file:///${path}`)?.code ?? null;
        if (code !== null && refuse(header, wild, `file:///${path}`) === null) {
          await decoder.decode(bytes, header, planDecode(header, card));
          used.add(code);
        }
        if (code === null) await decoder.decode(bytes, header, planDecode(header, card));
      } catch (error) {
        assert.ok(isSluiceError(error));
        code = error.code;
      }
      assert.equal(code !== null, kind === "broken", `${path}: ${kind}, ${code}`);
      if (code !== null) codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    assert.deepEqual([...codes.keys()].sort(), [
      "E_IMAGE_ANIMATED",
      "E_IMAGE_CMYK",
      "E_IMAGE_CORRUPT",
      "E_IMAGE_DEPTH",
      "E_IMAGE_EMPTY",
      "E_IMAGE_EXTENSION",
      "E_IMAGE_FORMAT",
      "E_IMAGE_PIXELS",
      "E_IMAGE_TINY",
      "E_IMAGE_TRUNCATED",
    ]);
    // What decodes is used unless `decode.strict` says otherwise.
    assert.deepEqual([...used].sort(), ["E_IMAGE_ANIMATED", "E_IMAGE_CMYK", "E_IMAGE_DEPTH", "E_IMAGE_EXTENSION"]);
  });

  test("the same seed writes the same bytes, another seed others", async () => {
    const digestOf = async (place: string): Promise<string> => {
      const hash = createHash("sha256");
      for (const path of await filesBelow(place)) {
        hash.update(`${path}\n`).update(await readFile(join(place, path)));
      }
      return hash.digest("hex");
    };
    await makeQuickstartImages(join(folder, "b"), SMALL);
    assert.equal(await digestOf(join(folder, "b")), await digestOf(join(folder, "a")));
    await makeQuickstartImages(join(folder, "c"), { ...SMALL, seed: 4 });
    assert.notEqual(await digestOf(join(folder, "c")), await digestOf(join(folder, "a")));
  });

  test("making images stops on request", async () => {
    const stop = new AbortController();
    stop.abort();
    const stopped = makeQuickstartImages(join(folder, "d"), { ...SMALL, signal: stop.signal });
    await assert.rejects(stopped, (error) => isSluiceError(error, "E_CANCELLED"));
    assert.deepEqual(
      (await filesBelow(join(folder, "d"))).map((path) => basename(path)),
      [],
    );
  });
});

test("Zipf's counts add up, fall with rank and keep to the least", () => {
  assert.deepEqual(zipfCounts(100, 10, 1, 3), [35, 18, 12, 9, 7, 5, 4, 4, 3, 3]);
  assert.deepEqual(zipfCounts(100, 10, 2, 3), [55, 16, 7, 4, 3, 3, 3, 3, 3, 3]);
  for (const [total, least] of [
    [100, 3],
    [23_100, 0],
    [7, 3],
    [0, 0],
  ] as const) {
    const counts = zipfCounts(total, 10, 1, least);
    assert.equal(
      counts.reduce((sum, n) => sum + n, 0),
      total,
    );
    counts.slice(1).forEach((n, rank) => {
      assert.ok(n <= counts[rank]!);
    });
    if (total >= 10 * least) assert.ok(counts.every((n) => n >= least));
  }
});
