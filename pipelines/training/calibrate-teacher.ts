import { counted } from "../../schemas/counted.js";
import { extname, join } from "node:path";
import type { Decoder } from "../../connectors/decoder/decoder.js";
import { openEngine } from "../../connectors/engine/open.js";
import { cardPathBeside, loadTeacher, writeCardAt } from "../../connectors/engine/teacher/teacher-files.js";
import { predictedClasses } from "../../operators/training/evaluation.js";
import {
  calibrationAt,
  fitTemperature,
  TEMPERATURE_RANGE,
  type Calibration,
} from "../../operators/training/temperature.js";
import type { SkippedExample } from "../../operators/training/read-examples.js";
import type { DecodeConfig, EngineConfig } from "../../schemas/config.js";
import { SluiceError } from "../../schemas/errors.js";
import { isMultiLabel, teacherDigest, type ModelCard } from "../../schemas/model-card.js";
import type { OnProgress } from "../../schemas/progress.js";
import { openLabelledCsv } from "./labelled-csv.js";
import { openLabelledFolder } from "./labelled-folder.js";
import { scoreExamples } from "./score-examples.js";
import { NOTHING_SCORED } from "../train.js";

export interface CalibrateRun {
  readonly teacher: string;
  /** `<folder>/<class name>/…`, or a .csv of `path,label` */
  readonly labelled: string;
  /** Whether the card gets the temperature */
  readonly write: boolean;
  readonly engine: EngineConfig;
  readonly decode: DecodeConfig;
  readonly decoder: Decoder;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
}

export interface CalibratedTeacher {
  readonly card: ModelCard;
  readonly cardPath: string;
  readonly count: number;
  /** Share of images whose class is the best one; no temperature changes it */
  readonly accuracy: number;
  readonly before: Calibration;
  readonly after: Calibration;
  /** The teacher's digests under both temperatures: another temperature is another teacher */
  readonly digests: { readonly before: string; readonly after: string };
  readonly skipped: readonly SkippedExample[];
  /** Why the outcome should not be trusted, or null */
  readonly warning: string | null;
}

/** Fewer images than this say nothing; fewer than the second, little. */
const LEAST_IMAGES = 10;
const FEW_IMAGES = 200;
/** Digits of the temperature in the card: more would be noise */
const DIGITS = 4;

/**
 * Fits the temperature of a teacher on labelled images that it was not trained on, by their likelihood. Throws E_TRAIN_DATA, E_CANCELLED, E_IMAGE_SCORES,
 * and what loading a teacher and an engine throws.
 */
export async function calibrateTeacher(run: CalibrateRun): Promise<CalibratedTeacher> {
  const teacher = await loadTeacher(run.teacher);
  const { card } = teacher;
  if (isMultiLabel(card)) {
    throw new SluiceError(
      "E_TEACHER_CARD",
      `Expected a teacher whose classes exclude each other, found output.kind ${card.output.kind} in the card of ${card.name}: a temperature is fitted on images that show one class. Its probabilities stay as the model gives them.`,
      { kind: card.output.kind },
    );
  }
  const set =
    extname(run.labelled).toLowerCase() === ".csv"
      ? await openLabelledCsv(run.labelled)
      : await openLabelledFolder(run.labelled);
  const engine = await openEngine(teacher, run.engine);
  const rows: Float32Array[] = [];
  const truth: number[] = [];
  const skipped: SkippedExample[] = [];
  try {
    const examples = set.examples(card.labels, run.decode.maxBytes);
    for await (const scored of scoreExamples(examples, { ...run, engine, card })) {
      if ("skipped" in scored) skipped.push(scored.skipped);
      else {
        rows.push(scored.logits);
        truth.push(scored.example.label);
      }
      run.onProgress?.({
        ...NOTHING_SCORED,
        phase: "score labelled images",
        done: rows.length + skipped.length,
        total: null,
      });
    }
  } finally {
    await engine.close();
  }
  if (rows.length < LEAST_IMAGES) {
    throw new SluiceError(
      "E_TRAIN_DATA",
      `Expected at least ${LEAST_IMAGES} labelled images in ${run.labelled}, found ${rows.length} that can be used${skipped[0] === undefined ? "" : ` (${skipped.length} cannot: ${skipped[0].reason})`}.`,
      { found: rows.length, skipped: skipped.length },
    );
  }
  const classes = card.labels.length;
  const logits = new Float32Array(rows.length * classes);
  rows.forEach((row, at) => {
    logits.set(row, at * classes);
  });
  const labels = Int32Array.from(truth);
  const temperature = Number(fitTemperature(logits, labels, classes).toPrecision(DIGITS));
  const calibrated = { ...card, temperature };
  const cardPath = teacher.cardPath ?? cardPathBeside(join(teacher.folder, card.weights.files[0]!.path));
  if (run.write) await writeCardAt(cardPath, calibrated);
  const predicted = predictedClasses(logits, classes);
  return {
    card: calibrated,
    cardPath,
    count: rows.length,
    accuracy: labels.filter((label, at) => predicted[at] === label).length / labels.length,
    before: calibrationAt(logits, labels, classes, card.temperature),
    after: calibrationAt(logits, labels, classes, temperature),
    digests: { before: teacherDigest(card), after: teacherDigest(calibrated) },
    skipped,
    warning: warningFor(temperature, rows.length),
  };
}

function warningFor(temperature: number, count: number): string | null {
  const { least, most } = TEMPERATURE_RANGE;
  if (temperature <= least * 1.01) {
    return `The temperature is the least that is fitted: the teacher is right on nearly all of these images. Were they in its training set? Use others.`;
  }
  if (temperature >= most * 0.99) {
    return `The temperature is the greatest that is fitted: the teacher's scores say nothing of these labels. Are the labels in the order of its outputs?`;
  }
  return count < FEW_IMAGES
    ? `Only ${counted(count, "image")}: the temperature is rough. A few hundred are better.`
    : null;
}
