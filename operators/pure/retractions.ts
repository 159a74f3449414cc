import type { ImageLabel } from "../../schemas/image-label.js";
import type { ClassMap } from "./class-map.js";

/** Which images people have taken out of which of a version's classes. */
export interface Retractions {
  /** Images retracted from each class, [L] */
  readonly counts: Int32Array;
  /** Whether the image whose identity (first 128 bits of its digest, big-endian words) is at `at` is retracted. */
  has(classIndex: number, identity: Uint32Array, at: number): boolean;
}

/** What holds of one image: the teacher's labels that it is not of, or the only one that it may be of. */
interface Standing {
  readonly identity: Uint32Array;
  /** null: none; undefined: more than one */
  only: string | null | undefined;
  readonly not: Set<string>;
}

/** Puts what was said of images, one after the other, together: some 300 bytes an image. */
export class LabelledImages {
  /** By the first word of the identity */
  readonly #images = new Map<number, Standing[]>();

  take(label: ImageLabel): void {
    const standing = this.#of(label.sha256);
    switch (label.verdict) {
      case "is":
        standing.only = label.class;
        standing.not.clear();
        return;
      case "none":
        standing.only = null;
        standing.not.clear();
        return;
      case "withdrawn":
        standing.only = undefined;
        standing.not.clear();
        return;
      case "not":
        if (standing.only === label.class) standing.only = undefined;
        standing.not.add(label.class);
    }
  }

  /**
   * What that means for a version's classes. A class that stands for several of the teacher's loses an image only where
   * it is of none of them.
   */
  retractions(map: ClassMap, teacherLabels: readonly string[]): Retractions {
    const members = map.members.map((of) => Array.from(of, (member) => teacherLabels[member]!));
    const classesOf = new Map<string, number[]>();
    members.forEach((labels, index) => {
      for (const label of new Set(labels)) classesOf.set(label, [...(classesOf.get(label) ?? []), index]);
    });
    const counts = new Int32Array(map.labels.length);
    let everywhere = 0;
    const add = (index: number, change: number): void => {
      counts[index] = counts[index]! + change;
    };
    for (const standing of [...this.#images.values()].flat()) {
      if (standing.only === undefined) {
        const touched = new Set([...standing.not].flatMap((label) => classesOf.get(label) ?? []));
        for (const index of touched) if (isRetracted(standing, members[index]!)) add(index, 1);
      } else {
        everywhere++;
        for (const index of standing.only === null ? [] : (classesOf.get(standing.only) ?? [])) add(index, -1);
      }
    }
    for (let index = 0; index < counts.length; index++) add(index, everywhere);
    return {
      counts,
      has: (classIndex, identity, at) => {
        const standing = this.#images.get(identity[at]!)?.find((one) => isSame(one.identity, identity, at));
        return standing !== undefined && isRetracted(standing, members[classIndex]!);
      },
    };
  }

  #of(sha256: string): Standing {
    const identity = identityOf(sha256);
    const near = this.#images.get(identity[0]!) ?? [];
    const known = near.find((one) => isSame(one.identity, identity, 0));
    if (known !== undefined) return known;
    const made: Standing = { identity, only: undefined, not: new Set() };
    this.#images.set(identity[0]!, [...near, made]);
    return made;
  }
}

/** The first 128 bits of a digest as big-endian words. `sha256` is hexadecimal. */
export function identityOf(sha256: string): Uint32Array {
  return Uint32Array.from({ length: 4 }, (_, word) => parseInt(sha256.slice(8 * word, 8 * word + 8), 16));
}

function isRetracted({ only, not }: Standing, labels: readonly string[]): boolean {
  if (only === undefined) return not.size > 0 && labels.every((label) => not.has(label));
  return only === null || !labels.includes(only);
}

function isSame(mine: Uint32Array, identity: Uint32Array, at: number): boolean {
  return [0, 1, 2, 3].every((word) => mine[word] === identity[at + word]);
}
