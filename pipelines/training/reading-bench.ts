import type { Decoder } from "../../connectors/decoder/decoder.js";
import { inferCard, type CardChoices, type InferredTeacher } from "../../connectors/engine/teacher/infer-card.js";
import { openEngine } from "../../connectors/engine/open.js";
import { predictedClasses } from "../../operators/training/evaluation.js";
import type { Reading, ReadingChoices } from "../../operators/training/readings.js";
import {
  readExamples,
  type EncodedExample,
  type ReadExamples,
  type SkippedExample,
} from "../../operators/training/read-examples.js";
import type { DecodeConfig, EngineConfig } from "../../schemas/config.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import type { ImageNote } from "../../schemas/image-notes.js";
import type { ModelCard } from "../../schemas/model-card.js";
import { outputWidth } from "../../schemas/output-width.js";
import { pixelBytes } from "../../schemas/pixels.js";
import type { OnProgress } from "../../schemas/progress.js";
import { NOTHING_SCORED } from "../train.js";

/** Pixels held at once, bytes */
export const MAX_PIXELS = 512 * 1024 * 1024;
/** Sizes that a model does not take are answers, not failures. */
const DOES_NOT_RUN = ["E_ENGINE_RUN", "E_ENGINE_SHAPE", "E_ENGINE_LOAD", "E_IMAGE_SCORES", "E_TEACHER_CARD"] as const;

export interface CheckReadingsRun {
  readonly model: string;
  readonly choices: CardChoices;
  /** `<folder>/<class name>/…`, or a .csv of `path,label` */
  readonly labelled: string;
  /** Images at most, spread over the set */
  readonly count: number;
  readonly engine: EngineConfig;
  readonly decode: DecodeConfig;
  readonly decoder: Decoder;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
}

export interface Candidate {
  readonly pixels: Reading;
  readonly geometry: Reading;
}

/** A candidate's answers: the model's class of each image, or why there are none */
export type Answers = Int32Array | { readonly failure: string };

/** Runs candidates over the same images: decoded once for each size and way of resizing. */
export class ReadingBench {
  truth: readonly number[] = [];
  skipped: readonly SkippedExample[] = [];
  /** What was done to the images as the card opens them */
  notes: ReadonlySet<ImageNote> = new Set();
  readonly #inferred: InferredTeacher;
  readonly #run: CheckReadingsRun;
  readonly #examples: readonly EncodedExample[];
  readonly #cards = new Map<Reading, Promise<ModelCard>>();
  /** Of the last geometry: others are decoded anew, their pixels need not be held */
  #decoded: { readonly geometry: Reading; readonly read: ReadExamples } | null = null;
  #batch: number | undefined;
  #done = 0;

  constructor(inferred: InferredTeacher, run: CheckReadingsRun, examples: readonly EncodedExample[]) {
    this.#inferred = inferred;
    this.#run = run;
    this.#examples = examples;
  }

  async answers({ pixels, geometry }: Candidate): Promise<Answers> {
    try {
      const sized = await this.#cardOf(geometry);
      const { examples } = await this.#read(geometry, sized);
      const { normalise = sized.normalise, colour = sized.input.colour } = pixels.choices;
      const card = { ...sized, normalise, input: { ...sized.input, colour } };
      this.#run.onProgress?.({ ...NOTHING_SCORED, phase: `try ${pixels.name}`, done: this.#done++, total: null });
      return await this.#score(card, examples.count, examples.pixels);
    } catch (error) {
      const known = DOES_NOT_RUN.some((code) => isSluiceError(error, code));
      // The card's own reading has run before: what is wrong with it is wrong.
      if (!known || geometry.flags.length === 0) throw error;
      return { failure: (error as SluiceError).message };
    }
  }

  /** As `teacher add` makes it with the flags of a reading */
  #cardOf(geometry: Reading): Promise<ModelCard> {
    if (geometry.flags.length === 0) return Promise.resolve(this.#inferred.card);
    const { model, choices } = this.#run;
    let card = this.#cards.get(geometry);
    if (card === undefined) {
      card = inferCard(model, { ...withReading(choices, geometry.choices), isChecked: true }).then((one) => one.card);
      this.#cards.set(geometry, card);
    }
    return card;
  }

  async #read(geometry: Reading, card: ModelCard): Promise<ReadExamples> {
    if (this.#decoded?.geometry !== geometry) {
      const { decoder, decode, signal } = this.#run;
      const read = await readExamples(from(this.#examples), {
        decoder,
        card,
        config: decode,
        maxBytes: 2 * MAX_PIXELS,
        signal,
      });
      this.#decoded = { geometry, read };
      this.truth = [...read.examples.labels];
      this.skipped = read.skipped;
      if (geometry.flags.length === 0) this.notes = read.notes;
    }
    return this.#decoded.read;
  }

  async #score(card: ModelCard, count: number, pixels: Uint8Array): Promise<Answers> {
    const { engine: config, signal } = this.#run;
    const { folder } = this.#inferred;
    const engine = await openEngine(
      { card, folder },
      this.#batch === undefined ? config : { ...config, batch: this.#batch },
    );
    try {
      const { batch } = engine.info;
      this.#batch = batch;
      const classes = card.labels.length;
      const width = outputWidth(card);
      const size = pixelBytes(card.input);
      const starts = Array.from({ length: Math.ceil(count / batch) }, (_, at) => at * batch);
      const scored = await Promise.all(
        starts.map((start) => {
          if (signal?.aborted === true)
            throw new SluiceError("E_CANCELLED", "Stopped on request while trying readings.");
          const end = Math.min(count, start + batch);
          return engine.score({ count: end - start, pixels: pixels.slice(start * size, end * size) });
        }),
      );
      const logits = new Float32Array(count * classes);
      starts.forEach((start, at) => {
        for (let row = 0; row < scored[at]!.length / width; row++)
          logits.set(scored[at]!.subarray(row * width, row * width + classes), (start + row) * classes);
      });
      const answers = predictedClasses(logits, classes);
      for (let row = 0; row < count; row++)
        if (!logits.subarray(row * classes, (row + 1) * classes).every(Number.isFinite)) answers[row] = -1;
      return answers.every((answer) => answer < 0) ? { failure: "its scores are not finite" } : answers;
    } finally {
      await engine.close();
    }
  }
}

async function* from(examples: readonly EncodedExample[]): AsyncGenerator<EncodedExample> {
  await Promise.resolve();
  yield* examples;
}

/** Choices with what a reading says on top. */
export function withReading(choices: CardChoices, reading: ReadingChoices): CardChoices {
  return { ...choices, ...reading, resize: { ...choices.resize, ...reading.resize } };
}
