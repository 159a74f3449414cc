import { extname } from "node:path";
import { isBadImage } from "../../operators/image/fetch.js";
import type { EncodedExample, SkippedExample } from "../../operators/training/read-examples.js";
import { byCodePoints } from "../../operators/select/label-orders.js";
import { sha256Hex } from "../../schemas/canonical.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import { openLabelledCsv } from "./labelled-csv.js";
import { openLabelledFolder } from "./labelled-folder.js";

/** A labelled image by its content. */
export interface LabelledImage extends EncodedExample {
  /** SHA-256 of its bytes, hexadecimal */
  readonly sha256: string;
}

/** Labelled images that can be read, in their order. */
export interface LabelledSet {
  readonly path: string;
  readonly labels: readonly string[];
  readonly images: readonly LabelledImage[];
  readonly skipped: readonly SkippedExample[];
  /** Of every image's digest with its class: the same set, wherever it lies */
  readonly digest: string;
}

/**
 * Reads a folder with a subfolder a class, or a .csv of `path,label`. `labels`: the classes in their order; null: those of the set.
 * Throws E_TRAIN_DATA for a class that is not among them, E_SOURCE_….
 */
export async function readLabelledSet(
  path: string,
  labels: readonly string[] | null,
  maxBytes: number,
): Promise<LabelledSet> {
  const set = extname(path).toLowerCase() === ".csv" ? await openLabelledCsv(path) : await openLabelledFolder(path);
  const named = labels ?? set.classNames;
  const images: LabelledImage[] = [];
  const skipped: SkippedExample[] = [];
  for await (const example of set.examples(named, maxBytes)) {
    try {
      images.push({ ...example, sha256: sha256Hex(await example.bytes()) });
    } catch (error) {
      if (!isSluiceError(error) || !isBadImage(error.code)) throw error;
      skipped.push({ uri: example.uri, code: error.code, reason: error.message });
    }
  }
  if (images.length === 0) {
    throw new SluiceError(
      "E_TRAIN_DATA",
      `Expected labelled images in ${path}, found ${skipped[0] === undefined ? "none" : `${skipped.length} that cannot be read, the first ${skipped[0].uri}: ${skipped[0].reason}`}.`,
      { path },
    );
  }
  return labelledSet(path, named, images, skipped);
}

/** A set of these images, with its digest. */
export function labelledSet(
  path: string,
  labels: readonly string[],
  images: readonly LabelledImage[],
  skipped: readonly SkippedExample[],
): LabelledSet {
  const lines = images.map(({ sha256, label }) => `${sha256} ${labels[label]!}`).sort(byCodePoints);
  return { path, labels, images, skipped, digest: sha256Hex(`${lines.join("\n")}\n`) };
}

/** Each image once, however often the set has it: counted twice, it would make figures look surer than they are. Throws E_TRAIN_DATA for one of two classes. */
export function onceEach(set: LabelledSet): LabelledSet {
  const first = new Map<string, LabelledImage>();
  for (const image of set.images) {
    const before = first.get(image.sha256);
    if (before === undefined) first.set(image.sha256, image);
    else if (before.label !== image.label) {
      throw new SluiceError(
        "E_TRAIN_DATA",
        `Expected one class for each test image of ${set.path}, found the same image as ${set.labels[before.label]!} (${before.uri}) and as ${set.labels[image.label]!} (${image.uri}). Keep the one that is right.`,
        { sha256: image.sha256 },
      );
    }
  }
  return labelledSet(set.path, set.labels, [...first.values()], set.skipped);
}

/** Images of a set, for what reads examples. */
export async function* examplesOf(images: readonly LabelledImage[]): AsyncGenerator<EncodedExample> {
  yield* images;
}

/** Images a class, in the order of the set's labels. */
export function countsOf({ images, labels }: LabelledSet): number[] {
  const counts = labels.map(() => 0);
  for (const { label } of images) counts[label]!++;
  return counts;
}

/** Throws E_TRAIN_DATA for a class without images (`counts`: images a class that can be used): training would unlearn what a version teaches of it. */
export function assertEveryClass({ labels, path }: LabelledSet, counts: ArrayLike<number>): void {
  const without = labels.filter((_, label) => counts[label] === 0);
  if (without.length === 0) return;
  const named = without.slice(0, 5).join(", ");
  throw new SluiceError(
    "E_TRAIN_DATA",
    `Expected an image of each of ${labels.length} classes in ${path}, found none of ${without.length > 5 ? `${without.length}, such as ${named}` : named}: nothing else keeps them from ` +
      "being unlearnt. Label some that can be used, or leave these classes out (select.labels of the dataset, or their folders).",
    { without },
  );
}
