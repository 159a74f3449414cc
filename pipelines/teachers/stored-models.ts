import { createHash, type Hash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { isDeepStrictEqual } from "node:util";
import type { TeacherFiles } from "../../connectors/engine/engine.js";
import { loadTeacher, writeCard } from "../../connectors/engine/teacher/teacher-files.js";
import { getIfThere, type Store } from "../../connectors/store/store.js";
import { orNull, SluiceError } from "../../schemas/errors.js";
import { keys, modelPlace } from "../../schemas/keys.js";
import { modelCardSchema, teacherDigest, type ModelCard } from "../../schemas/model-card.js";
import {
  decodeRecord,
  encodeRecord,
  evaluationSchema,
  trainingRecordSchema,
  type EvaluationRecord,
  type TrainingRecord,
} from "../../schemas/model-record.js";
import { openSealedJson, sealJson } from "../../schemas/sealed-json.js";

/** A model that lies in the store, with what is known of it. */
export interface StoredModel {
  readonly digest: string;
  readonly card: ModelCard;
  /** null where it was trained elsewhere */
  readonly training: TrainingRecord | null;
  /** The newest; null where it was never compared */
  readonly evaluation: EvaluationRecord | null;
}

/** Puts a model into the store, its card last: what has a card there can be fetched. Returns its digest. */
export async function storeModel(
  store: Store,
  { card, folder }: TeacherFiles,
  training: TrainingRecord | null,
): Promise<string> {
  const digest = teacherDigest(card);
  if (training !== null) await store.putIfAbsent(keys.modelTraining(digest), encodeRecord(training));
  if ((await store.head(keys.modelCard(digest))) !== null) return digest;
  for (const [place, { path, sha256 }] of card.weights.files.entries()) {
    const hash = createHash("sha256");
    await store.putStream(keys.modelFile(digest, place), hashed(createReadStream(join(folder, path)), hash));
    const found = hash.digest("hex");
    if (found === sha256) continue;
    throw new SluiceError(
      "E_TEACHER_WEIGHTS",
      `Expected SHA-256 ${sha256} of ${join(folder, path)}, as the card has it, found ${found}: it has changed since it was looked at. Try again.`,
      { path },
    );
  }
  await store.putIfAbsent(keys.modelCard(digest), sealJson(card));
  return digest;
}

async function* hashed(chunks: AsyncIterable<Buffer>, hash: Hash): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}

/** Adds an evaluation to a model's, unless the newest says the same. */
export async function storeEvaluation(store: Store, evaluation: EvaluationRecord): Promise<void> {
  const { digest } = evaluation.model;
  for (;;) {
    const newest = await newestNumber(store, digest);
    const key = keys.modelEvaluation(digest, newest);
    const before = newest === 0 ? null : decodeRecord(evaluationSchema, await store.get(key), key);
    if (isDeepStrictEqual({ ...before, evaluatedAt: "" }, { ...evaluation, evaluatedAt: "" })) return;
    const bytes = encodeRecord(evaluation);
    if ((await store.putIfAbsent(keys.modelEvaluation(digest, newest + 1), bytes)) === "created") return;
  }
}

/** A stored model's files in a folder, as a teacher is loaded. Throws E_TEACHER_CARD where the store has none. */
export async function fetchModel(store: Store, digest: string, folder: string): Promise<string> {
  const there = await orNull(loadTeacher(folder), "E_TEACHER_CARD", "E_TEACHER_WEIGHTS");
  if (there !== null && teacherDigest(there.card) === digest) return folder;
  const card = await storedCard(store, digest);
  if (card === null) {
    throw new SluiceError(
      "E_TEACHER_CARD",
      `Expected model ${digest.slice(0, 12)} in ${store.place}, found none there.`,
      {
        digest,
      },
    );
  }
  const partial = `${folder}.${process.pid}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  for (const [place, { path }] of card.weights.files.entries()) {
    await mkdir(dirname(join(partial, path)), { recursive: true });
    const chunks = Readable.from(store.getStream(keys.modelFile(digest, place)));
    await pipeline(chunks, createWriteStream(join(partial, path)));
  }
  await writeCard(partial, card);
  await loadTeacher(partial);
  await rm(folder, { recursive: true, force: true });
  await rename(partial, folder);
  return folder;
}

/** All stored models, by digest. Throws E_STORE_CORRUPT. */
export async function storedModels(store: Store): Promise<Map<string, StoredModel>> {
  const models = new Map<string, StoredModel>();
  for await (const { key } of store.list(keys.models)) {
    const digest = modelPlace(key);
    const model = digest === null ? null : await storedModel(store, digest);
    if (model !== null) models.set(model.digest, model);
  }
  return models;
}

export async function storedModel(store: Store, digest: string): Promise<StoredModel | null> {
  const card = await storedCard(store, digest);
  if (card === null) return null;
  const key = keys.modelTraining(digest);
  const training = await getIfThere(store, key);
  const newest = await newestNumber(store, digest);
  const evaluation = keys.modelEvaluation(digest, newest);
  return {
    digest,
    card,
    training: training === null ? null : decodeRecord(trainingRecordSchema, training, key),
    evaluation: newest === 0 ? null : decodeRecord(evaluationSchema, await store.get(evaluation), evaluation),
  };
}

async function storedCard(store: Store, digest: string): Promise<ModelCard | null> {
  const key = keys.modelCard(digest);
  const bytes = await getIfThere(store, key);
  if (bytes === null) return null;
  try {
    return modelCardSchema.parse(openSealedJson(bytes));
  } catch (cause) {
    throw new SluiceError(
      "E_STORE_CORRUPT",
      `Expected a model card at ${key}, found something else. Restore it from a copy.`,
      {
        cause,
        key,
      },
    );
  }
}

/** 0 where there is none */
async function newestNumber(store: Store, digest: string): Promise<number> {
  let newest = 0;
  for await (const { key } of store.list(keys.modelEvaluations(digest))) {
    newest = Math.max(newest, Number(/(\d{20})\.json$/.exec(key)?.[1] ?? 0));
  }
  return newest;
}
