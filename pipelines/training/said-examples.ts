import type { ClassMap } from "../../operators/select/class-map.js";
import { classesNamed } from "../../operators/select/label-index.js";
import type { EncodedExample } from "../../operators/training/read-examples.js";
import type { ClassNames } from "../../schemas/class-names.js";
import type { ImageLabel } from "../../schemas/image-label.js";
import { bytesOfImages, type ArchivedBytesOptions } from "../versions/archived-bytes.js";
import { listLabels } from "../versions/label-images.js";

export interface SaidOptions extends ArchivedBytesOptions {
  /** The student's classes, and which of the teacher's each is */
  readonly map: ClassMap;
  readonly teacher: ClassNames;
  /** Digests of images that are tested with, or labelled already: they do not join. Asked for where any would */
  readonly without: () => Promise<ReadonlySet<string>>;
}

/** Images whose bytes are held together */
const AT_ONCE = 200;

/**
 * The images that people said are of a class (`is`, and nothing else since), as labelled images, by digest: they join those of the folder. Images of a class
 * that the student has not, of a name that several classes have, and those whose bytes are nowhere are left out.
 */
export async function* saidExamples(options: SaidOptions): AsyncGenerator<EncodedExample, void, undefined> {
  const { store, stream, map, teacher } = options;
  const classes = new Map<string, number>();
  for (const [sha256, { class: name, number }] of await positives(listLabels(store, stream))) {
    const [index, ...others] = classesNamed(teacher, name, number);
    const label = index === undefined || others.length > 0 ? -1 : (map.classOf[index] ?? -1);
    if (label >= 0) classes.set(sha256, label);
  }
  if (classes.size === 0) return;
  const without = await options.without();
  // By digest: the order in which bytes are found is no part of a training.
  const wanted = [...classes.keys()].filter((sha256) => !without.has(sha256)).sort();
  for (let from = 0; from < wanted.length; from += AT_ONCE) {
    const part = wanted.slice(from, from + AT_ONCE);
    const asked = part.map((sha256) => ({ sha256, uri: null, sizeBytes: 0 }));
    const found = new Map<string, Uint8Array>();
    for await (const { sha256, bytes } of bytesOfImages(asked, options)) found.set(sha256, bytes);
    for (const sha256 of part) {
      const bytes = found.get(sha256);
      if (bytes !== undefined)
        yield { label: classes.get(sha256)!, uri: `sha256:${sha256}`, bytes: () => Promise.resolve(bytes) };
    }
  }
}

type Positive = Extract<ImageLabel, { verdict: "is" }>;

/** What stands of each image where that is a class. */
async function positives(labels: AsyncIterable<ImageLabel>): Promise<Map<string, Positive>> {
  const standing = new Map<string, Positive>();
  const erased = new Set<string>();
  for await (const label of labels) {
    const { sha256 } = label;
    if (label.verdict === "erased") erased.add(sha256);
    const known = standing.get(sha256);
    if (label.verdict === "is" && !erased.has(sha256)) standing.set(sha256, label);
    // Not of another class: it still is of the one that was said.
    else if (label.verdict !== "not" || (label.class === known?.class && label.number === known.number))
      standing.delete(sha256);
  }
  return standing;
}
