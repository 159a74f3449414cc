import { join } from "node:path";
import { openStore } from "../../pipelines/open/workspace.js";
import { storeEvaluation, storeModel } from "../../pipelines/teachers/stored-models.js";
import { streamTeachers } from "../../pipelines/teachers/change-teacher.js";
import { readManifest } from "../../pipelines/versions/versions.js";
import { keys } from "../../schemas/keys.js";
import { encodeLoopStep } from "../../schemas/loop-step.js";
import type { CardCheck } from "../../schemas/model-card.js";
import { trainingDigest, type EvaluationRecord, type TrainingInputs } from "../../schemas/model-record.js";
import { writeSmallTeacher } from "../fixtures/models.js";

const CLASSES = 10;
const A_CLASS = 40;
const SHA = "ab".repeat(32);

/** So many images a class are right, the others taken for the next class. */
function metricsOf(right: number): EvaluationRecord["model"]["metrics"] {
  const accuracy = right / A_CLASS;
  return {
    count: CLASSES * A_CLASS,
    accuracy,
    interval: { low: accuracy - 0.03, high: accuracy + 0.03, confidence: 0.95 },
    meanRecall: accuracy,
    tailRecall: accuracy - 0.02,
    recall: new Array<number>(CLASSES).fill(accuracy),
    confusion: Array.from({ length: CLASSES }, (_, truth) =>
      Array.from({ length: CLASSES }, (_, taken) =>
        taken === truth ? right : taken === (truth + 1) % CLASSES ? A_CLASS - right : 0,
      ),
    ),
    nll: 0.4,
    ece: 0.03,
  };
}

/** What `teacher add --on` wrote into its card. */
export const CHECKED: CardCheck = {
  images: 400,
  accuracy: 0.8125,
  chance: 0.1,
  readings: [
    { name: "imagenet", accuracy: 0.4175 },
    { name: "symmetric", accuracy: null },
  ],
};

/** Puts a student of version 1 of `flowers` into a data folder's store, better than the teacher that stands, and the loop's round that made it. Returns its digest. */
export async function putStudent(folder: string, passes = true): Promise<string> {
  const made = await writeSmallTeacher(join(folder, passes ? "student" : "worse"), "onnx", { seed: passes ? 77 : 78 });
  const card = { ...made.card, checked: CHECKED };
  const store = await openStore({ data: join(folder, "sluice-data") });
  const { stands } = await streamTeachers(store, "images");
  const version = await readManifest(store, "flowers", 1);
  const inputs: TrainingInputs = {
    schemaVersion: 1,
    trainer: { name: "test" },
    version: { dataset: "flowers", id: version.id, teacher: stands!.digest },
    labelled: SHA,
    labels: [...card.labels],
    input: card.input,
    resize: card.resize,
    configuration: {},
    seed: 1,
  };
  const training = trainingDigest(inputs);
  const at = "2026-03-01T10:00:00.000Z";
  const digest = await storeModel(
    store,
    { card, folder: join(folder, passes ? "student" : "worse") },
    {
      schemaVersion: 1,
      digest: training,
      inputs,
      model: SHA,
      name: card.name,
      versionNumber: 1,
      labelledCounts: new Array<number>(CLASSES).fill(12),
      versionImages: version.totals.images,
      trainedAt: at,
      tookMs: 1000,
      told: {},
    },
  );
  const [own, its] = [metricsOf(passes ? 36 : 30), metricsOf(33)];
  const difference = own.accuracy - its.accuracy;
  const interval = { low: difference - 0.03, high: difference + 0.03, confidence: 0.95 };
  const reasons = passes ? ["It is better on 400 images."] : ["Its accuracy is lower by 0.075."];
  await storeEvaluation(store, {
    schemaVersion: 1,
    labels: [...card.labels],
    test: { digest: SHA, images: CLASSES * A_CLASS, skipped: 0 },
    model: { digest, name: card.name, metrics: own },
    teacher: { digest: stands!.digest, name: stands!.name, metrics: its },
    comparison: { count: CLASSES * A_CLASS, gained: 40, lost: 10, difference, interval, p: 0.001 },
    rule: { confidence: 0.95, mostClassDrop: 0.1 },
    verdict: { passes, reasons },
    evaluatedAt: at,
  });
  const told = { at };
  const put = async (name: Parameters<typeof keys.loopStep>[2], bytes: Uint8Array): Promise<void> => {
    await store.put(keys.loopStep("flowers", passes ? 2 : 1, name), bytes);
  };
  const { number, id } = version;
  await put("version", encodeLoopStep<"version">({ ...told, dataset: "flowers", number, id, teacher: stands!.digest }));
  await put("model", encodeLoopStep<"model">({ ...told, training, model: digest, name: card.name }));
  const { low, high } = interval;
  const verdict = { passes, reasons, accuracy: own.accuracy, teacherAccuracy: its.accuracy, low, high, p: 0.001 };
  await put("verdict", encodeLoopStep<"verdict">({ ...told, ...verdict }));
  await put("outcome", encodeLoopStep<"outcome">({ ...told, promoted: false, teacher: stands!.digest }));
  await store.close();
  return digest;
}
