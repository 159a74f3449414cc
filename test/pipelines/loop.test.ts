import assert from "node:assert/strict";
import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { openTfjsTrainer } from "../../connectors/trainer/tfjs.js";
import type { Store } from "../../connectors/store/store.js";
import { makeQuickstartImages, type QuickstartImages } from "../../examples/quickstart/make-images.js";
import { finishedGenerations, nextGeneration, type Generation, type LoopOptions } from "../../pipelines/loop.js";
import { declare, readDeclarations } from "../../pipelines/open/declare.js";
import { publishingParts } from "../../pipelines/open/open-scoring.js";
import { openStore } from "../../pipelines/open/workspace.js";
import {
  announceTeacher,
  instateTeacher,
  streamTeachers,
  withdrawTeacher,
} from "../../pipelines/teachers/change-teacher.js";
import { listTeachers } from "../../pipelines/teachers/list-teachers.js";
import { tfjsModelTrainer } from "../../pipelines/training/tfjs-model-trainer.js";
import { FINE_TUNE_SCHEDULE, PRETRAIN_SCHEDULE } from "../../pipelines/training/train-defaults.js";
import { trainTeacherRun } from "../../pipelines/training/train-teacher.js";
import type { Config } from "../../schemas/config.js";
import { streamSettingsOf } from "../../schemas/declaration.js";
import { isSluiceError } from "../../schemas/errors.js";
import { teacherDigest } from "../../schemas/model-card.js";
import type { ProgressEvent } from "../../schemas/progress.js";
import { runIngest, testConfig, type RunIngest } from "../fixtures/run-ingest.js";

const K = 20;

describe("the loop", () => {
  let folder: string;
  let images: QuickstartImages;
  let trainer: Awaited<ReturnType<typeof openTfjsTrainer>>;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-loop-"));
    images = await makeQuickstartImages(join(folder, "images"), {
      seed: 1,
      labelled: 60,
      unlabelled: 200,
      test: 200,
      broken: 2,
      distractorShare: 0,
    });
    trainer = await openTfjsTrainer({ backend: "wasm" });
    const { card } = await trainTeacherRun({
      trainer,
      decoder: publishingParts(config("none")).decoder,
      decode: config("none").decode,
      labelled: images.labelled,
      out: join(folder, "teacher"),
      name: "first",
      input: { width: 14, height: 14, colour: "grey" },
      architecture: { kind: "mlp", hidden: [8] },
      schedule: { steps: 25 },
      seed: 1,
    });
    await runIngest({ ...ingesting("started"), config: { datasets: [dataset()] } });
    const store = await openStore(config("started"));
    const declared = await readDeclarations(store, config("started").stream);
    const digest = teacherDigest(card);
    const teacher = { path: join(folder, "teacher"), digest, name: card.name };
    const settings = streamSettingsOf(config("started"), teacher, []);
    await declare(store, declared, { settings, datasets: config("started").datasets }, { by: "test", nowMs: 1 });
    await store.close();
  });
  after(() => rm(folder, { recursive: true }));

  const dataset = () => ({ name: "d", select: { k: K, p: 1 } });
  const ingesting = (data: string): RunIngest => ({
    data: join(folder, data),
    pictures: images.wild,
    teacher: join(folder, "teacher"),
    config: { datasets: [dataset()] },
  });
  const config = (data: string): Config => testConfig(ingesting(data));

  const optionsOf = (data: string, store: Store, change: Partial<LoopOptions> = {}): LoopOptions => {
    const given = config(data);
    let id = 0;
    return {
      config: given,
      store,
      dataset: given.datasets[0]!,
      labelled: images.labelled,
      test: images.test,
      trainerFor: (_, lastGood) =>
        tfjsModelTrainer({
          trainer,
          decoder: publishingParts(given).decoder,
          decode: given.decode,
          configuration: {
            architecture: { kind: "mlp", hidden: [24] },
            first: { ...PRETRAIN_SCHEDULE, steps: 120 },
            fineTune: { ...FINE_TUNE_SCHEDULE, steps: 10 },
          },
          maxBytes: 1e9,
          lastGood,
        }),
      // What is tested here is the loop, not whether so little data makes students that are surely better.
      rule: { confidence: 0.01, mostClassDrop: 1 },
      seed: 1,
      ...publishingParts(given),
      onNote: () => undefined,
      onWarning: (line) => assert.fail(line),
      onProgress: () => undefined,
      signal: new AbortController().signal,
      nowMs: Date.now,
      newId: () => `${data}-${id++}`,
      ...change,
    };
  };

  const open = async (data: string): Promise<Store> => {
    await cp(join(folder, "started"), join(folder, data), { recursive: true });
    return openStore(config(data));
  };

  /** What must be the same however often a loop is killed */
  const told = (generations: readonly Generation[]): unknown =>
    generations.map(({ number, version, model, verdict, outcome }) => ({
      number,
      id: version.id,
      teacher: version.teacher,
      training: model.training,
      model: model.model,
      accuracy: verdict.accuracy,
      p: verdict.p,
      promoted: outcome.promoted,
      stands: outcome.teacher,
    }));

  test("three generations, killed at every step, end as those that nobody has killed", async (t) => {
    const whole = await open("whole");
    for (let number = 1; number <= 3; number++) await nextGeneration(optionsOf("whole", whole));
    const expected = await finishedGenerations(whole, "d");
    t.diagnostic(expected.map(({ verdict }) => `${verdict.teacherAccuracy} → ${verdict.accuracy}`).join(", "));
    const promoted = expected.filter(({ outcome }) => outcome.promoted);
    assert.ok(expected[0]!.outcome.promoted);
    assert.equal(new Set(expected.map(({ version }) => version.id)).size, expected.length);
    assert.equal(expected[1]!.version.teacher, expected[0]!.model.model, "the student chose the next version");
    const teachers = await listTeachers(whole, config("whole").stream);
    assert.equal(teachers[0]!.digest, promoted.at(-1)!.model.model);
    assert.equal(teachers[0]!.state, "stands");
    assert.equal(teachers.filter(({ state }) => state === "former").length, promoted.length);
    // Lineage: each was trained from a version by the one before.
    assert.equal(teachers[0]!.training!.inputs.version!.teacher, promoted.at(-1)!.version.teacher);

    const store = await open("killed");
    const kills = killing(store);
    const aborts = [
      ["pre-train student", 37],
      ["fine-tune student", 4],
      ["replay", 40],
    ] as const;
    const aborted = new Set<string>();
    let trainedSteps = 0;
    for (let attempt = 0; (await finishedGenerations(store, "d")).length < expected.length; attempt++) {
      assert.ok(attempt < 80, "it must get somewhere");
      const stop = new AbortController();
      const onProgress = ({ phase, done, loss }: ProgressEvent): void => {
        if (loss !== undefined) trainedSteps++;
        const due = aborts.find(([name, at]) => name === phase && done >= at);
        if (due === undefined || aborted.has(phase)) return;
        aborted.add(phase);
        stop.abort();
      };
      const options = optionsOf("killed", kills.store, { signal: stop.signal, onProgress });
      await nextGeneration(options).catch((error: unknown) => {
        if (error !== kills.death && !isSluiceError(error, "E_CANCELLED")) throw error;
      });
    }
    // Two a step of each generation, and two a revision of the stream's declaration.
    assert.ok(kills.count() >= 8 * expected.length + 4 * promoted.length, `${kills.count()} kills`);
    assert.equal(aborted.size, 3);
    assert.deepEqual(told(await finishedGenerations(store, "d")), told(expected));
    assert.equal(trainedSteps, expected.length * (120 + 10), "no step of a training was made twice");
    const trainings = (await readdir(join(folder, "killed", "trainings"))).filter((name) => !name.includes("-"));
    assert.equal(trainings.length, expected.length);
    await whole.close();
    await store.close();
  });

  test("a gate that does not pass keeps the teacher, says so, and nothing is trained again from the same inputs", async () => {
    const store = await open("strict");
    const notes: string[] = [];
    const options = optionsOf("strict", store, {
      rule: { confidence: 1 - 1e-9, mostClassDrop: 0 },
      onNote: (line) => void notes.push(line),
    });
    const generation = await nextGeneration(options);
    assert.equal(generation!.outcome.promoted, false);
    assert.equal(generation!.outcome.teacher, generation!.version.teacher);
    assert.match(notes.join("\n"), /does not pass the gate, and the teacher stays\. /);
    let steps = 0;
    const again = await nextGeneration({
      ...options,
      onProgress: ({ loss }) => {
        if (loss !== undefined) steps++;
      },
    });
    assert.equal(again, null);
    assert.equal(steps, 0);
    assert.equal((await finishedGenerations(store, "d")).length, 1);
    // Another seed is another training.
    assert.equal((await nextGeneration({ ...options, seed: 2 }))!.number, 2);
    await store.close();
  });

  test("test images that are labelled ones, too, end it before anything is trained", async () => {
    const store = await open("overlap");
    let steps = 0;
    const options = optionsOf("overlap", store, {
      test: images.labelled,
      onProgress: ({ loss }) => {
        if (loss !== undefined) steps++;
      },
    });
    await assert.rejects(nextGeneration(options), (error) => isSluiceError(error, "E_TRAIN_OVERLAP"));
    assert.equal(steps, 0);
    // Nothing is recorded that would hold the loop to it.
    for await (const { key } of store.list("loops/")) assert.fail(key);
    await store.close();
  });

  test("does not undo what a person did meanwhile: another teacher that stands, a promotion that was taken back", async () => {
    const store = await open("meddled");
    const { stream } = config("meddled");
    const by = { by: "test", nowMs: 2 };
    const other = { path: "/elsewhere", digest: "ab".repeat(32), name: "by hand" };
    const notes: string[] = [];
    const options = optionsOf("meddled", store, { onNote: (line) => void notes.push(line) });
    const first = await nextGeneration({
      ...options,
      onStep: async (_, step) => {
        if (step !== "verdict") return;
        await announceTeacher(store, stream, other, by);
        await instateTeacher(store, stream, other.digest, by);
      },
    });
    assert.equal(first!.verdict.passes, true);
    assert.deepEqual([first!.outcome.promoted, first!.outcome.teacher], [false, other.digest]);
    assert.match(notes.join("\n"), /does not take over\. Expected that teacher .* found by hand/);
    assert.equal((await streamTeachers(store, stream)).stands!.digest, other.digest);
    await store.close();

    const again = await open("withdrawn");
    const withdrawn: Promise<unknown>[] = [];
    const taking = optionsOf("withdrawn", again, {
      onProgress: ({ phase }) => {
        if (phase === "replay" && withdrawn.length === 0) withdrawn.push(withdrawTeacher(again, stream, by));
      },
    });
    const second = await nextGeneration(taking);
    assert.notEqual(await withdrawn[0], null);
    assert.deepEqual([second!.outcome.promoted, second!.outcome.teacher], [false, second!.version.teacher]);
    assert.equal(await nextGeneration(taking), null, "the same student is not promoted again");
    assert.equal((await streamTeachers(again, stream)).next, null);
    await again.close();
  });
});

/** A store whose process dies once before and once behind each object that decides something. */
function killing(inner: Store): { readonly store: Store; readonly death: Error; readonly count: () => number } {
  const death = new Error("killed");
  const seen = new Map<string, number>();
  let count = 0;
  const store: Store = new Proxy(inner, {
    get(target, name) {
      if (name !== "putIfAbsent") {
        const value = Reflect.get(target, name) as unknown;
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      }
      return async (key: string, bytes: Uint8Array) => {
        const decides = /^(loops|streams|models)\//.test(key);
        const times = seen.get(key) ?? 0;
        seen.set(key, times + 1);
        if (decides && times === 0) {
          count++;
          throw death;
        }
        const outcome = await target.putIfAbsent(key, bytes);
        if (decides && times === 1) {
          count++;
          throw death;
        }
        return outcome;
      };
    },
  });
  return { store, death, count: () => count };
}
