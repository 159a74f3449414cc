import { join, resolve } from "node:path";
import { loadTeacher } from "../connectors/engine/teacher/teacher-files.js";
import type { SheetRenderer } from "../connectors/sheet/sheet.js";
import type { Decoder } from "../connectors/decoder/decoder.js";
import type { ImageOpener } from "../connectors/source/source.js";
import { getIfThere, type Store } from "../connectors/store/store.js";
import type { Config } from "../schemas/config.js";
import type { Dataset } from "../schemas/dataset.js";
import type { DeclaredTeacher } from "../schemas/declaration.js";
import { isSluiceError, SluiceError } from "../schemas/errors.js";
import { keys, loopPlace } from "../schemas/keys.js";
import { decodeLoopStep, encodeLoopStep, type LoopStep, type LoopStepName } from "../schemas/loop-step.js";
import type { ModelCard } from "../schemas/model-card.js";
import type { OnProgress } from "../schemas/progress.js";
import { fetchedModelFolder, namedTeacher, pathOf } from "./open/open-scoring.js";
import { rebuild } from "./rebuild.js";
import { bringIn, declarable } from "./teachers/bring-in.js";
import { streamTeachers } from "./teachers/change-teacher.js";
import { fetchModel, storedModel, storeEvaluation } from "./teachers/stored-models.js";
import { evaluateModel, type GateRule } from "./training/evaluate-model.js";
import { assertSameClasses } from "./training/class-places.js";
import { readLabelledSet } from "./training/labelled-set.js";
import type { ModelTrainer } from "./training/model-trainer.js";
import { joinSaid } from "./training/said-set.js";
import { assertTestApart } from "./training/test-images-apart.js";
import { studentView, type StudentInput } from "./training/train-student.js";
import { trainOnce } from "./training/train-once.js";
import { readManifest } from "./versions/versions.js";

export interface LoopOptions {
  readonly config: Config;
  readonly store: Store;
  readonly dataset: Dataset;
  /** Labelled images that students are fine-tuned on, and others that models are tested with */
  readonly labelled: string;
  readonly test: string;
  /** What trains a student that sees this; `folder`: where it will lie */
  readonly trainerFor: (view: Pick<ModelCard, "input">, folder: string) => ModelTrainer;
  readonly rule: GateRule;
  readonly seed: number;
  /** What students see */
  readonly input?: StudentInput | undefined;
  readonly decoder: Decoder;
  readonly opener: ImageOpener;
  readonly sheets: SheetRenderer | null;
  /** Is told of each step that is done, before the next one begins */
  readonly onStep?: ((generation: number, step: LoopStepName) => void | Promise<void>) | undefined;
  readonly onNote: (line: string) => void;
  readonly onWarning: (line: string) => void;
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
  readonly newId: () => string;
}

/** One round: what it was trained on, what came out, whether it is better, and who stands now. */
export interface Generation {
  readonly number: number;
  readonly version: LoopStep<"version">;
  readonly model: LoopStep<"model">;
  readonly verdict: LoopStep<"verdict">;
  readonly outcome: LoopStep<"outcome">;
}

/**
 * version -> pre-train -> fine-tune -> evaluate -> gate -> promote -> replay: the next generation of a dataset, or the one that was begun and
 * not finished. null where it would be trained from the very inputs of an earlier one. Throws what its steps throw; the same call goes on from
 * the step that failed.
 */
export async function nextGeneration(options: LoopOptions): Promise<Generation | null> {
  const { store, dataset } = options;
  const number = await unfinishedGeneration(store, dataset.name);
  const version = await step(options, number, "version", () => chooseVersion(options, number));
  if (version === null) return null;
  const model = await step(options, number, "model", () => trainStudent(options, version));
  if (model === null) return null;
  const verdict = await step(options, number, "verdict", () => judgeStudent(options, version, model));
  const outcome = await step(options, number, "outcome", () => settle(options, version, model, verdict!));
  return { number, version, model, verdict: verdict!, outcome: outcome! };
}

/** The finished generations of a dataset, the oldest first. Throws E_STORE_CORRUPT. */
export async function finishedGenerations(store: Store, dataset: string): Promise<Generation[]> {
  const generations: Generation[] = [];
  for (let number = 1; ; number++) {
    const [version, model, verdict, outcome] = [
      await readStep(store, dataset, number, "version"),
      await readStep(store, dataset, number, "model"),
      await readStep(store, dataset, number, "verdict"),
      await readStep(store, dataset, number, "outcome"),
    ];
    if (version === null || model === null || verdict === null || outcome === null) return generations;
    generations.push({ number, version, model, verdict, outcome });
  }
}

/** What a step came to: as it is recorded, or as `make` makes it now. null: it cannot be made yet. */
async function step<Name extends LoopStepName>(
  { store, dataset, onStep, nowMs }: LoopOptions,
  generation: number,
  name: Name,
  make: () => Promise<Omit<LoopStep<Name>, "at"> | null>,
): Promise<LoopStep<Name> | null> {
  const before = await readStep(store, dataset.name, generation, name);
  if (before !== null) return before;
  const made = await make();
  if (made === null) return null;
  const done = { ...made, at: new Date(nowMs()).toISOString() } as LoopStep<Name>;
  const key = keys.loopStep(dataset.name, generation, name);
  const outcome = await store.putIfAbsent(key, encodeLoopStep(done));
  await onStep?.(generation, name);
  // Another loop on this store was faster: what it says holds.
  return outcome === "created" ? done : readStep(store, dataset.name, generation, name);
}

async function readStep<Name extends LoopStepName>(
  store: Store,
  dataset: string,
  generation: number,
  name: Name,
): Promise<LoopStep<Name> | null> {
  const key = keys.loopStep(dataset, generation, name);
  const bytes = await getIfThere(store, key);
  return bytes === null ? null : decodeLoopStep(name, bytes, key);
}

async function unfinishedGeneration(store: Store, dataset: string): Promise<number> {
  let finished = 0;
  for await (const { key } of store.list(keys.loops(dataset))) {
    const place = loopPlace(key);
    if (place?.step === "outcome") finished = Math.max(finished, place.generation);
  }
  return finished + 1;
}

/** The newest version by the teacher that stands, from all that is archived now. */
async function chooseVersion(options: LoopOptions, number: number): Promise<Omit<LoopStep<"version">, "at"> | null> {
  const { store, config, dataset, nowMs, newId } = options;
  const { stands } = await streamTeachers(store, config.stream);
  if (stands === null) throw noTeacher(config.stream);
  const { manifest } = await rebuild({
    ...options,
    stream: config.stream,
    teacher: stands.digest,
    trigger: `loop, generation ${number}`,
    nowMs,
    newId,
  });
  const version = { dataset: dataset.name, number: manifest.number, id: manifest.id, teacher: stands.digest };
  // What would stop the generation stops it before it is recorded: the version may be made anew then, and images labelled otherwise.
  const run = await studentRun(options, version);
  await assertTrainable(options, run, version.teacher);
  const same = (await finishedGenerations(store, dataset.name)).filter((one) => one.version.id === version.id);
  if (same.length === 0) return version;
  // The labelled images may be others than then: only the digest of all inputs tells.
  const training = await inputsOf(run);
  return same.some((one) => one.model.training === training) ? null : version;
}

/** Throws E_TRAIN_OVERLAP where test images are trained on, E_TRAIN_DATA where a student would have other classes than its teacher. */
async function assertTrainable(options: LoopOptions, run: StudentRun, teacherDigest: string): Promise<void> {
  await assertTestApart(run.test, { labelled: run.labelled, version: run.version });
  const teacher = await loadTeacher(await teacherPath(options, teacherDigest));
  assertSameClasses(run.labelled.labels, teacher.card);
}

/** The digest of what a training of this version would be made from: a trainer that stops before it begins. */
async function inputsOf(run: StudentRun): Promise<string> {
  let digest = "";
  const known = new SluiceError("E_CANCELLED", "Only the digest was asked for.");
  const asked = trainOnce({
    ...run,
    folder: (found) => {
      digest = found;
      throw known;
    },
  });
  await asked.catch((error: unknown) => {
    if (error !== known) throw error;
  });
  return digest;
}

type StudentRun = Awaited<ReturnType<typeof studentRun>>;

async function studentRun(options: LoopOptions, version: Omit<LoopStep<"version">, "at">) {
  const { store, config, trainerFor, seed, signal, onProgress, onNote, nowMs } = options;
  const manifest = await readManifest(store, version.dataset, version.number);
  const { input, resize, labels, teacher } = await studentView(store, manifest, options.input);
  const { maxBytes } = config.decode;
  const test = await readLabelledSet(options.test, labels, maxBytes);
  // What people said of images in the stream joins the labelled ones: more of it is another training.
  const labelled = await joinSaid(await readLabelledSet(options.labelled, labels, maxBytes), {
    store,
    manifest,
    teacher,
    test,
    from: options,
  });
  const folder = resolve(config.data, "trainings");
  return {
    trainer: trainerFor({ input }, join(folder, "student")),
    inputs: { input, resize, seed },
    folder: (digest: string) => join(folder, digest),
    labelled,
    test,
    version: { store, manifest },
    name: `student of ${version.dataset}/${version.number}`,
    signal,
    onProgress,
    onNote,
    nowMs,
  };
}

/** Pre-trains and fine-tunes, unless that was done already; the model goes into the store. */
async function trainStudent(
  options: LoopOptions,
  version: LoopStep<"version">,
): Promise<Omit<LoopStep<"model">, "at">> {
  const run = await studentRun(options, version);
  // Images may have been labelled since the version was chosen: before hours of training, not behind them.
  await assertTestApart(run.test, { labelled: run.labelled, version: run.version });
  const { folder, record, card } = await trainOnce(run);
  const { digest } = await declarable(options, folder, record);
  return { training: record.digest, model: digest, name: card.name };
}

async function judgeStudent(
  options: LoopOptions,
  version: LoopStep<"version">,
  model: LoopStep<"model">,
): Promise<Omit<LoopStep<"verdict">, "at">> {
  const { store, config } = options;
  const manifest = await readManifest(store, version.dataset, version.number);
  const evaluation = await evaluateModel({
    ...options,
    model: await modelFolder(options, model.model),
    against: await teacherPath(options, version.teacher),
    trainedOn: { labelled: options.labelled, version: { store, manifest } },
    engine: config.engine,
    decode: config.decode,
  });
  await storeEvaluation(store, evaluation);
  const { comparison, verdict, teacher } = evaluation;
  return {
    ...verdict!,
    accuracy: evaluation.model.metrics.accuracy,
    teacherAccuracy: teacher!.metrics.accuracy,
    low: comparison!.interval.low,
    high: comparison!.interval.high,
    p: comparison!.p,
  };
}

/** Promotes what passes, and waits until it stands. */
async function settle(
  options: LoopOptions,
  version: LoopStep<"version">,
  { model, name }: LoopStep<"model">,
  { passes, reasons }: LoopStep<"verdict">,
): Promise<Omit<LoopStep<"outcome">, "at">> {
  if (!passes) {
    options.onNote(`${name} does not pass the gate, and the teacher stays. ${reasons.join(" ")}`);
    return { promoted: false, teacher: version.teacher };
  }
  const path = await modelFolder(options, model);
  const next: DeclaredTeacher = { path, digest: model, name };
  try {
    await bringIn({ ...options, wait: true, over: version.teacher, by: "sluice loop" }, next);
    return { promoted: true, teacher: model };
  } catch (error) {
    if (!isSluiceError(error, "E_TEACHER_CHANGE")) throw error;
    const now = await streamTeachers(options.store, options.config.stream);
    // Another change is under way: the same command goes on once that is over.
    if (now.stands === null || now.next !== null) throw error;
    // Somebody has taken it back, or put another teacher there meanwhile. The loop does not undo what a person did.
    options.onNote(`${name} does not take over. ${error.message}`);
    return { promoted: false, teacher: now.stands.digest };
  }
}

function modelFolder({ store, config }: LoopOptions, digest: string): Promise<string> {
  return fetchModel(store, digest, fetchedModelFolder(config.data, digest));
}

/** The version's teacher, where it lies on this machine. */
async function teacherPath(options: LoopOptions, digest: string): Promise<string> {
  const { store, config } = options;
  if ((await storedModel(store, digest)) !== null) return modelFolder(options, digest);
  const { stands, former } = await streamTeachers(store, config.stream);
  const declared = [stands, ...former].find((one) => one?.digest === digest) ?? null;
  if (declared === null) throw noTeacher(config.stream);
  return pathOf(await namedTeacher(config, declared, store));
}

function noTeacher(stream: string): SluiceError {
  return new SluiceError(
    "E_TEACHER_CHANGE",
    `Expected a teacher that stands on stream ${stream}, found none. The first one is declared by \`sluice ingest photographs/ --teacher model.onnx\`.`,
  );
}
