import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";
import sharp from "sharp";
import { openSharpDecoder } from "../../../connectors/decoder/libvips/libvips-decoder.js";
import { readExamples, type ReadExamplesOptions } from "../../../operators/training/read-examples.js";
import { openLabelledFolder } from "../../../pipelines/training/labelled-folder.js";
import { decodeSchema } from "../../../schemas/config.js";
import { isSluiceError, type ErrorCode } from "../../../schemas/errors.js";

async function folderWith(t: TestContext, files: Readonly<Record<string, Uint8Array | string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-labelled-"));
  t.after(() => rm(folder, { recursive: true }));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(folder, dirname(path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  return folder;
}

/** A grey PNG of one value. */
const plain = (value: number, side = 8): Promise<Uint8Array> =>
  sharp(new Uint8Array(side * side).fill(value), { raw: { width: side, height: side, channels: 1 } })
    .toColourspace("b-w")
    .png()
    .toBuffer();

const options = (change: Partial<ReadExamplesOptions> = {}): ReadExamplesOptions => ({
  decoder: openSharpDecoder({ concurrency: 2 }),
  card: {
    input: { width: 4, height: 4, layout: "NHWC", colour: "grey" },
    resize: { kernel: "linear", mode: "stretch", shrinkOnLoad: false },
  },
  config: decodeSchema.parse({ strict: true }),
  maxBytes: 1_000_000,
  ...change,
});

const failsWith = (code: ErrorCode, message: RegExp) => (error: unknown) =>
  isSluiceError(error, code) && message.test(error.message);

test("subfolders are classes, ordered by code points; images come with their class's index, at the input's size", async (t) => {
  const folder = await folderWith(t, {
    "10/a.png": await plain(100),
    "2/deep/er/b.png": await plain(20),
    "2/c.png": await plain(21),
    "Große Äpfel & 50%/d.png": await plain(70),
  });
  const labelled = await openLabelledFolder(folder);
  assert.deepEqual(labelled.classNames, ["10", "2", "Große Äpfel & 50%"]);
  const { examples, skipped } = await readExamples(labelled.examples(["10", "2", "Große Äpfel & 50%"], 1e6), options());
  assert.deepEqual(skipped, []);
  const seen = Array.from(examples.labels, (label, image) => {
    const pixels = examples.pixels.subarray(image * 16, image * 16 + 16);
    assert.equal(new Set(pixels).size, 1, "one value all over");
    return [label, pixels[0]];
  });
  assert.equal(examples.pixels.length, examples.count * 16);
  assert.deepEqual(
    seen.sort(([, a], [, b]) => a! - b!),
    [
      [1, 20],
      [1, 21],
      [2, 70],
      [0, 100],
    ],
  );
});

test("a bad image costs itself: it is left out with its reason", async (t) => {
  const folder = await folderWith(t, {
    "a/good.png": await plain(5),
    "a/empty.png": "",
    "b/text.jpg": "no image",
    "b/other.jpg": await plain(6),
    "b/small.png": await plain(6, 2),
  });
  const labelled = await openLabelledFolder(folder);
  const { examples, skipped } = await readExamples(labelled.examples(["a", "b"], 1e6), options());
  assert.deepEqual([...examples.labels], [0]);
  assert.deepEqual(skipped.map(({ uri, code }) => `${uri.slice(uri.lastIndexOf("/") + 1)} ${code}`).sort(), [
    "empty.png E_IMAGE_EMPTY",
    "other.jpg E_IMAGE_EXTENSION",
    "small.png E_IMAGE_TINY",
    "text.jpg E_IMAGE_FORMAT",
  ]);
  const second = await openLabelledFolder(await folderWith(t, { "a/empty.png": "" }));
  await assert.rejects(
    readExamples(second.examples(["a"], 1e6), options()),
    failsWith("E_TRAIN_DATA", /1 that cannot be used, the first .*empty\.png/),
  );
});

test("what contradicts the form is refused by name", async (t) => {
  const folder = await folderWith(t, { "a/x.png": await plain(1), "c/y.png": await plain(2) });
  const labelled = await openLabelledFolder(folder);
  await assert.rejects(
    readExamples(labelled.examples(["a", "b"], 1e6), options()),
    failsWith("E_TRAIN_DATA", /one of 2 labels in the subfolders of .*, found "c"/),
  );
  await writeFile(join(folder, "stray.png"), await plain(1));
  await assert.rejects(openLabelledFolder(folder), failsWith("E_TRAIN_DATA", /found the file stray\.png/));
  await assert.rejects(openLabelledFolder(join(folder, "absent")), failsWith("E_SOURCE_MISSING", /absent/));
  const empty = await openLabelledFolder(await folderWith(t, {}));
  await assert.rejects(readExamples(empty.examples([], 1e6), options()), failsWith("E_TRAIN_DATA", /found none/));
});

test("reading ends at the memory limit and on request", async (t) => {
  const files: Record<string, Uint8Array> = {};
  for (let image = 0; image < 70; image++) files[`a/${image}.png`] = await plain(image);
  const labelled = await openLabelledFolder(await folderWith(t, files));
  await assert.rejects(
    readExamples(labelled.examples(["a"], 1e6), options({ maxBytes: 16 * 40 })),
    failsWith("E_MEMORY", /at most 640 bytes/),
  );
  const stop = new AbortController();
  const counts: number[] = [];
  await assert.rejects(
    readExamples(
      labelled.examples(["a"], 1e6),
      options({
        signal: stop.signal,
        onExample: (count) => {
          counts.push(count);
          stop.abort();
        },
      }),
    ),
    failsWith("E_CANCELLED", /Stopped/),
  );
  assert.equal(counts.length, 1);
});

test("classes stand in the order that torchvision's ImageFolder gives them", async (t) => {
  // sorted() of Python: by code points, neither by language nor by UTF-16 units.
  const sorted = [
    "#hash",
    "10",
    "2",
    "Zebra",
    "__proto__",
    "a b",
    "apple",
    "constructor",
    "no",
    "\u00e9clair",
    "\u732b",
    "\ufb01sh",
    "\u{1f600}",
  ];
  const files = await Promise.all(
    sorted.toReversed().map(async (name, at) => [`${name}/x.png`, await plain(at)] as const),
  );
  assert.deepEqual((await openLabelledFolder(await folderWith(t, Object.fromEntries(files)))).classNames, sorted);
});
