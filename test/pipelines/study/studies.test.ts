import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { makeQuickstartImages, type QuickstartImages } from "../../../examples/quickstart/make-images.js";
import { openStudies, type OpenStudiesOptions } from "../../../pipelines/study/open-studies.js";
import {
  runStudies,
  type ArmDone,
  type PlannedArm,
  type StudyPlan,
  type StudyResults,
} from "../../../pipelines/study/run-study.js";
import {
  bothPhases,
  fineTuned,
  levels,
  pretrained,
  type Arm,
  type StudyBase,
} from "../../../pipelines/study/study-arms.js";
import { readIndex } from "../../../pipelines/versions/versions.js";
import { readLabelledSet } from "../../../pipelines/training/labelled-set.js";
import { configSchema } from "../../../schemas/config.js";
import { isSluiceError, type SluiceError } from "../../../schemas/errors.js";

describe("studies", () => {
  let folder: string;
  let images: QuickstartImages;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-study-"));
    const sizes = { labelled: 60, unlabelled: 150, test: 60, broken: 1, distractorShare: 0 };
    images = await makeQuickstartImages(join(folder, "images"), { seed: 1, ...sizes });
    // A stream shows test and labelled images, too.
    await cp(images.test, join(images.wild, "test"), { recursive: true });
    await cp(images.labelled, join(images.wild, "labelled"), { recursive: true });
  });
  after(() => rm(folder, { recursive: true }));

  const open = (name: string, change: Partial<OpenStudiesOptions> = {}) =>
    openStudies({
      folder: join(folder, name),
      config: configSchema.parse({ data: join(folder, "data"), engine: { workers: 1 } }),
      labelled: images.labelled,
      test: images.test,
      unlabelled: [images.wild],
      input: { width: 14, height: 14, colour: "grey" },
      k: 10,
      steps: { teacher: 20, baseline: 30, pretrain: 40, fineTune: 5 },
      backend: "wasm",
      signal: new AbortController().signal,
      onProgress: () => undefined,
      onNote: () => undefined,
      nowMs: Date.now,
      newId: randomUUID,
      ...change,
    });

  const planOf = (base: StudyBase, arms: readonly Arm[]): StudyPlan => ({
    name: "k",
    question: "How many?",
    axis: "K",
    arms: [...levels(base), ...arms],
  });
  const twoK = (base: StudyBase): StudyPlan =>
    planOf(
      base,
      [5, 10].flatMap((k) => bothPhases(base, k, { select: { k } })),
    );

  /** What must be the same however often a study is killed */
  const told = (studies: readonly StudyResults[]): unknown =>
    studies.map(({ arms }) =>
      arms.map(({ label, results }) => ({
        label,
        models: results.map((one) => one?.model),
        versions: results.map((one) => one?.version),
        accuracy: results.map((one) => one?.metrics.accuracy),
      })),
    );

  const signal = new AbortController().signal;
  const onFailed = (_: PlannedArm, error: SluiceError): never => {
    throw error;
  };
  const run = async (name: string, seeds: readonly number[], change: Partial<OpenStudiesOptions> = {}) => {
    const { world, base } = await open(name, change);
    const made: ArmDone[] = [];
    const onArm = (done: ArmDone): void => {
      made.push(done);
    };
    const studies = await runStudies(world, [twoK(base)], seeds, { signal, nowMs: Date.now, onArm, onFailed });
    return { studies, made, world, base };
  };

  test("killed between and within its models, it goes on and comes to the same; nothing is made twice", async () => {
    const whole = await run("whole", [1]);
    assert.equal(whole.made.length, 6);
    assert.deepEqual(
      whole.made.map(({ done, total }) => [done, total]),
      [1, 2, 3, 4, 5, 6].map((done) => [done, 6]),
    );
    const killed = new Error("killed");
    for (const at of ["train teacher", "score", "pre-train student", "fine-tune student"]) {
      let isHit = false;
      const dying = run("killed", [1], {
        onProgress: ({ phase, done }) => {
          if (isHit || phase !== at || (phase !== "score" && done < 4)) return;
          isHit = true;
          throw killed;
        },
      });
      // What it ends with depends on where it dies; that it was there does not.
      await assert.rejects(dying, at);
      assert.ok(isHit, at);
    }
    const resumed = await run("killed", [1]);
    assert.deepEqual(told(resumed.studies), told(whole.studies));
    const again = await run("killed", [1]);
    assert.deepEqual(again.made, []);
    assert.deepEqual(again.studies, resumed.studies);
  });

  test("what another study has made is not made again: its results, its teacher, its pre-trained student", async () => {
    const { base, world } = await run("whole", [1]);
    const models = (await readdir(join(folder, "whole", "models"))).length;
    const longer = fineTuned(base, pretrained(base, { select: { k: 10 } }), { steps: 9 });
    const arms = [{ label: "longer", series: "longer", x: 10, recipe: longer }];
    const made: string[] = [];
    await runStudies(world, [planOf(base, arms)], [1], {
      signal,
      nowMs: Date.now,
      onArm: ({ arm }) => made.push(arm.label),
      onFailed,
    });
    assert.deepEqual(made, ["longer"]);
    assert.equal((await readdir(join(folder, "whole", "models"))).length, models + 1);
  });

  test("an arm that cannot be made is told of, and the others are made", async () => {
    const { base, world } = await open("whole");
    const empty = pretrained(base, { select: { k: 10, floor: 0.999999 } });
    const longer = fineTuned(base, pretrained(base, { select: { k: 10 } }), { steps: 8 });
    const arms = [
      { label: "nobody is so sure", series: "a", x: 1, recipe: empty },
      { label: "others", series: "a", x: 2, recipe: longer },
    ];
    const [made, failed]: [string[], string[]] = [[], []];
    const studies = await runStudies(world, [planOf(base, arms)], [1], {
      signal,
      nowMs: Date.now,
      onArm: ({ arm }) => made.push(arm.label),
      onFailed: ({ label }, { code }) => failed.push(`${label}: ${code}`),
    });
    assert.deepEqual(made, ["others"]);
    assert.match(failed.join(), /^nobody is so sure: E_/);
    const results = studies[0]!.arms.filter(({ series }) => series === "a").map((arm) => arm.results[0] !== null);
    assert.deepEqual(results, [false, true]);
  });

  test("no version has a test or a labelled image, though the unlabelled ones show them", async () => {
    const { world, base } = await open("whole");
    const { recipe } = bothPhases(base, 10, {})[0]!;
    assert.ok(recipe.kind === "pre-trained");
    const { store, manifest } = await world.version(recipe.version, 1);
    const barred = new Set<string>();
    for (const path of [images.test, images.labelled])
      for (const { sha256 } of (await readLabelledSet(path, null, 1e6)).images) barred.add(sha256);
    let rows = 0;
    for await (const { sha256 } of readIndex(store, manifest)) {
      assert.ok(!barred.has(sha256), sha256);
      rows++;
    }
    assert.ok(rows > 50, `${rows}`);
  });

  test("mixing, probabilities as aims and students that teach each other make models of their own", async () => {
    const { world, base } = await open("whole");
    const digests = new Set<string>();
    for (const options of [{}, { mix: 0.5 }, { soften: 2 }, { salt: 1 }])
      digests.add((await world.model(pretrained(base, options), 1)).digest);
    assert.equal(digests.size, 4);
  });

  test("a test set that shares images with the labelled ones is refused before anything is trained", async () => {
    await assert.rejects(open("overlap", { test: images.labelled }), (error) =>
      isSluiceError(error, "E_TRAIN_OVERLAP"),
    );
  });
});
