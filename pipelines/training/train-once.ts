import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { loadTeacher } from "../../connectors/engine/teacher/teacher-files.js";
import type { SkippedExample } from "../../operators/training/read-examples.js";
import { isSluiceError, orNull, type SluiceError } from "../../schemas/errors.js";
import { MODEL_CARD_FILE, teacherDigest, type ModelCard } from "../../schemas/model-card.js";
import {
  decodeRecord,
  encodeRecord,
  TRAINING_FILE,
  trainingDigest,
  trainingRecordSchema,
  type TrainingInputs,
  type TrainingRecord,
} from "../../schemas/model-record.js";
import { assertEveryClass, countsOf } from "./labelled-set.js";
import type { ModelTrainer, TrainingJob } from "./model-trainer.js";

export interface TrainOnceRun extends Pick<
  TrainingJob,
  "labelled" | "version" | "name" | "signal" | "onProgress" | "onNote"
> {
  readonly trainer: ModelTrainer;
  readonly inputs: Omit<
    TrainingInputs,
    "schemaVersion" | "trainer" | "configuration" | "version" | "labelled" | "labels"
  >;
  /** Becomes the trained model: its files, its card, its record. May go by the training's digest */
  readonly folder: string | ((digest: string) => string);
  readonly nowMs: () => number;
}

export interface TrainedModel {
  readonly folder: string;
  readonly card: ModelCard;
  readonly record: TrainingRecord;
  /** false: the folder holds that model already, and nothing was trained */
  readonly isNew: boolean;
  readonly skipped: readonly SkippedExample[];
}

/** What is unfinished lies beside the folder, so that a training which fails leaves the model that is there. */
export function unfinishedOf(folder: string): string {
  return `${folder}-unfinished`;
}

/**
 * Trains a model, unless the folder has what the same inputs give. Killed anywhere, it goes on where the trainer can. The record is written last:
 * with it the folder is a trained model. Throws what the trainer throws, E_TRAIN_DATA for a class without labelled images.
 */
export async function trainOnce(run: TrainOnceRun): Promise<TrainedModel> {
  const { trainer, labelled, version, nowMs } = run;
  assertEveryClass(labelled, countsOf(labelled));
  const inputs: TrainingInputs = {
    schemaVersion: 1,
    ...run.inputs,
    ...(await trainer.describe()),
    labels: [...labelled.labels],
    version:
      version === null
        ? null
        : { dataset: version.manifest.dataset, id: version.manifest.id, teacher: version.manifest.teacher.digest },
    labelled: labelled.digest,
  };
  const digest = trainingDigest(inputs);
  const folder = typeof run.folder === "string" ? run.folder : run.folder(digest);
  const standing = await trainedModel(folder);
  if (standing?.record.digest === digest) return { ...standing, isNew: false, skipped: labelled.skipped };
  const unfinished = await unfinishedFolder(folder, digest);
  const out = join(unfinished, "out");
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  const work = join(unfinished, "work");
  await mkdir(work, { recursive: true });
  const startedMs = nowMs();
  const { versionImages, skipped, told } = await trainer.train({ ...run, inputs, digest, work, out });
  const { card } = await loadTeacher(out);
  const record: TrainingRecord = {
    schemaVersion: 1,
    digest,
    inputs,
    model: teacherDigest(card),
    name: card.name,
    versionNumber: version?.manifest.number ?? null,
    labelledCounts: countsOf(labelled),
    versionImages,
    trainedAt: new Date(nowMs()).toISOString(),
    tookMs: nowMs() - startedMs,
    told,
  };
  await moveInto(out, folder);
  await writeWhole(join(folder, TRAINING_FILE), encodeRecord(record));
  await rm(unfinished, { recursive: true });
  return { folder, card, record, isNew: true, skipped: [...labelled.skipped, ...skipped] };
}

/** The model that a folder holds with the record of its training; null where there is none, or not that model any more. */
export async function trainedModel(folder: string): Promise<Pick<TrainedModel, "folder" | "card" | "record"> | null> {
  const path = join(folder, TRAINING_FILE);
  const bytes = await orNull(readFile(path), "ENOENT", "ENOTDIR");
  if (bytes === null) return null;
  const record = decodeRecord(trainingRecordSchema, bytes, path);
  const loaded = await orNull(loadTeacher(folder), "E_TEACHER_CARD", "E_TEACHER_WEIGHTS");
  if (loaded === null || teacherDigest(loaded.card) !== record.model) return null;
  return { folder, card: loaded.card, record };
}

/** What an interrupted training of the same inputs has left; emptied where it was one of others. */
async function unfinishedFolder(folder: string, digest: string): Promise<string> {
  const unfinished = unfinishedOf(folder);
  const path = join(unfinished, "inputs");
  const before = await orNull(readFile(path, "utf8"), "ENOENT");
  if (before !== digest) {
    await rm(unfinished, { recursive: true, force: true });
    await mkdir(unfinished, { recursive: true });
    await writeWhole(path, digest);
  }
  return unfinished;
}

/** The files of a finished model take the place of those of the one before. Repeated after a crash it comes to the same. */
async function moveInto(from: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const name of [TRAINING_FILE, MODEL_CARD_FILE]) await rm(join(folder, name), { force: true });
  const names = (await readdir(from)).filter((name) => name !== MODEL_CARD_FILE);
  for (const name of [...names, MODEL_CARD_FILE]) {
    await rm(join(folder, name), { recursive: true, force: true });
    await cp(join(from, name), join(folder, name), { recursive: true });
  }
}

export async function writeWhole(path: string, content: Uint8Array | string): Promise<void> {
  const partial = join(dirname(path), `.${basename(path)}.${process.pid}.partial`);
  await writeFile(partial, content);
  await rename(partial, path);
}

/** Whether a failure says that a model cannot be used, whatever of it. */
export function isUnusableModel(error: unknown): error is SluiceError {
  return isSluiceError(error) && /^E_(TEACHER|ENGINE|IMAGE)_/.test(error.code);
}
