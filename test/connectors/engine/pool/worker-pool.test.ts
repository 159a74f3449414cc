import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TeacherFiles } from "../../../../connectors/engine/engine.js";
import { startPool, type WorkerPool } from "../../../../connectors/engine/pool/worker-pool.js";
import { isSluiceError } from "../../../../schemas/errors.js";
import { writeSmallTeacher } from "../../../fixtures/models.js";

const SIDE = 8;
const IMAGE_BYTES = SIDE * SIDE;
const ABORT = 251;
const EXIT = 252;
const THROW = 253;

describe("a pool of engine workers", () => {
  let teacher: TeacherFiles;
  let pool: WorkerPool;
  before(async () => {
    const folder = await mkdtemp(join(tmpdir(), "sluice-pool-"));
    teacher = await writeSmallTeacher(folder, "onnx", { side: SIDE, colour: "grey" });
  });
  after(() => rm(teacher.folder, { recursive: true, force: true }));

  const open = async (isolation: "thread" | "process", workers: number, file = "./poisoned-worker.js") => {
    const setup = { kind: "onnx", backend: "cpu", threads: 1, ...teacher } as const;
    pool = await startPool(setup, { isolation, workers, program: new URL(file, import.meta.url) });
  };
  const run = (...firstPixels: number[]) => {
    const pixels = new Uint8Array(firstPixels.length * IMAGE_BYTES).fill(90);
    firstPixels.forEach((value, at) => (pixels[at * IMAGE_BYTES] = value));
    return pool.run({ pixels, count: firstPixels.length, mostAtOnce: 16, padTo: null });
  };
  const isCrash = (error: unknown) => isSluiceError(error, "E_ENGINE_CRASH");

  for (const [isolation, poison, how] of [
    ["process", ABORT, /SIGABRT/],
    ["process", EXIT, /exited with code 7/],
    ["thread", EXIT, /exited with code 7/],
  ] as const) {
    test(`${isolation}: a batch that ends its worker (${how.source}) fails alone, after a second try`, async () => {
      await open(isolation, 2);
      try {
        const expected = await run(1, 2, 3);
        const outcomes = await Promise.allSettled(
          Array.from({ length: 12 }, (_, at) => (at === 5 ? run(1, poison, 3) : run(1, 2, 3))),
        );
        outcomes.forEach((outcome, at) => {
          if (at !== 5) assert.deepEqual(outcome.status === "fulfilled" && outcome.value, expected);
        });
        const poisoned = outcomes[5]!;
        assert.ok(poisoned.status === "rejected" && isCrash(poisoned.reason));
        assert.match((poisoned.reason as Error).message, how);
        assert.match((poisoned.reason as Error).message, /tried 2 times/);
        if (poison === ABORT) assert.match(String(poisoned.reason.context.workerSaid), /poisoned-worker/);
        assert.deepEqual(await run(1, 2, 3), expected);
      } finally {
        await pool.close();
      }
    });
  }

  test("the image at fault is found by halving, and all others are scored", async () => {
    await open("process", 1);
    try {
      const images = [1, 2, ABORT, 4];
      const faulty: number[] = [];
      const scored: number[] = [];
      const bisect = async (from: number, end: number): Promise<void> => {
        try {
          await run(...images.slice(from, end));
          for (let at = from; at < end; at++) scored.push(at);
        } catch (error) {
          assert.ok(isCrash(error));
          if (end - from === 1) faulty.push(from);
          else {
            const middle = (from + end) >> 1;
            await bisect(from, middle);
            await bisect(middle, end);
          }
        }
      };
      await bisect(0, images.length);
      assert.deepEqual(faulty, [2]);
      assert.deepEqual(scored, [0, 1, 3]);
    } finally {
      await pool.close();
    }
  });

  for (const isolation of ["thread", "process"] as const) {
    test(`${isolation}: a batch that runs leaves the caller's event loop free`, async () => {
      await open(isolation, 1, "./gated-worker.js");
      try {
        // The worker blocks until a file is there, which is written by turns of this event loop.
        const running = run(1);
        const gate = join(teacher.folder, "gate");
        await writeFile(gate, "");
        assert.equal((await running).length, 10);
        await rm(gate);
      } finally {
        await pool.close();
      }
    });
  }

  test("an exception fails its batch once, with its reason, and ends no worker", async () => {
    await open("thread", 1);
    try {
      await assert.rejects(
        run(1, THROW),
        (error) => isSluiceError(error, "E_ENGINE_RUN") && error.message.includes("a poisonous pixel"),
      );
      assert.equal((await run(1)).length, 10);
    } finally {
      await pool.close();
    }
  });

  test("closing under way lets the running batch end and refuses the waiting ones", async () => {
    await open("thread", 1);
    const calls = Promise.allSettled(Array.from({ length: 6 }, () => run(1, 2)));
    await pool.close();
    const outcomes = await calls;
    assert.equal(outcomes[0]!.status, "fulfilled");
    const last = outcomes[5]!;
    assert.ok(last.status === "rejected" && isSluiceError(last.reason, "E_CANCELLED"));
  });

  test("closing while a worker is being replaced refuses its batch", async () => {
    await open("process", 1);
    const poisoned = run(ABORT);
    const ended = assert.rejects(poisoned, (error) => isCrash(error) || isSluiceError(error, "E_CANCELLED"));
    await new Promise((resolve) => setTimeout(resolve, 20));
    await pool.close();
    await ended;
  });

  test("a worker that ends while it loads is a crash, not a hang", async () => {
    const setup = { kind: "onnx", backend: "cpu", threads: 1, ...teacher } as const;
    const program = new URL("data:text/javascript,process.exit(3)");
    await assert.rejects(
      startPool(setup, { isolation: "thread", workers: 2, program }),
      (error) => isCrash(error) && /exited with code 3 while it loaded/.test((error as Error).message),
    );
  });

  test("where no worker can be started any more, every batch fails with the reason", async () => {
    await open("process", 1);
    try {
      const weights = join(teacher.folder, teacher.card.weights.files[0]!.path);
      await rm(weights);
      await assert.rejects(run(ABORT), (error) => isSluiceError(error, "E_ENGINE_LOAD"));
      await assert.rejects(run(1), (error) => isSluiceError(error, "E_ENGINE_LOAD"));
    } finally {
      await pool.close();
    }
  });
});
