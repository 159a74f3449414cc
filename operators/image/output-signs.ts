import { counted } from "../../schemas/counted.js";
import { isMultiLabel, type ModelCard } from "../../schemas/model-card.js";
import type { ScoredBatch } from "../../schemas/scored-batch.js";
import type { Segment } from "../../schemas/segment.js";

/** Something about a teacher's outputs that a right reading of a right model hardly shows. */
export type OutputSign =
  "equal" | "one-class" | "saturated" | "flat" | "probabilities" | "sigmoid" | "softmax" | "not-finite";

/** What warnings of signs go under: the card does not say what the model is. */
export const SIGN_CODE = "E_TEACHER_CARD";

type CountedSign = Exclude<OutputSign, "one-class" | "not-finite">;

export interface SeenSign {
  readonly sign: OutputSign;
  /** What was seen, and what to do */
  readonly message: string;
}

type SeenColumns = Pick<ScoredBatch, "count" | "topM" | "copied" | "classes" | "keys" | "logits" | "logSumExp">;

/** Images after which most signs are judged, or at the end, if there are so many. */
const JUDGED_AT = 300;
const LEAST_IMAGES = 100;
/** A folder is read class by class: that one class takes all is judged later. */
const CLASSES_JUDGED_AT = 5000;
/** Share of the images that must show a sign */
const NEARLY_ALL = 0.95;
/** Probabilities that float32 cannot tell from 1 */
const SATURATED_KEY = -(2 ** -24);
/** The best class's probability, in shares of an even one: below it, of few classes and of many */
const FLAT = { few: 1.2, many: 2 };
const FEW_CLASSES = 4;
const SUM_TOLERANCE = 0.02;
/** Of 8-bit probabilities: as far as a sum may be off, however many classes */
const MOST_ROUNDING = 0.25;

const CHECK = "Labelled images tell: `sluice teacher add <model> --on labelled/ --overwrite`.";

/**
 * Watches what a teacher says of a run's first images, as they are archived, and tells each sign of a wrong reading once. Rows that were copied from earlier
 * ones are passed over.
 */
export class OutputSigns {
  readonly #card: Pick<ModelCard, "name" | "labels" | "output" | "temperature">;
  readonly #said = new Set<OutputSign>();
  readonly #best: Int32Array;
  readonly #counts: Record<CountedSign, number> = {
    saturated: 0,
    flat: 0,
    probabilities: 0,
    sigmoid: 0,
    softmax: 0,
    equal: 0,
  };
  #rows = 0;
  #notFinite = 0;
  #first: { readonly classes: Int32Array; readonly logits: Float32Array } | null = null;

  constructor(card: Pick<ModelCard, "name" | "labels" | "output" | "temperature">) {
    this.#card = card;
    this.#best = new Int32Array(card.labels.length);
  }

  /** Signs that this segment brings out. */
  onSegment({
    header,
    batch,
  }: {
    readonly header: Pick<Segment["header"], "rejected">;
    readonly batch: SeenColumns;
  }): SeenSign[] {
    if (this.#rows >= CLASSES_JUDGED_AT) return [];
    const before = this.#rows + this.#notFinite;
    this.#notFinite += header.rejected.filter(({ code }) => code === "E_IMAGE_SCORES").length;
    for (let row = 0; row < batch.count; row++) if (batch.copied[row] === 0) this.#take(batch, row);
    const now = this.#rows + this.#notFinite;
    return [
      ...(before < JUDGED_AT && now >= JUDGED_AT ? this.#judge() : []),
      ...(this.#rows >= CLASSES_JUDGED_AT ? this.#judgeClasses() : []),
    ];
  }

  /** Signs of a run that ends before they were judged. */
  end(): SeenSign[] {
    const seen = this.#rows + this.#notFinite;
    if (seen < LEAST_IMAGES) return [];
    return [
      ...(seen < JUDGED_AT ? this.#judge() : []),
      ...(this.#rows < CLASSES_JUDGED_AT ? this.#judgeClasses() : []),
    ];
  }

  #take(batch: SeenColumns, row: number): void {
    const { topM } = batch;
    const own = { from: row * topM, to: (row + 1) * topM };
    const classes = batch.classes.subarray(own.from, own.to);
    const logits = batch.logits.subarray(own.from, own.to);
    this.#first ??= { classes: classes.slice(), logits: logits.slice() };
    const { labels, output } = this.#card;
    this.#rows++;
    this.#best[classes[0]!]!++;
    const first = this.#first;
    if (classes.every((value, at) => value === first.classes[at]) && logits.every((z, at) => z === first.logits[at]))
      this.#counts.equal++;
    if (isMultiLabel(this.#card)) {
      if (output.kind === "sigmoid-logits" && logits.every((z) => z >= 0 && z <= 1)) this.#counts.sigmoid++;
      const sum = logits.reduce((total, z) => total + 1 / (1 + Math.exp(-z)), 0);
      if (output.kind === "sigmoid" && Math.abs(sum - 1) < SUM_TOLERANCE) this.#counts.softmax++;
      return;
    }
    const key = batch.keys[own.from]!;
    const even = labels.length < FEW_CLASSES ? FLAT.few : FLAT.many;
    if (key >= SATURATED_KEY) this.#counts.saturated++;
    if (Math.exp(key) * labels.length < even) this.#counts.flat++;
    if (output.kind !== "logits") return;
    const within = this.#withinOne(logits, batch.logSumExp[row]!);
    if (within !== null) this.#counts[within]++;
  }

  /** What values between 0 and 1 are that were read as logits; null for others. The classes that are not listed are bounded by their exponentials' sum. */
  #withinOne(logits: Float32Array, logSumExp: number): "probabilities" | "sigmoid" | null {
    if (!logits.every((z) => z >= 0 && z <= 1)) return null;
    const { labels, temperature } = this.#card;
    const listed = logits.reduce((total, z) => total + z, 0);
    const left = labels.length - logits.length;
    const least = logits.reduce((a, b) => Math.min(a, b), 1) / temperature;
    // exp(z) lies between 1 + z and, for z up to `least`, 1 + z (exp(least) - 1) / least.
    const beyond = Math.exp(logSumExp) - logits.reduce((total, z) => total + Math.exp(z / temperature), 0) - left;
    const rounding = 1e-6 * labels.length;
    if (left > 0 && beyond < -rounding) return null;
    const high = listed + (left === 0 ? 0 : beyond * temperature) + rounding;
    const low =
      listed + (left === 0 || least === 0 ? 0 : (beyond * temperature * least) / Math.expm1(least)) - rounding;
    const isRounded = [255, 256].some((steps) =>
      logits.every((z) => Math.abs(z * steps - Math.round(z * steps)) < 1e-3),
    );
    const tolerance = isRounded ? Math.max(SUM_TOLERANCE, Math.min(MOST_ROUNDING, labels.length / 255)) : SUM_TOLERANCE;
    return low <= 1 + tolerance && high >= 1 - tolerance ? "probabilities" : "sigmoid";
  }

  #judge(): SeenSign[] {
    const { name, output } = this.#card;
    const rows = this.#rows;
    const seen: SeenSign[] = [];
    const say = (sign: OutputSign, message: string): void => {
      if (this.#said.has(sign)) return;
      this.#said.add(sign);
      seen.push({ sign, message: `teacher ${name}: ${message}` });
    };
    const all = rows + this.#notFinite;
    if (this.#notFinite >= (1 - NEARLY_ALL) * all) {
      say(
        "not-finite",
        `${this.#notFinite} of ${counted(all, "image")} got scores that are not finite or the same for every class, and went to the quarantine: the pixels are read in another way than the model was trained with, or its weights are damaged. ${CHECK}`,
      );
    }
    const most = (sign: CountedSign): boolean => rows > 0 && this.#counts[sign] >= NEARLY_ALL * rows;
    if (rows > 1 && this.#counts.equal === rows) {
      say(
        "equal",
        `${rows === 1 ? "the only image has" : `all of ${rows} images have`} the same scores: the input is saturated, or the model does not look at it. ${CHECK}`,
      );
    } else if (most("probabilities")) {
      say(
        "probabilities",
        `its outputs lie between 0 and 1 and sum to 1, and are read as logits: they are probabilities. \`sluice teacher add <model> --kind probabilities --overwrite\` writes the card so.`,
      );
    } else if (most("sigmoid")) {
      say(
        "sigmoid",
        `its outputs lie between 0 and 1 and do not sum to 1, and are read as ${output.kind}: they are independent probabilities. \`sluice teacher add <model> --kind sigmoid --overwrite\` writes the card so.`,
      );
    } else if (most("softmax")) {
      say(
        "softmax",
        `its outputs sum to 1, and are read as independent probabilities: one of the classes is right. \`sluice teacher add <model> --kind probabilities --overwrite\` writes the card so.`,
      );
    } else if (most("saturated")) {
      say(
        "saturated",
        `the best class of nearly all of ${counted(rows, "image")} has probability 1, as far as float32 tells: pixels may be of another range than the model was trained with. ${CHECK}`,
      );
    } else if (most("flat")) {
      say(
        "flat",
        `the best class of nearly all of ${counted(rows, "image")} is hardly more probable than any other: the model is not trained, sees other pixels than it was trained with, or has a temperature far above 1. ${CHECK}`,
      );
    }
    return seen;
  }

  #judgeClasses(): SeenSign[] {
    const { name, labels } = this.#card;
    const most = this.#best.reduce((best, count, at) => (count > this.#best[best]! ? at : best), 0);
    const others = ["equal", "probabilities", "flat"] as const;
    if (this.#said.has("one-class") || others.some((sign) => this.#said.has(sign)) || isMultiLabel(this.#card))
      return [];
    if (this.#rows < LEAST_IMAGES || this.#best[most]! < NEARLY_ALL * this.#rows) return [];
    this.#said.add("one-class");
    return [
      {
        sign: "one-class",
        message: `teacher ${name}: ${labels[most]} is the best class of ${this.#best[most]} of ${counted(this.#rows, "image")}. If that is not what the stream shows, the model is read in another way than it was trained with. ${CHECK}`,
      },
    ];
  }
}
