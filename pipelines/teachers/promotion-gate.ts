import { loadTeacher } from "../../connectors/engine/teacher/teacher-files.js";
import type { Store } from "../../connectors/store/store.js";
import type { Config } from "../../schemas/config.js";
import type { DeclaredTeacher } from "../../schemas/declaration.js";
import { orNull, SluiceError } from "../../schemas/errors.js";
import type { Manifest } from "../../schemas/manifest.js";
import { teacherDigest } from "../../schemas/model-card.js";
import type { EvaluationRecord } from "../../schemas/model-record.js";
import type { OnProgress } from "../../schemas/progress.js";
import { namedTeacher, pathOf, publishingParts } from "../open/open-scoring.js";
import { judgeGate } from "../../operators/training/gate.js";
import { evaluateModel, type GateRule } from "../training/evaluate-model.js";
import { trainedModel } from "../training/train-once.js";
import { readManifest } from "../versions/versions.js";
import { storedModel, storeEvaluation } from "./stored-models.js";

export interface PromotionGateOptions {
  readonly config: Config;
  readonly store: Store;
  /** The teacher that the model is to take the place of */
  readonly stands: DeclaredTeacher | null;
  readonly model: string;
  readonly test: string | undefined;
  readonly labelled: string | undefined;
  /** Goes by no gate; what was found is still returned */
  readonly force: boolean;
  readonly rule: GateRule;
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
  readonly nowMs: () => number;
}

/**
 * Compares a model with the teacher that stands, or finds what was recorded of that. null: nothing was ever compared, and nobody minds.
 * Throws E_TEACHER_CHANGE where the gate does not pass, or was never tried.
 */
export async function promotionGate(options: PromotionGateOptions): Promise<EvaluationRecord | null> {
  const { store, stands, force } = options;
  const digest = teacherDigest((await loadTeacher(options.model)).card);
  if (stands === null || stands.digest === digest) return null;
  const evaluation =
    options.test === undefined ? await recorded(store, digest, stands, options.rule) : await evaluated(options, digest);
  if (force || evaluation?.verdict?.passes === true) return evaluation;
  throw new SluiceError(
    "E_TEACHER_CHANGE",
    evaluation === null
      ? `Expected that the model was compared with the teacher that stands, ${stands.name} (${stands.digest.slice(0, 12)}), found nothing on record. Give test images (--test <set>), or promote it all the same (--force).`
      : `Expected a model that passes the gate, found one that does not: ${evaluation.verdict?.reasons.join(" ") ?? ""} --force promotes it all the same.`,
    { evaluation },
  );
}

/** What was found before, judged by the rule that is asked for now. */
async function recorded(
  store: Store,
  digest: string,
  stands: DeclaredTeacher,
  rule: GateRule,
): Promise<EvaluationRecord | null> {
  const evaluation = (await storedModel(store, digest))?.evaluation ?? null;
  if (evaluation?.teacher?.digest !== stands.digest || evaluation.comparison === null) return null;
  const { comparison, labels, model, teacher } = evaluation;
  const { passes, reasons } = judgeGate({ comparison, labels, model: model.metrics, teacher: teacher.metrics }, rule);
  return { ...evaluation, rule: { ...rule }, verdict: { passes, reasons: [...reasons] } };
}

async function evaluated(options: PromotionGateOptions, digest: string): Promise<EvaluationRecord> {
  const { config, store, stands, test, labelled } = options;
  const evaluation = await evaluateModel({
    ...options,
    against: pathOf(await namedTeacher(config, stands, store)),
    test: test!,
    trainedOn: { labelled, version: await versionOf(options, digest) },
    engine: config.engine,
    decode: config.decode,
    decoder: publishingParts(config).decoder,
  });
  await storeEvaluation(store, evaluation);
  return evaluation;
}

/** The version that a student was pre-trained on, by the record of its training; undefined where it was on none, or that is gone. */
async function versionOf(
  { store, model }: PromotionGateOptions,
  digest: string,
): Promise<{ readonly store: Store; readonly manifest: Manifest } | undefined> {
  const training = (await storedModel(store, digest))?.training ?? (await trainedModel(model))?.record ?? null;
  const version = training?.inputs.version ?? null;
  if (version === null || training?.versionNumber == null) return undefined;
  const manifest = await orNull(readManifest(store, version.dataset, training.versionNumber), "E_VERSION_MISSING");
  return manifest?.id === version.id ? { store, manifest } : undefined;
}
