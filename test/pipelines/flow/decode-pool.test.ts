import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import sharp, { type Sharp } from "sharp";
import { openSharpDecoder } from "../../../connectors/decoder/libvips/libvips-decoder.js";
import { PixelRoom } from "../../../connectors/decoder/pixel-room.js";
import { loadTeacher } from "../../../connectors/engine/teacher/teacher-files.js";
import { decodingHere, type DecodingOptions } from "../../../operators/image/decode.js";
import { DecodePool } from "../../../pipelines/flow/decode-pool.js";
import { configSchema } from "../../../schemas/config.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { writeSmallTeacher } from "../../fixtures/models.js";
import { writePictures } from "../../fixtures/pictures.js";
import { runIngest } from "../../fixtures/run-ingest.js";
import { uniform } from "../../fixtures/seeded-weights.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

const OPTIONS: DecodingOptions = {
  decoder: openSharpDecoder({ concurrency: 1 }),
  card: {
    input: { width: 24, height: 20, colour: "rgb", layout: "NCHW" },
    resize: { mode: "crop", kernel: "linear", orientation: "apply" },
  } as unknown as DecodingOptions["card"],
  config: configSchema.parse({}).decode,
};

/** Pictures of many kinds, among them such as are refused, and one that is larger than the memory that is kept. */
async function pictures(): Promise<{ name: string; bytes: Uint8Array }[]> {
  const next = uniform(7);
  const raw = (width: number, height: number, channels: 1 | 3 | 4): Sharp =>
    sharp(Buffer.from(Array.from({ length: width * height * channels }, () => Math.floor(next() * 256))), {
      raw: { width, height, channels },
    });
  const made: [string, Sharp][] = [
    ["a.jpg", raw(61, 40, 3).jpeg({ quality: 80 })],
    ["grey.jpg", raw(33, 47, 1).jpeg()],
    ["progressive.jpg", raw(120, 90, 3).jpeg({ progressive: true, chromaSubsampling: "4:4:4" })],
    ["turned.jpg", raw(50, 30, 3).withMetadata({ orientation: 6 }).jpeg()],
    ["cmyk.jpg", raw(40, 40, 3).toColourspace("cmyk").jpeg()],
    ["small.png", raw(28, 28, 1).png()],
    ["alpha.png", raw(30, 44, 4).png()],
    ["deep.png", raw(30, 44, 3).toColourspace("rgb16").png()],
    ["w.webp", raw(45, 45, 3).webp()],
    ["g.gif", raw(45, 33, 3).gif()],
    ["t.tiff", raw(45, 33, 3).tiff()],
    ["wrong.png", raw(64, 64, 3).jpeg()],
    ["tiny.png", raw(4, 4, 3).png()],
    ["large.png", raw(1300, 1300, 3).png({ compressionLevel: 0 })],
  ];
  const all = await Promise.all(
    made.map(async ([name, image]) => ({ name, bytes: new Uint8Array(await image.toBuffer()) })),
  );
  const whole = all[0]!.bytes;
  all.push(
    { name: "cut.jpg", bytes: whole.slice(0, whole.length - 200) },
    { name: "no-end.jpg", bytes: whole.slice(0, -2) },
    { name: "empty.jpg", bytes: new Uint8Array() },
    { name: "words.jpg", bytes: Buffer.from("these are no pixels") },
  );
  return all;
}

const opened = (t: { after(end: () => Promise<void>): void }, change: Partial<DecodingOptions> = {}): DecodePool => {
  const pool = new DecodePool({ ...OPTIONS, ...change, threads: 2, beforeThreads: 0 });
  t.after(() => pool.close());
  return pool;
};

test("threads give the pixels, hashes, notes and refusals that the caller's thread gives, whatever comes at once", async (t) => {
  const pool = opened(t);
  const here = decodingHere(OPTIONS);
  const all = await pictures();
  // More than the threads take at once, in other orders.
  const asked = Array.from({ length: 6 }, (_, round) =>
    all.map((_, at) => all[(at * (round + 5)) % all.length]!),
  ).flat();
  const found = await Promise.all(asked.map(({ bytes, name }) => pool.decode(bytes, name)));
  const refused = new Set<string>();
  for (const [at, { name, bytes }] of asked.entries()) {
    const expected = await here.decode(bytes, name);
    const plain = "code" in expected ? expected : { ...expected, pixels: Uint8Array.from(expected.pixels) };
    const got = found[at]!;
    assert.deepEqual("code" in got ? got : { ...got, pixels: Uint8Array.from(got.pixels) }, plain, name);
    if ("code" in got) refused.add(name);
  }
  assert.deepEqual([...refused].sort(), ["cut.jpg", "empty.jpg", "tiny.png", "words.jpg"]);
});

test("an image's bytes stay the caller's, also where they are a part of larger memory", async (t) => {
  const pool = opened(t);
  const { bytes } = (await pictures())[0]!;
  const larger = new Uint8Array(bytes.length + 4096);
  larger.set(bytes, 1000);
  const part = larger.subarray(1000, 1000 + bytes.length);
  await pool.decode(part, "a.jpg");
  assert.equal(larger.byteLength, bytes.length + 4096);
  assert.deepEqual(part, bytes);
});

test("a fault that is not the image's ends in an error, and a pool that is closed answers whom it leaves waiting", async (t) => {
  const { bytes } = (await pictures())[0]!;
  const faulty = opened(t, { config: null as unknown as DecodingOptions["config"] });
  await assert.rejects(faulty.decode(bytes, "a.jpg"), (error) => isSluiceError(error, "E_INTERNAL"));
  const pool = opened(t);
  await pool.decode(bytes, "a.jpg");
  const waiting = Array.from({ length: 40 }, () => pool.decode(bytes, "a.jpg"));
  const settled = Promise.allSettled(waiting);
  await new Promise(setImmediate);
  await pool.close();
  const failed = (await settled).filter((one) => one.status === "rejected");
  assert.ok(failed.length > 0);
  assert.ok(failed.every(({ reason }) => isSluiceError(reason, "E_CANCELLED")));
  await assert.rejects(pool.decode(bytes, "a.jpg"), (error) => isSluiceError(error, "E_CANCELLED"));
});

test("where every thread has gone, all that wait are answered", async (t) => {
  const { bytes } = (await pictures())[0]!;
  // No memory is as large as what this teacher would see.
  const input = { ...OPTIONS.card.input, width: 1_000_000, height: 1_000_000 };
  const pool = new DecodePool({ ...OPTIONS, card: { ...OPTIONS.card, input }, threads: 1, beforeThreads: 0 });
  t.after(() => pool.close());
  const settled = await Promise.allSettled(Array.from({ length: 40 }, () => pool.decode(bytes, "a.jpg")));
  for (const one of settled) assert.ok(one.status === "rejected" && isSluiceError(one.reason, "E_INTERNAL"));
});

test("threads that are closed while they load end in order", async () => {
  const { bytes } = (await pictures())[0]!;
  for (let round = 0; round < 4; round++) {
    const pool = new DecodePool({ ...OPTIONS, threads: 2, beforeThreads: 0 });
    const settled = Promise.allSettled([pool.decode(bytes, "a.jpg"), pool.decode(bytes, "b.jpg")]);
    await new Promise(setImmediate);
    await new Promise((resolve) => setTimeout(resolve, round * 40));
    await pool.close();
    for (const one of await settled) assert.ok(one.status === "fulfilled" || isSluiceError(one.reason, "E_CANCELLED"));
  }
});

test("a thread waits for room that others take, and an image beyond all of it is decoded alone", async (t) => {
  const memory = PixelRoom.memory();
  const room = new PixelRoom(memory);
  room.take(250, 100);
  const program = `
    const { parentPort, workerData } = require("node:worker_threads");
    import(workerData.module).then(({ PixelRoom }) => {
      new PixelRoom(workerData.memory).take(60, 100);
      parentPort.postMessage("taken");
    });`;
  const module = new URL("../../../connectors/decoder/pixel-room.js", import.meta.url).href;
  const other = new Worker(program, { eval: true, workerData: { memory, module } });
  t.after(() => other.terminate());
  let isTaken = false;
  const taken = new Promise<void>((resolve) =>
    other.once("message", () => {
      isTaken = true;
      resolve();
    }),
  );
  await new Promise((resolve) => other.once("online", resolve));
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(isTaken, false);
  room.give(250);
  await taken;
  room.take(40, 100);
  assert.equal(new Int32Array(memory)[0], 100);
});

test("a version is the same, wherever its images were decoded", async (t) => {
  const root = await temporaryFolder(t);
  const run = {
    pictures: join(root, "pictures"),
    teacher: join(root, "teacher"),
    config: { decode: { concurrency: 2 } },
  };
  await writeSmallTeacher(run.teacher, "onnx", { classes: 6, output: "logits" });
  await writePictures(run.pictures, { images: 60, duplicates: 5, broken: 3 });
  const { card } = await loadTeacher(run.teacher);
  const pool = opened(t, { card });
  const alone = await runIngest({ ...run, data: join(root, "alone") });
  const threads = await runIngest({ ...run, data: join(root, "threads"), options: { decoding: pool } });
  assert.deepEqual(threads.counts, alone.counts);
  assert.equal(threads.published[0]!.manifest.id, alone.published[0]!.manifest.id);
});
