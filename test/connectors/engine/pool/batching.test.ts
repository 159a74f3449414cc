import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import {
  batchingOf,
  DEFAULT_BATCH,
  RunSize,
  type BatchingOptions,
} from "../../../../connectors/engine/pool/batching.js";
import { isOutOfMemory } from "../../../../connectors/engine/pool/out-of-memory.js";
import { startPool } from "../../../../connectors/engine/pool/worker-pool.js";
import { SluiceError, isSluiceError } from "../../../../schemas/errors.js";
import type { PixelBatch } from "../../../../schemas/pixels.js";
import { writeSmallTeacher } from "../../../fixtures/models.js";

const IMAGE_BYTES = 3;
const noMemory = () => new SluiceError("E_ENGINE_RUN", "Expected to run a batch, found: CUDA out of memory");

interface Device {
  readonly fits?: number;
  /** Runs up to this size take the same time, longer ones more an image */
  readonly quickest?: number;
  /** Sizes above this give other last bits */
  readonly sameUpTo?: number;
}

/** A model on a clock of its own: an image's score is its first pixel. */
function open({ fits = Infinity, quickest = 64, sameUpTo = Infinity }: Device, more: Partial<BatchingOptions>) {
  let nowMs = 0;
  const notes: string[] = [];
  const score = async ({ count, pixels }: PixelBatch): Promise<Float32Array> => {
    if (count > fits) throw noMemory();
    nowMs += count <= quickest ? 10 : 10 * (count / quickest) ** 1.5;
    const drift = count > sameUpTo ? 0.5 : 0;
    return Float32Array.from({ length: count }, (_, row) => pixels[row * IMAGE_BYTES]! + drift);
  };
  const options: BatchingOptions = {
    score,
    imageBytes: IMAGE_BYTES,
    fixedBatch: null,
    asked: "auto",
    device: "gpu",
    nowMs: () => nowMs,
    onNote: (line) => notes.push(line),
    ...more,
  };
  return { batching: batchingOf(options), notes };
}

describe("the batch of an engine", () => {
  test("auto is the size that is quickest, said with the rates that were seen", async () => {
    for (const quickest of [4, 64]) {
      const { batching, notes } = open({ quickest }, {});
      assert.deepEqual(await batching, { batchInvariant: "yes", batch: quickest });
      assert.match(notes.join("\n"), new RegExp(`batch ${quickest} found by trying \\(1: 100, 2: 200, .*images/s`));
    }
  });

  test("without a setting it is found on a GPU, and 16 on a processor", async () => {
    assert.equal((await open({}, { asked: undefined }).batching).batch, 64);
    const { batching, notes } = open({}, { asked: undefined, device: "cpu" });
    assert.equal((await batching).batch, DEFAULT_BATCH);
    assert.deepEqual(notes, []);
  });

  test("auto stops where memory is short", async () => {
    const { batching, notes } = open({ fits: 40 }, {});
    assert.deepEqual(await batching, { batchInvariant: "yes", batch: 32 });
    assert.match(notes.join("\n"), /no memory for 64/);
  });

  test("a size that was asked for is halved where memory is short at opening", async () => {
    const { batching, notes } = open({ fits: 20 }, { asked: 64 });
    assert.deepEqual(await batching, { batchInvariant: "yes", batch: 16 });
    assert.equal(notes.length, 2);
  });

  test("where scores depend on the batch, neither speed nor memory decides on it", async () => {
    const { batching, notes } = open({ sameUpTo: 1 }, {});
    assert.deepEqual(await batching, { batchInvariant: "padded", batch: DEFAULT_BATCH });
    assert.match(notes.join("\n"), /stays 16; engine\.batch: 64 would be quickest/);
    await assert.rejects(
      open({ sameUpTo: 1, fits: 20 }, { asked: 64 }).batching,
      (error) => isSluiceError(error, "E_ENGINE_RUN") && /Set engine\.batch to 16 or less/.test(error.message),
    );
  });

  test("a quicker size that gives other bits is not taken", async () => {
    assert.deepEqual(await open({ sameUpTo: 32 }, {}).batching, { batchInvariant: "yes", batch: DEFAULT_BATCH });
  });

  test("a model of fixed batch keeps it", async () => {
    assert.deepEqual(await open({}, { fixedBatch: 7 }).batching, { batchInvariant: "yes", batch: 7 });
  });
});

describe("memory that runs short in a run", () => {
  const rows = (count: number) => Array.from({ length: count }, (_, row) => row);
  /** Runs `count` images in parts, as workers do; notes which sizes were run. */
  const device = (fits: number) => {
    const ran: number[] = [];
    const run = (count: number) => async (mostAtOnce: number) => {
      const scored: number[] = [];
      for (let from = 0; from < count; from += mostAtOnce) {
        const part = rows(count).slice(from, from + mostAtOnce);
        ran.push(part.length);
        if (part.length > fits) throw noMemory();
        scored.push(...part);
      }
      return scored;
    };
    return { ran, run };
  };

  test("halves the greatest run, and answers every row once and in order", async () => {
    for (const count of [1, 5, 13, 32, 100]) {
      const notes: string[] = [];
      const size = new RunSize(32, null, (line) => notes.push(line));
      const { run, ran } = device(5);
      assert.deepEqual(await size.fit(count, run(count)), rows(count));
      if (count >= 32) assert.equal(size.batch, 4);
      ran.length = 0;
      assert.deepEqual(await size.fit(100, run(100)), rows(100));
      assert.equal(size.batch, count === 13 ? 3 : 4);
      assert.ok(notes.every((line) => line.includes("memory ran short")));
    }
  });

  test("batches that fail together halve it once", async () => {
    const size = new RunSize(32, null, () => undefined);
    const { run } = device(16);
    const answers = await Promise.all([32, 32, 32, 32].map((count) => size.fit(count, run(count))));
    assert.deepEqual(answers, [rows(32), rows(32), rows(32), rows(32)]);
    assert.equal(size.batch, 16);
  });

  test("fails for one image alone, for padded runs with what to set, and at once for anything else", async () => {
    await assert.rejects(new RunSize(8, null, () => undefined).fit(8, device(0).run(8)), /out of memory/);
    await assert.rejects(
      new RunSize(8, 8, () => undefined).fit(8, device(4).run(8)),
      (error) => isSluiceError(error, "E_ENGINE_RUN") && /Set engine\.batch to 4 or less/.test(error.message),
    );
    let runs = 0;
    const broken = new SluiceError("E_ENGINE_RUN", "Expected to run a batch, found: an unknown operator");
    await assert.rejects(
      new RunSize(8, null, () => undefined).fit(8, () => {
        runs++;
        return Promise.reject(broken);
      }),
      broken,
    );
    assert.equal(runs, 1);
  });

  test("is told from what libraries say, and from how a worker ended", () => {
    const run = (message: string) => new SluiceError("E_ENGINE_RUN", message);
    const crash = (message: string, workerSaid = "") => new SluiceError("E_ENGINE_CRASH", message, { workerSaid });
    for (const error of [
      run("found: CUDA failure 2: out of memory"),
      run("found: BFCArena::AllocateRawInternal(size_t) Available memory of 1 is smaller than requested bytes of 2"),
      run("found: Failed to allocate memory for requested buffer of size 1073741824"),
      run("found: OOM when allocating tensor with shape[256,64,112,112]"),
      run("found: CUDNN_STATUS_ALLOC_FAILED"),
      run("found: Array buffer allocation failed"),
      crash("found that the worker was ended by SIGKILL while it ran a batch of 64"),
      crash("found that the worker was ended by SIGABRT", "terminate called … std::bad_alloc"),
    ]) {
      assert.ok(isOutOfMemory(error), error.message);
    }
    for (const error of [run("found: bad room dimension"), crash("was ended by SIGSEGV"), new Error("out of memory")]) {
      assert.ok(!isOutOfMemory(error), error.message);
    }
  });

  for (const [how, firstPixel] of [
    ["an exception", 90],
    ["a worker that ends", 251],
  ] as const) {
    test(`${how}: the engine's workers go on in smaller runs, with the scores of images scored alone`, async () => {
      const side = 8;
      const folder = await mkdtemp(join(tmpdir(), "sluice-memory-"));
      const teacher = await writeSmallTeacher(folder, "onnx", { side, colour: "grey" });
      const setup = { kind: "onnx", backend: "cpu", threads: 1, ...teacher } as const;
      const program = new URL("./memory-short-worker.js", import.meta.url);
      const pool = await startPool(setup, { isolation: "process", workers: 2, program });
      try {
        const count = 11;
        const pixels = Uint8Array.from({ length: count * side * side }, (_, at) =>
          at % (side * side) === 0 ? firstPixel : (at * 37) % 200,
        );
        const size = new RunSize(16, null, () => undefined);
        const score = (part: Uint8Array) => {
          const images = part.length / (side * side);
          return size.fit(images, (mostAtOnce) => pool.run({ pixels: part, count: images, mostAtOnce, padTo: null }));
        };
        const [whole, again] = await Promise.all([score(pixels), score(pixels)]);
        assert.ok(size.batch <= 4);
        const alone: number[] = [];
        for (let at = 0; at < count; at++)
          alone.push(...(await score(pixels.slice(at * side * side, (at + 1) * side * side))));
        assert.deepEqual([...whole], alone);
        assert.deepEqual([...again], alone);
      } finally {
        await pool.close();
        await rm(folder, { recursive: true, force: true });
      }
    });
  }
});
