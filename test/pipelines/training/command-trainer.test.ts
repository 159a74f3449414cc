import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { readFile, rm, writeFile, access } from "node:fs/promises";
import { join } from "node:path";
import { before, describe, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { processStart } from "../../../connectors/process-identity.js";
import { commandModelTrainer } from "../../../pipelines/training/command-model-trainer.js";
import { readLabelledSet, type LabelledSet } from "../../../pipelines/training/labelled-set.js";
import { trainOnce, unfinishedOf, type TrainOnceRun } from "../../../pipelines/training/train-once.js";
import { engineSchema } from "../../../schemas/config.js";
import { isSluiceError, orNull, orNullNow } from "../../../schemas/errors.js";
import type { ProgressEvent } from "../../../schemas/progress.js";
import { ROOT } from "../../architecture/repository.js";
import { writeSmallTeacher } from "../../fixtures/models.js";
import { squarePixels, writeSquare } from "../../fixtures/square-pictures.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

const PROGRAM = join(ROOT, "test/fixtures/training-program.mjs");

interface Site {
  readonly folder: string;
  readonly labelled: LabelledSet;
  readonly run: (mode: string, change?: Partial<TrainOnceRun>, silentMs?: number) => TrainOnceRun;
  readonly events: ProgressEvent[];
  readonly notes: string[];
}

async function openSite(t: TestContext): Promise<Site> {
  const folder = await temporaryFolder(t);
  const model = join(folder, "model");
  const { card } = await writeSmallTeacher(model, "onnx");
  for (const [at, label] of card.labels.entries()) {
    await writeSquare(join(folder, "labelled"), `${label}/${at}.png`, 16, squarePixels(16, at));
  }
  const labelled = await readLabelledSet(join(folder, "labelled"), card.labels, 1e6);
  const events: ProgressEvent[] = [];
  const notes: string[] = [];
  const run: Site["run"] = (mode, change = {}, silentMs = 60_000) => ({
    trainer: commandModelTrainer({
      command: `exec "${process.execPath}" "${PROGRAM}"`,
      folder,
      configuration: { mode, model },
      engine: engineSchema.parse({ workers: 1 }),
      environment: process.env,
      silentMs,
      killAfterMs: 300,
    }),
    inputs: { input: card.input, resize: card.resize, seed: 1 },
    folder: join(folder, "student"),
    labelled,
    version: null,
    name: "by command",
    signal: new AbortController().signal,
    onProgress: (event) => void events.push(event),
    onNote: (note) => void notes.push(note),
    nowMs: Date.now,
    ...change,
  });
  return { folder, labelled, run, events, notes };
}

async function gone(pid: number): Promise<void> {
  for (let look = 0; processStart(pid) !== null; look++) {
    assert.ok(look < 100, `process ${pid} lives on`);
    await sleep(50);
  }
}

describe("training by a command", () => {
  before(() => access(PROGRAM));

  test("a program that keeps the contract gives a model, its curves and what it says of itself", async (t) => {
    const { folder, run, events, labelled } = await openSite(t);
    const { card, record, isNew } = await trainOnce(run("fine"));
    assert.equal(isNew, true);
    assert.equal(card.name, "by command");
    assert.deepEqual(record.told, { metrics: { labelled: labelled.images.length, version: 0, shards: 0 } });
    assert.deepEqual(
      events.map(({ phase, done, total, loss, accuracy }) => [phase, done, total, loss, accuracy]),
      [1, 2, 3, 4, 5].map((step) => ["train", step, 5, 1 / step, step / 10]),
    );
    const curves = (await readFile(join(folder, "student", "curves.jsonl"), "utf8")).trim().split("\n");
    assert.deepEqual(JSON.parse(curves[4]!), { phase: "train", step: 5, loss: 0.2 });
    assert.match(await readFile(join(folder, "student", "training.log"), "utf8"), /^\{ not a message$/m);
    assert.equal(await orNull(access(unfinishedOf(join(folder, "student"))), "ENOENT"), null);

    events.length = 0;
    assert.equal((await trainOnce(run("fine"))).isNew, false, "the same inputs");
    assert.deepEqual(events, []);
    assert.equal((await trainOnce(run("fine", { inputs: { ...run("fine").inputs, seed: 2 } }))).isNew, true);
  });

  test("a program that is part of the inputs is told from another one by its content", async (t) => {
    const { folder } = await openSite(t);
    const settings = {
      command: "python train.py --fast",
      folder,
      configuration: {},
      engine: engineSchema.parse({}),
      environment: {},
      silentMs: 1,
      killAfterMs: 1,
    };
    const trainer = commandModelTrainer(settings);
    await writeFile(join(folder, "train.py"), "one");
    const one = await trainer.describe();
    await writeFile(join(folder, "train.py"), "two");
    assert.notDeepEqual(await trainer.describe(), one);
    // Named by its whole path, or behind the sign of a setting, it is one of the files all the same; the interpreter is not.
    const command = `${process.execPath} ${join(folder, "train.py")} --rule=./train.py`;
    const named = (await commandModelTrainer({ ...settings, command }).describe()) as unknown as {
      trainer: { files: Record<string, string> };
    };
    assert.deepEqual(Object.keys(named.trainer.files).sort(), ["./train.py", join(folder, "train.py")].sort());
  });

  test("one that dies, writes nothing, a model that does not load, or other labels: nothing replaces the model that is there", async (t) => {
    const { folder, run } = await openSite(t);
    const { record } = await trainOnce(run("fine"));
    for (const [mode, found] of [
      ["die", /exit code 3\. It said last:\nno such column: label\nAll it said is in /],
      ["empty", /found one that cannot be used: /],
      ["broken", /found one that cannot be used: /],
      ["labels", /found a card with other labels than config\.json has: something else/],
    ] as const) {
      await assert.rejects(
        trainOnce(run(mode)),
        (error) => isSluiceError(error, "E_TRAIN_COMMAND") && found.test(error.message),
      );
      const before = JSON.parse(await readFile(join(folder, "student", "training.json"), "utf8")) as { digest: string };
      assert.equal(before.digest, record.digest);
    }
  });

  test("one that hangs is ended with all that it has started, also where it does not heed SIGTERM", async (t) => {
    for (const mode of ["hang", "stubborn"]) {
      const { folder, run, notes } = await openSite(t);
      await assert.rejects(
        trainOnce(run(mode, {}, 1500)),
        (error) =>
          isSluiceError(error, "E_TRAIN_COMMAND") &&
          /at least every 1\.5 s, found none: it was ended/.test(error.message),
      );
      assert.deepEqual(notes, ["started"]);
      const work = join(unfinishedOf(join(folder, "student")), "work");
      await gone(Number(await readFile(join(work, "child"), "utf8")));
      if (mode === "stubborn") assert.equal(await readFile(join(work, "terms"), "utf8"), "term\n");
    }
  });

  test("one that leaves something running, or writes without an end of line, is waited for no longer than it runs", async (t) => {
    for (const mode of ["daemon", "flood"]) {
      const { folder, run } = await openSite(t);
      let child = 0;
      const beganMs = performance.now();
      const { card } = await trainOnce(
        run(mode, {
          // Before the work folder goes.
          nowMs: () => {
            child ||= Number(
              orNullNow(() => readFileSync(join(unfinishedOf(join(folder, "student")), "work", "child")), "ENOENT") ??
                0,
            );
            return Date.now();
          },
        }),
      );
      assert.equal(card.name, "by command");
      assert.ok(performance.now() - beganMs < 25_000, "it ended while what it started still ran");
      if (mode === "daemon") process.kill(child, "SIGKILL");
    }
  });

  test("one that was stopped goes on from what it has in its work folder; after a kill, what runs on is ended first", async (t) => {
    const { folder, run, events } = await openSite(t);
    const stop = new AbortController();
    const onProgress = (event: ProgressEvent): void => {
      events.push(event);
      if (event.done === 3) stop.abort();
    };
    const stopped = trainOnce(run("slow", { signal: stop.signal, onProgress }));
    await assert.rejects(stopped, (error) => isSluiceError(error, "E_CANCELLED"));
    // What a process leaves that was killed: a program that nobody waits for, and its identity.
    const work = join(unfinishedOf(join(folder, "student")), "work");
    const orphan = trainOnce(run("slow", { onProgress: () => undefined, folder: join(folder, "other") })).catch(
      () => null,
    );
    const otherWork = join(unfinishedOf(join(folder, "other")), "work");
    while ((await orNull(readFile(join(otherWork, "step"), "utf8"), "ENOENT")) !== "3") await sleep(30);
    const identity = await readFile(join(otherWork, "process.json"), "utf8");
    await writeFile(join(work, "process.json"), identity);
    events.length = 0;
    const { card } = await trainOnce(run("slow"));
    assert.equal(card.name, "by command");
    assert.deepEqual(
      events.map(({ done }) => done),
      [4, 5],
    );
    await gone((JSON.parse(identity) as { pid: number }).pid);
    await orphan;
    await rm(join(folder, "other"), { recursive: true, force: true });
  });
});
