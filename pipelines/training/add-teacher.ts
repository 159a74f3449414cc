import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Decoder } from "../../connectors/decoder/decoder.js";
import type { Engine } from "../../connectors/engine/engine.js";
import { identifyModel, type FoundModel } from "../../connectors/engine/teacher/identify-model.js";
import { inferCard, type CardChoices, type InferredTeacher } from "../../connectors/engine/teacher/infer-card.js";
import { openEngine } from "../../connectors/engine/open.js";
import { cardPathBeside, isCard, writeCardAt } from "../../connectors/engine/teacher/teacher-files.js";
import { openFolderSource } from "../../connectors/source/folder.js";
import { openUri } from "../../connectors/source/open-uri.js";
import { SeededRandom } from "../../operators/training/seeded-random.js";
import type { EncodedExample, SkippedExample } from "../../operators/training/read-examples.js";
import type { DecodeConfig, EngineConfig } from "../../schemas/config.js";
import { SluiceError } from "../../schemas/errors.js";
import { isMultiLabel, MODEL_CARD_FILE, type CardCheck, type ModelCard } from "../../schemas/model-card.js";
import { pixelBytes } from "../../schemas/pixels.js";
import type { OnProgress } from "../../schemas/progress.js";
import type { EngineInfo } from "../../schemas/segment.js";
import { checkReadings, type ReadingsCheck } from "./check-readings.js";
import { assertTelling, scoreExamples } from "./score-examples.js";

export type { CardChoices } from "../../connectors/engine/teacher/infer-card.js";
export { readLabelFile } from "../../connectors/engine/teacher/label-file.js";

export interface AddTeacherRun {
  readonly model: string;
  readonly choices: CardChoices;
  /** Whether a card that is there may be written anew */
  readonly overwrite: boolean;
  readonly engine: EngineConfig;
  readonly decode: DecodeConfig;
  readonly decoder: Decoder;
  /** A folder of images to try it on, and how many of them */
  readonly tryOn?: { readonly folder: string; readonly count: number } | undefined;
  /** Labelled images that tell what the model's files leave open, how many of them, and whether the reading that is right most often is taken */
  readonly checkOn?: { readonly labelled: string; readonly count: number; readonly takeBest: boolean } | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What the teacher says of one image: its best classes, best first. */
export interface TriedImage {
  readonly uri: string;
  readonly best: readonly { readonly label: string; readonly probability: number }[];
}

export interface AddedTeacher {
  readonly card: ModelCard;
  readonly cardPath: string;
  readonly assumptions: readonly string[];
  /** Whether the card was written: not where labelled images speak against it */
  readonly written: boolean;
  readonly check: ReadingsCheck | null;
  /** null where the card was not written */
  readonly engine: EngineInfo | null;
  readonly tried: readonly TriedImage[];
  readonly skipped: readonly SkippedExample[];
}

/** Classes shown of an image */
const BEST = 3;

/**
 * Inspects a model, infers its card or takes what is said, runs it on images (or on noise), and writes the card once all that went well.
 * Throws E_TEACHER_CARD (also where a card is there), E_TEACHER_LABELS, E_TEACHER_WEIGHTS, E_ENGINE_…, E_IMAGE_SCORES for scores that tell nothing, E_SOURCE_READ
 * where no image can be tried.
 */
export async function addTeacher(run: AddTeacherRun): Promise<AddedTeacher> {
  const model = await identifyModel(run.model);
  const cardPath = await placeOfCard(model);
  if (existsSync(cardPath) && !run.overwrite) {
    throw new SluiceError(
      "E_TEACHER_CARD",
      `Expected no card yet for ${run.model}, found ${cardPath}. Edit it, or write it anew with --overwrite.`,
      { path: cardPath },
    );
  }
  const { inferred, check, written } = await checked(run);
  const { folder, assumptions } = inferred;
  const card = check === null ? inferred.card : { ...inferred.card, checked: cardCheck(check, run) };
  if (!written) return { card, cardPath, assumptions, written, check, engine: null, tried: [], skipped: [] };
  const engine = await openEngine({ card, folder }, { ...run.engine, workers: run.engine.workers ?? 1 });
  try {
    const { tried, skipped } =
      run.tryOn === undefined
        ? { tried: await tryNoise(engine, card), skipped: [] }
        : await tryImages(engine, card, run);
    await writeCardAt(cardPath, card);
    return { card, cardPath, assumptions, written, check, engine: engine.info, tried, skipped };
  } finally {
    await engine.close();
  }
}

/** What of a check the card keeps: how right it is as it is read, and by other readings. */
function cardCheck({ images, accuracy, chance, questions }: ReadingsCheck, { checkOn }: AddTeacherRun): CardCheck {
  const readings = questions.flatMap((question) => question.readings);
  const taken = checkOn?.takeBest === true ? accuracy.best : (accuracy.assumed ?? accuracy.best);
  return {
    images,
    accuracy: taken,
    chance,
    readings: readings.map(({ name, accuracy: right }) => ({ name, accuracy: right })),
  };
}

interface Checked {
  readonly inferred: InferredTeacher;
  readonly check: ReadingsCheck | null;
  /** Whether nothing speaks against the card */
  readonly written: boolean;
}

/** The card as it is inferred or, where labelled images are there, as they say. */
async function checked({ choices, checkOn, ...run }: AddTeacherRun): Promise<Checked> {
  if (checkOn === undefined) return { inferred: await inferCard(run.model, choices), check: null, written: true };
  const inferred = await inferCard(run.model, { ...choices, isChecked: true });
  const { check, best } = await checkReadings(inferred, { ...run, choices, ...checkOn });
  if (check.finding === "chance") return { inferred, check, written: false };
  if (checkOn.takeBest) return { inferred: await inferCard(run.model, best), check, written: true };
  return { inferred, check, written: check.finding === "stands" };
}

/** Where the card goes. Another tool's file of that name stays: the card is then called after the model, or refused. */
async function placeOfCard(model: FoundModel): Promise<string> {
  const beside = cardPathBeside(join(model.folder, model.files[0]!));
  const own = join(model.folder, MODEL_CARD_FILE);
  const isFree = async (path: string): Promise<boolean> => !existsSync(path) || (await isCard(path));
  if (model.ownsFolder && (await isFree(own))) return own;
  if (await isFree(beside)) return beside;
  throw new SluiceError(
    "E_TEACHER_CARD",
    `Expected to write the card as ${beside}, found JSON of another tool there. Move that file away: it is not overwritten.`,
    { path: beside },
  );
}

async function tryImages(
  engine: Engine,
  card: ModelCard,
  { tryOn, decoder, decode, signal }: AddTeacherRun,
): Promise<Pick<AddedTeacher, "tried" | "skipped">> {
  const { folder, count } = tryOn!;
  const rows: Float32Array[] = [];
  const tried: TriedImage[] = [];
  const skipped: SkippedExample[] = [];
  const examples = firstImages(folder, count, decode.maxBytes);
  for await (const scored of scoreExamples(examples, { engine, card, decoder, decode, signal })) {
    if ("skipped" in scored) skipped.push(scored.skipped);
    else {
      rows.push(scored.logits);
      tried.push({ uri: scored.example.uri, best: bestClasses(scored.logits, card) });
    }
  }
  if (tried.length === 0) {
    throw new SluiceError(
      "E_SOURCE_READ",
      `Expected images to try the teacher on in ${folder}, found none that can be used${skipped[0] === undefined ? "" : `: ${skipped[0].reason}`}.`,
      { folder },
    );
  }
  assertDiffers(rows, card);
  return { tried, skipped };
}

/** Without images, noise tells NaN, and a model that does not look at its input. */
async function tryNoise(engine: Engine, card: ModelCard): Promise<TriedImage[]> {
  const size = pixelBytes(card.input);
  const random = new SeededRandom(1);
  const pixels = Uint8Array.from({ length: 2 * size }, (_, at) => random.below(at < size ? 256 : 80));
  const logits = await engine.score({ count: 2, pixels });
  const rows = [logits.subarray(0, logits.length / 2), logits.subarray(logits.length / 2)];
  for (const row of rows) assertTelling(row, "noise", card);
  assertDiffers(rows, card);
  return [];
}

function assertDiffers(rows: readonly Float32Array[], card: ModelCard): void {
  const [first] = rows;
  if (first === undefined || rows.length < 2) return;
  if (rows.some((row) => row.some((value, at) => value !== first[at]))) return;
  throw new SluiceError(
    "E_IMAGE_SCORES",
    `Expected teacher ${card.name} to score images differently, found the same scores for all of ${rows.length}: its input is saturated (another --normalise?), or the model does not depend on it.`,
    { images: rows.length },
  );
}

function bestClasses(logits: Float32Array, card: ModelCard): TriedImage["best"] {
  const scaled = Array.from(logits, (logit) => logit / card.temperature);
  const greatest = Math.max(...scaled);
  const total = scaled.reduce((sum, logit) => sum + Math.exp(logit - greatest), 0);
  const probabilityOf = isMultiLabel(card)
    ? (logit: number): number => 1 / (1 + Math.exp(-logit))
    : (logit: number): number => Math.exp(logit - greatest) / total;
  return scaled
    .map((logit, at) => ({ label: card.labels[at]!, probability: probabilityOf(logit) }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, BEST);
}

async function* firstImages(folder: string, count: number, maxBytes: number): AsyncGenerator<EncodedExample> {
  const source = await openFolderSource(folder, { followLinks: true, mayBeEmpty: true });
  const opener = openUri();
  let taken = 0;
  for await (const { record } of source.items(null)) {
    if (taken++ >= count) return;
    yield { label: 0, uri: record.uri, bytes: () => opener.open(record.uri, maxBytes) };
  }
}
