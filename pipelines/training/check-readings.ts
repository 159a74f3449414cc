import { counted } from "../../schemas/counted.js";
import { extname } from "node:path";
import type { CardChoices, InferredTeacher } from "../../connectors/engine/teacher/infer-card.js";
import { classesNamed } from "../../operators/select/label-index.js";
import { labelOrders, type LabelOrder } from "../../operators/select/label-orders.js";
import type { EncodedExample, SkippedExample } from "../../operators/training/read-examples.js";
import {
  both,
  geometryReadings,
  isAboveChance,
  isClearlyBetter,
  openingReadings,
  pixelReadings,
} from "../../operators/training/readings.js";
import { areInvented } from "../../schemas/class-names.js";
import { SluiceError } from "../../schemas/errors.js";
import { pixelBytes } from "../../schemas/pixels.js";
import { openLabelledCsv } from "./labelled-csv.js";
import { openLabelledFolder, type LabelledFolder } from "./labelled-folder.js";
import {
  MAX_PIXELS,
  ReadingBench,
  withReading,
  type Answers,
  type Candidate,
  type CheckReadingsRun,
} from "./reading-bench.js";

export interface MeasuredReading {
  readonly name: string;
  /** What makes `teacher add` take it */
  readonly flags: readonly string[];
  /** Whether the card has it where nothing is said */
  readonly isAssumed: boolean;
  /** Images whose class is the best one, and their share; null where it does not run */
  readonly right: number | null;
  readonly accuracy: number | null;
  /** Why it does not run */
  readonly failure: string | null;
}

export interface ReadingsCheck {
  /** Images and classes that were compared */
  readonly images: number;
  readonly classes: number;
  /** What naming the commonest class every time would be right on */
  readonly chance: number;
  /** What was open, one a question; where nothing was, the one reading */
  readonly questions: readonly { readonly about: string; readonly readings: readonly MeasuredReading[] }[];
  readonly accuracy: { readonly assumed: number | null; readonly best: number };
  /**
   * `stands`: nothing is clearly better than what the card has. `another` is. `open`: nothing was assumed, one must be taken.
   * `chance`: none is better than guessing.
   */
  readonly finding: "stands" | "another" | "open" | "chance";
  /** What takes the best reading */
  readonly flags: readonly string[];
  /** Names of the classes by the best order of the set's, where nobody has named them */
  readonly labels: readonly string[] | null;
  readonly skipped: readonly SkippedExample[];
  readonly warnings: readonly string[];
}

/** With fewer images, readings that differ by some points are not told apart. */
const FEW_IMAGES = 100;
interface Measured extends Candidate {
  readonly answers: Answers;
  readonly order: LabelOrder;
  /** Whether each image is right in that order */
  readonly right: readonly boolean[];
}

/**
 * Tries the ways to read a model that its files leave open on labelled images. Nothing is written. Returns what it found, and the choices that
 * make the best reading. Throws E_TRAIN_DATA, E_CANCELLED, and what reading a model, a set and an engine throws.
 */
export async function checkReadings(
  inferred: InferredTeacher,
  run: CheckReadingsRun,
): Promise<{ readonly check: ReadingsCheck; readonly best: CardChoices }> {
  const { card, open } = inferred;
  const set = await openSet(run.labelled);
  const orders = ordersFor(set, card.labels);
  const examples = await spread(set, Math.max(1, Math.min(run.count, Math.floor(MAX_PIXELS / pixelBytes(card.input)))));
  const bench = new ReadingBench(inferred, run, examples);

  const geometries = geometryReadings(card, open);
  const pixels = pixelReadings(card, open);
  const measure = async ({ pixels, geometry }: Candidate): Promise<Measured> =>
    inBestOrder({ pixels, geometry }, await bench.answers({ pixels, geometry }), bench.truth, orders);
  const byPixels: Measured[] = [];
  for (const one of pixels) byPixels.push(await measure({ pixels: one, geometry: geometries[0]! }));
  const seen = bestOf(byPixels);
  const byGeometry = byPixels.filter((one) => one === seen);
  for (const one of geometries.slice(1)) byGeometry.push(await measure({ pixels: seen.pixels, geometry: one }));
  let best = bestOf(byGeometry);
  // Another size may bring out what the first one hid.
  const again = byGeometry[0] !== best && isClearlyBetter(best.right, byGeometry[0]!.right) ? [...byGeometry] : [];
  for (const one of again.length === 0 ? [] : pixels.filter((other) => other !== best.pixels))
    again.push(await measure({ pixels: one, geometry: best.geometry }));
  best = bestOf([...byGeometry, ...again]);
  const openings = openingReadings(open, bench.notes);
  const { pixels: seenPixels, geometry: seenGeometry } = best;
  const byOpening = [best];
  for (const one of openings) byOpening.push(await measure({ pixels: seenPixels, geometry: both(seenGeometry, one) }));
  best = bestOf(byOpening);

  const assumed = byPixels[0]!;
  const isGuess = open.normalise && card.format !== "onnx";
  const { truth } = bench;
  const rivals = [...byPixels, ...byGeometry, ...again];
  const finding = findingOf(best, isGuess ? null : assumed, truth, card.labels.length);
  const accuracyOf = (one: Measured): number | null =>
    "failure" in one.answers ? null : one.right.filter(Boolean).length / truth.length;
  const shown = (one: Measured, name: string, flags: readonly string[]): MeasuredReading => ({
    name,
    flags,
    isAssumed: !isGuess && one === assumed,
    right: "failure" in one.answers ? null : one.right.filter(Boolean).length,
    accuracy: accuracyOf(one),
    failure: "failure" in one.answers ? one.answers.failure : null,
  });
  const sized = again.length === 0 ? byPixels : again.filter(({ geometry }) => geometry === seenGeometry);
  const inOrder = orders.map((order) => ({ ...best, order, right: rightsIn(order, best.answers, truth) }));
  const counts = new Map<number, number>();
  for (const label of truth) counts.set(label, (counts.get(label) ?? 0) + 1);
  return {
    check: {
      images: truth.length,
      classes: counts.size,
      chance: Math.max(...counts.values()) / truth.length,
      questions: [
        { about: "pixels", readings: sized.map((one) => shown(one, one.pixels.name, one.pixels.flags)) },
        ...(byGeometry.length === 1
          ? []
          : [
              {
                about: `size and resizing, with ${seen.pixels.name}`,
                readings: byGeometry.map((one) => shown(one, one.geometry.name, one.geometry.flags)),
              },
            ]),
        ...(openings.length === 0
          ? []
          : [
              {
                about: "opening the pictures",
                readings: byOpening.map((one, at) =>
                  at === 0
                    ? { ...shown(one, OPENED_BY_DEFAULT, []), isAssumed: true }
                    : shown(one, openings[at - 1]!.name, openings[at - 1]!.flags),
                ),
              },
            ]),
        ...(orders.length === 1 && orders[0]!.name === BY_NAME
          ? []
          : [{ about: "order of the classes", readings: inOrder.map((one) => shown(one, one.order.name, [])) }]),
      ],
      accuracy: { assumed: isGuess ? null : accuracyOf(assumed), best: accuracyOf(best) ?? 0 },
      finding,
      flags: [...best.pixels.flags, ...best.geometry.flags],
      labels: open.labels ? best.order.labels : null,
      skipped: bench.skipped,
      warnings: warningsOf(truth.length, best, rivals, orders, open.labels, isGuess),
    },
    best: choicesFor(best, run.choices, open.labels ? best.order.labels : null),
  };
}

const BY_NAME = "by name";
const OPENED_BY_DEFAULT = "turned by EXIF, on black";

/** A lookup in all names of a set, so that an image's label is its class's place among them */
async function openSet(path: string): Promise<LabelledFolder> {
  const set = extname(path).toLowerCase() === ".csv" ? await openLabelledCsv(path) : await openLabelledFolder(path);
  if (set.classNames.length >= 2) return set;
  throw new SluiceError(
    "E_TRAIN_DATA",
    `Expected labelled images of at least two classes in ${path}, one subfolder each, found ${set.classNames.length === 0 ? "none" : `only ${set.classNames[0]}`}.`,
    { found: set.classNames.length },
  );
}

/** What the set's classes may be of the model's. Throws E_TRAIN_DATA where their names are not the model's, and their number neither. */
function ordersFor({ classNames, folder }: LabelledFolder, labels: readonly string[]): LabelOrder[] {
  const named = classNames.map((name) => classesNamed({ labels }, name));
  if (named.every((found) => found.length === 1))
    return [{ name: BY_NAME, labels: null, classes: named.map(([one]) => one!) }];
  const orders = labelOrders(classNames, labels.length);
  if (orders.length > 0) return orders;
  const without = classNames.filter((_, at) => named[at]!.length !== 1);
  const names = areInvented(labels) ? "Name the model's classes with --labels" : "Call them as the model's classes are";
  throw new SluiceError(
    "E_TRAIN_DATA",
    `Expected the classes of ${folder} to be called as the model's ${labels.length}, or to be as many, found ${classNames.length}, and among them ${without.slice(0, 3).join(", ")}. ${names} (#12 is the class of that number).`,
    { without: without.slice(0, 20), classes: labels.length },
  );
}

/** So many of a set's images, at even distances; a label is the place of its class in `classNames`. */
async function spread(set: LabelledFolder, count: number): Promise<EncodedExample[]> {
  const all: EncodedExample[] = [];
  for await (const example of set.examples(set.classNames, Number.POSITIVE_INFINITY)) all.push(example);
  const taken = Math.min(count, all.length);
  return Array.from({ length: taken }, (_, at) => all[Math.floor((at * all.length) / taken)]!);
}

function inBestOrder(
  candidate: Candidate,
  answers: Answers,
  truth: readonly number[],
  orders: readonly LabelOrder[],
): Measured {
  return bestOf(orders.map((order) => ({ ...candidate, answers, order, right: rightsIn(order, answers, truth) })));
}

function rightsIn({ classes }: LabelOrder, answers: Answers, truth: readonly number[]): boolean[] {
  return truth.map((label, at) => !("failure" in answers) && answers[at] === classes[label]);
}

/** The first of those that are right most often */
function bestOf(measured: readonly Measured[]): Measured {
  const count = ({ right }: Measured): number => right.filter(Boolean).length;
  return measured.reduce((best, one) => (count(one) > count(best) ? one : best));
}

function findingOf(
  best: Measured,
  assumed: Measured | null,
  truth: readonly number[],
  classes: number,
): ReadingsCheck["finding"] {
  const { answers, order, right } = best;
  if ("failure" in answers) return "chance";
  // Guessing as often as the model does, of each class: a model that always says the same has no more than that.
  const share = (values: Iterable<number>): Float64Array => {
    const shares = new Float64Array(classes);
    for (const value of values) if (value >= 0) shares[value]! += 1 / truth.length;
    return shares;
  };
  const said = share(answers);
  const chance = share(truth.map((label) => order.classes[label]!)).reduce((sum, p, at) => sum + p * said[at]!, 0);
  if (!isAboveChance(right.filter(Boolean).length, truth.length, Math.min(1, chance))) return "chance";
  if (assumed === null) return "open";
  return isClearlyBetter(right, assumed.right) ? "another" : "stands";
}

function warningsOf(
  count: number,
  best: Measured,
  all: readonly Measured[],
  orders: readonly LabelOrder[],
  isUnnamed: boolean,
  isGuess: boolean,
): string[] {
  const rival = all.find((one) => one.pixels !== best.pixels && !isClearlyBetter(best.right, one.right));
  return [
    ...(count < FEW_IMAGES
      ? [
          `Only ${counted(count, "image")}: readings that lie some points apart are not told apart. Some hundreds are better.`,
        ]
      : []),
    ...(isGuess && rival !== undefined
      ? [`${best.pixels.name} and ${rival.pixels.name} are not told apart by these images.`]
      : []),
    ...(orders.length > 1 || orders[0]!.name !== BY_NAME
      ? [
          `The classes of these images are called otherwise than the model's: they were compared by their order${isUnnamed ? "" : ", and the model's names stay"}.`,
        ]
      : []),
  ];
}

function choicesFor(
  { pixels, geometry }: Candidate,
  choices: CardChoices,
  labels: readonly string[] | null,
): CardChoices {
  const said = pixels.flags.length === 0 ? choices : withReading(choices, pixels.choices);
  return { ...withReading(said, geometry.choices), ...(labels === null ? {} : { labels }) };
}
