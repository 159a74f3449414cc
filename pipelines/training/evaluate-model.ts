import type { Store } from "../../connectors/store/store.js";
import type { Decoder } from "../../connectors/decoder/decoder.js";
import { openEngine } from "../../connectors/engine/open.js";
import { loadTeacher, type LoadedTeacher } from "../../connectors/engine/teacher/teacher-files.js";
import { evaluatePredictions, predictedClasses, tailRecall } from "../../operators/training/evaluation.js";
import { judgeGate, type GateRule } from "../../operators/training/gate.js";
import { comparePaired, wilsonInterval } from "../../operators/training/paired-comparison.js";
import { calibrationAt } from "../../operators/training/temperature.js";
import type { DecodeConfig, EngineConfig } from "../../schemas/config.js";
import { SluiceError } from "../../schemas/errors.js";
import type { Manifest } from "../../schemas/manifest.js";
import { teacherDigest, type ModelCard } from "../../schemas/model-card.js";
import type { EvaluationRecord, ModelMetrics } from "../../schemas/model-record.js";
import type { OnProgress } from "../../schemas/progress.js";
import { NOTHING_SCORED } from "../train.js";
import { classPlaces } from "./class-places.js";
import { countsOf, examplesOf, onceEach, readLabelledSet, type LabelledSet } from "./labelled-set.js";
import { scoreExamples } from "./score-examples.js";
import { assertTestApart } from "./test-images-apart.js";

export type { GateRule } from "../../operators/training/gate.js";

export interface EvaluateRun {
  /** A model with its card */
  readonly model: string;
  /** What it is compared with, on the same images; absent: nothing */
  readonly against?: string | undefined;
  /** Labelled images: a folder, or a .csv of `path,label` */
  readonly test: string;
  /** What no image of `test` may be in. `labelled`, of the same form, also says which classes are the tail */
  readonly trainedOn?: {
    readonly labelled?: string | undefined;
    readonly version?: { readonly store: Store; readonly manifest: Manifest } | undefined;
  };
  readonly rule: GateRule;
  readonly engine: EngineConfig;
  readonly decode: DecodeConfig;
  readonly decoder: Decoder;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly nowMs: () => number;
}

/** Of the bootstrap: an evaluation of the same answers gives the same interval */
const BOOTSTRAP_SEED = 1;

/**
 * Scores test images with a model and with its teacher, compares them image by image, and judges. Throws E_TRAIN_DATA, E_TRAIN_OVERLAP,
 * E_CANCELLED, and what loading a teacher and an engine throws.
 */
export async function evaluateModel(run: EvaluateRun): Promise<EvaluationRecord> {
  const model = await loadTeacher(run.model);
  const teacher = run.against === undefined ? null : await loadTeacher(run.against);
  const { labels } = (teacher ?? model).card;
  const test = onceEach(await readLabelledSet(run.test, labels, run.decode.maxBytes));
  const { labelled: labelledPath, version } = run.trainedOn ?? {};
  const labelled =
    labelledPath === undefined ? undefined : await readLabelledSet(labelledPath, labels, run.decode.maxBytes);
  await assertTestApart(test, { labelled, version });
  const trainingCounts = labelled && countsOf(labelled);
  const scored = await scoreAll(run, model, test, labels, "score test images");
  const other = teacher === null ? null : await scoreAll(run, teacher, test, labels, "score with the teacher");
  // Images that either cannot read are left out of both: the comparison is paired.
  const rows = [...test.images.keys()].filter((row) => scored[row] != null && (other === null || other[row] != null));
  if (rows.length === 0) {
    throw new SluiceError("E_TRAIN_DATA", `Expected test images in ${test.path} that can be used, found none.`);
  }
  const truth = Int32Array.from(rows, (row) => test.images[row]!.label);
  const measured = (card: ModelCard, logits: readonly (Float32Array | null)[]): Measured =>
    measure(card, labels, gather(logits, rows, labels.length), truth, { ...run, trainingCounts });
  const own = measured(model.card, scored);
  const its = teacher === null || other === null ? null : measured(teacher.card, other);
  const comparison =
    its === null
      ? null
      : comparePaired(own.right, its.right, { confidence: run.rule.confidence, seed: BOOTSTRAP_SEED });
  return {
    schemaVersion: 1,
    labels: [...labels],
    test: {
      digest: test.digest,
      images: rows.length,
      skipped: test.skipped.length + test.images.length - rows.length,
    },
    model: { digest: teacherDigest(model.card), name: model.card.name, metrics: own.metrics },
    teacher:
      teacher === null || its === null
        ? null
        : { digest: teacherDigest(teacher.card), name: teacher.card.name, metrics: its.metrics },
    comparison,
    rule: { ...run.rule },
    verdict:
      comparison === null || its === null
        ? null
        : copyOf(judgeGate({ comparison, model: own.metrics, teacher: its.metrics, labels }, run.rule)),
    evaluatedAt: new Date(run.nowMs()).toISOString(),
  };
}

interface Measured {
  readonly metrics: ModelMetrics;
  readonly right: readonly boolean[];
}

function measure(
  card: ModelCard,
  labels: readonly string[],
  logits: Float32Array,
  truth: Int32Array,
  { rule, trainingCounts }: Pick<EvaluateRun, "rule"> & { readonly trainingCounts: readonly number[] | undefined },
): Measured {
  const classes = labels.length;
  const predicted = predictedClasses(logits, classes);
  const evaluation = evaluatePredictions(predicted, truth, classes);
  const { nll, ece } = calibrationAt(logits, truth, classes, card.temperature);
  const right = Array.from(truth, (label, at) => predicted[at] === label);
  const { confidence } = rule;
  return {
    right,
    metrics: {
      count: evaluation.count,
      accuracy: evaluation.accuracy,
      interval: { ...wilsonInterval(right.filter(Boolean).length, truth.length, confidence), confidence },
      meanRecall: evaluation.meanRecall,
      tailRecall: trainingCounts === undefined ? null : tailRecall(evaluation, trainingCounts),
      recall: [...evaluation.recall],
      confusion: labels.map((_, row) => [...evaluation.confusion.subarray(row * classes, (row + 1) * classes)]),
      nll,
      ece,
    },
  };
}

/** Logits of every test image, in the order of `labels`; null for one that cannot be used. */
async function scoreAll(
  run: EvaluateRun,
  teacher: LoadedTeacher,
  test: LabelledSet,
  labels: readonly string[],
  phase: string,
): Promise<(Float32Array | null)[]> {
  const { card } = teacher;
  const places = classPlaces(card, labels);
  const engine = await openEngine(teacher, { ...run.engine, workers: run.engine.workers ?? 1 });
  const logits: (Float32Array | null)[] = [];
  try {
    for await (const scored of scoreExamples(examplesOf(test.images), { ...run, engine, card })) {
      logits.push("skipped" in scored ? null : Float32Array.from(places, (place) => scored.logits[place]!));
      run.onProgress?.({ ...NOTHING_SCORED, phase, done: logits.length, total: test.images.length });
    }
  } finally {
    await engine.close();
  }
  return logits;
}

function gather(logits: readonly (Float32Array | null)[], rows: readonly number[], classes: number): Float32Array {
  const all = new Float32Array(rows.length * classes);
  rows.forEach((row, at) => {
    all.set(logits[row]!, at * classes);
  });
  return all;
}

function copyOf({ passes, reasons }: { readonly passes: boolean; readonly reasons: readonly string[] }): {
  passes: boolean;
  reasons: string[];
} {
  return { passes, reasons: [...reasons] };
}
