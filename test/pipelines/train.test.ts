import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { openSharpDecoder } from "../../connectors/decoder/libvips/libvips-decoder.js";
import { openEngine } from "../../connectors/engine/open.js";
import { loadTeacher } from "../../connectors/engine/teacher/teacher-files.js";
import { openTfjsTrainer } from "../../connectors/trainer/tfjs.js";
import type { Trainer } from "../../connectors/trainer/trainer.js";
import { makeQuickstartImages, type QuickstartImages } from "../../examples/quickstart/make-images.js";
import { readExamples } from "../../operators/training/read-examples.js";
import { commandModelTrainer } from "../../pipelines/training/command-model-trainer.js";
import { openLabelledFolder } from "../../pipelines/training/labelled-folder.js";
import { openWorkspace } from "../../pipelines/open/workspace.js";
import { evaluate, fineTune, loadModel, saveModel } from "../../pipelines/train.js";
import { trainStudentRun, type TrainStudentRun } from "../../pipelines/training/train-student.js";
import { trainTeacherRun, type TrainTeacherRun } from "../../pipelines/training/train-teacher.js";
import { decodeSchema, engineSchema } from "../../schemas/config.js";
import { isSluiceError } from "../../schemas/errors.js";
import type { LabelledPixels } from "../../schemas/labelled-pixels.js";
import type { ProgressEvent } from "../../schemas/progress.js";
import { ROOT } from "../architecture/repository.js";
import { runIngest, testConfig, type RunIngest } from "../fixtures/run-ingest.js";

const DECODE = decodeSchema.parse({});
const K = 12;

describe("training, from image files to models", () => {
  let folder: string;
  let images: QuickstartImages;
  let trainer: Trainer;
  const decoder = openSharpDecoder({ concurrency: 2 });

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-train-"));
    images = await makeQuickstartImages(join(folder, "images"), {
      seed: 1,
      labelled: 100,
      unlabelled: 400,
      test: 200,
      broken: 4,
    });
    trainer = await openTfjsTrainer({ backend: "wasm" });
  });
  after(() => rm(folder, { recursive: true }));

  const teacherRun = (change: Partial<TrainTeacherRun> = {}): TrainTeacherRun => ({
    trainer,
    decoder,
    decode: DECODE,
    labelled: images.labelled,
    test: images.test,
    out: join(folder, "teacher"),
    name: "digits",
    input: { width: 14, height: 14, colour: "grey" },
    architecture: { kind: "patch-conv", channels: [4, 6] },
    schedule: { steps: 100 },
    seed: 1,
    ...change,
  });
  const testImages = async (labels: readonly string[]): Promise<LabelledPixels> => {
    const { card } = await loadTeacher(join(folder, "teacher"));
    const test = await openLabelledFolder(images.test);
    const options = { decoder, card, config: DECODE, maxBytes: 1e9 };
    return (await readExamples(test.examples(labels, 1e6), options)).examples;
  };

  test("a teacher is trained on a folder, and an engine scores with it as training did", async () => {
    const events: ProgressEvent[] = [];
    const trained = await trainTeacherRun(teacherRun({ onProgress: (event) => void events.push(event) }));
    assert.deepEqual(trained.card.labels, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert.deepEqual(trained.skipped, []);
    assert.equal(
      trained.trainingCounts.reduce((sum, count) => sum + count, 0),
      100,
    );
    assert.equal(trained.trainingCounts[images.order[0]!], Math.max(...trained.trainingCounts));
    // Ten classes: chance gives 0.1.
    assert.ok(trained.evaluation!.accuracy > 0.5, `${trained.evaluation!.accuracy}`);
    const training = events.filter(({ phase }) => phase === "train teacher");
    assert.deepEqual(
      training.map(({ phase, done, total }) => [phase, done, total]),
      Array.from({ length: 100 }, (_, step) => ["train teacher", step + 1, 100]),
    );
    assert.ok(training.at(-1)!.loss! < training[0]!.loss!);

    const teacher = await loadTeacher(join(folder, "teacher"));
    const digits = await testImages(teacher.card.labels);
    const model = await loadModel(trainer, join(folder, "teacher"));
    const expected = await model.logits(digits);
    for (const backend of ["wasm", "cpu"]) {
      const engine = await openEngine(teacher, engineSchema.parse({ kind: "tfjs", backend, workers: 1 }));
      const scored = await engine.score({ count: digits.count, pixels: digits.pixels.slice() });
      await engine.close();
      const furthest = scored.reduce((most, value, at) => Math.max(most, Math.abs(value - expected[at]!)), 0);
      assert.ok(furthest < 1e-3, `${backend}: ${furthest}`);
    }
    assert.equal((await evaluate({ model, test: digits })).accuracy, trained.evaluation!.accuracy);
    model.dispose();
  });

  test("the same seed gives the same card, another seed another", async () => {
    const digests: string[] = [];
    for (const seed of [4, 4, 5]) {
      const run = teacherRun({ seed, schedule: { steps: 8 }, out: join(folder, `seed-${digests.length}`) });
      digests.push((await trainTeacherRun({ ...run, test: undefined })).card.weights.sha256);
    }
    assert.equal(digests[0], digests[1]);
    assert.notEqual(digests[0], digests[2]);
  });

  test("a student is trained on a version that was ingested with the teacher", async () => {
    const ingesting: RunIngest = {
      data: join(folder, "data"),
      pictures: images.wild,
      teacher: join(folder, "teacher"),
      config: { datasets: [{ name: "d", select: { k: K, p: 1 } }], decode: { strict: true } },
    };
    const { published, counts } = await runIngest(ingesting);
    assert.equal(counts.quarantined, 4);
    const { manifest } = published[0]!;
    const workspace = await openWorkspace(testConfig(ingesting), "test");
    try {
      const run: TrainStudentRun = {
        trainer,
        decoder,
        decode: DECODE,
        store: workspace.store,
        manifest,
        labelled: images.labelled,
        test: images.test,
        out: join(folder, "student"),
        name: "digits student",
        architecture: { kind: "mlp", hidden: [24] },
        pretrain: { steps: 150 },
        baselineSchedule: { steps: 150 },
        fineTune: { steps: 10 },
        baseline: true,
        seed: 1,
      };
      const phases = new Set<string>();
      const trained = await trainStudentRun({ ...run, onProgress: ({ phase }) => void phases.add(phase) });
      assert.equal(trained.versionImages, manifest.totals.rows);
      assert.deepEqual(trained.skipped, []);
      const { baseline, pretrained, fineTuned } = trained.evaluations;
      for (const evaluation of [baseline, pretrained, fineTuned]) {
        assert.ok(evaluation!.accuracy > 0.5, `${evaluation!.accuracy}`);
        assert.equal(evaluation!.count, 200);
      }
      assert.deepEqual(
        [...phases],
        [
          "read labelled images",
          "read version",
          "pre-train student",
          "fine-tune student",
          "read test images",
          "train baseline",
        ],
      );
      // What was saved is the fine-tuned student.
      const student = await loadModel(trainer, join(folder, "student"));
      const digits = await testImages(trained.card.labels);
      assert.equal((await evaluate({ model: student, test: digits })).accuracy, fineTuned!.accuracy);
      student.dispose();

      // Stopped in either phase, it goes on, and gives the same weights; the same inputs are not trained again.
      const quick = { ...run, test: undefined, pretrain: { steps: 20 }, fineTune: { steps: 10 } };
      const whole = await trainStudentRun({ ...quick, out: join(folder, "whole") });
      for (const [phase, step] of [
        ["pre-train student", 13],
        ["fine-tune student", 7],
      ] as const) {
        const stop = new AbortController();
        const out = join(folder, `stopped in ${phase}`);
        const onProgress = (event: ProgressEvent): void => {
          if (event.phase === phase && event.done === step) stop.abort();
        };
        const stopped = trainStudentRun({ ...quick, out, signal: stop.signal, onProgress });
        await assert.rejects(stopped, (error) => isSluiceError(error, "E_CANCELLED"));
        const steps: string[] = [];
        const again = await trainStudentRun({
          ...quick,
          out,
          onProgress: ({ phase: one, done, loss }) => {
            if (loss !== undefined) steps.push(`${one} ${done}`);
          },
        });
        assert.equal(steps[0], `${phase} ${step + 1}`);
        assert.equal(again.card.weights.sha256, whole.card.weights.sha256);
        const curves = await Promise.all(
          [out, join(folder, "whole")].map((one) => readFile(join(one, "curves.jsonl"), "utf8")),
        );
        assert.equal(curves[0], curves[1]);
        const third = await trainStudentRun({ ...quick, out, onProgress: () => assert.fail("nothing is to be done") });
        assert.equal(third.isNew, false);
      }

      // A program is given the same: rows, shards, labelled images.
      const program = join(ROOT, "test/fixtures/training-program.mjs");
      const byCommand = await trainStudentRun({
        ...run,
        out: join(folder, "by command"),
        trainer: commandModelTrainer({
          command: `exec "${process.execPath}" "${program}"`,
          folder,
          configuration: { mode: "fine", model: join(folder, "teacher") },
          engine: engineSchema.parse({ kind: "tfjs", backend: "wasm", workers: 1 }),
          environment: process.env,
          silentMs: 60_000,
          killAfterMs: 1000,
        }),
        engine: engineSchema.parse({ kind: "tfjs", backend: "wasm", workers: 1 }),
      });
      assert.equal(byCommand.versionImages, manifest.totals.rows);
      const record = JSON.parse(await readFile(join(folder, "by command", "training.json"), "utf8")) as {
        told: { metrics: { version: number; shards: number } };
      };
      assert.equal(record.told.metrics.version, manifest.totals.rows);
      assert.ok(record.told.metrics.shards > 0);
      assert.equal(byCommand.evaluations.baseline, null);
      assert.ok(byCommand.evaluations.fineTuned!.accuracy > 0.5);

      const other = {
        ...manifest,
        select: { ...manifest.select, labels: { "not any of them": ["#0"] } },
        classes: manifest.classes.map((entry) => ({ ...entry, label: `not ${entry.label}` })),
      };
      await assert.rejects(trainStudentRun({ ...run, manifest: other }), (error) =>
        isSluiceError(error, "E_TRAIN_DATA"),
      );
      const unknown = { ...manifest, teacher: { ...manifest.teacher, digest: "0".repeat(64) } };
      await assert.rejects(trainStudentRun({ ...run, manifest: unknown }), (error) =>
        isSluiceError(error, "E_TEACHER_CARD"),
      );
    } finally {
      await workspace.close();
    }
  });

  test("fine-tuning leaves the given model as it is; a stopped training leaves no model behind", async () => {
    const model = await loadModel(trainer, join(folder, "teacher"));
    const digits = await testImages(model.preparation.labels);
    const logits = await model.logits(digits);
    const tuned = await fineTune({ model, labelled: digits, seed: 1, schedule: { steps: 5, learningRate: 0.05 } });
    assert.deepEqual(await model.logits(digits), logits);
    assert.notDeepEqual(await tuned.logits(digits), logits);
    const card = await saveModel(tuned, join(folder, "tuned"), "tuned");
    assert.deepEqual((await loadTeacher(join(folder, "tuned"))).card, card);
    tuned.dispose();
    model.dispose();

    const stop = new AbortController();
    const out = join(folder, "stopped");
    const run = teacherRun({
      out,
      signal: stop.signal,
      onProgress: ({ phase, done }) => {
        if (phase === "train teacher" && done === 3) stop.abort();
      },
    });
    await assert.rejects(trainTeacherRun(run), (error) => isSluiceError(error, "E_CANCELLED"));
    await assert.rejects(loadTeacher(out), (error) => isSluiceError(error, "E_TEACHER_CARD"));
  });

  test("a folder of one class teaches nothing", async () => {
    await assert.rejects(trainTeacherRun(teacherRun({ labelled: join(images.labelled, "0") })), (error) =>
      isSluiceError(error, "E_TRAIN_DATA"),
    );
    const one = join(folder, "one");
    await mkdir(one);
    await cp(join(images.labelled, "0"), join(one, "0"), { recursive: true });
    await assert.rejects(
      trainTeacherRun(teacherRun({ labelled: one, test: undefined })),
      (error) => isSluiceError(error, "E_TRAIN_DATA") && /found only 0/.test(error.message),
    );
    await mkdir(join(one, "1"));
    await writeFile(join(one, "1", "empty.png"), "");
    await assert.rejects(
      trainTeacherRun(teacherRun({ labelled: one, test: undefined })),
      (error) => isSluiceError(error, "E_TRAIN_DATA") && /found none of 1: /.test(error.message),
    );
  });
});
