import type { ClassNames } from "../../schemas/class-names.js";
import type { ImageLabel } from "../../schemas/image-label.js";
import type { ClassMap } from "./class-map.js";
import { classesNamed } from "./label-index.js";

/** Which images people have taken out of which of a version's classes. */
export interface Retractions {
  /** Images retracted from each class, [L] */
  readonly counts: Int32Array;
  /** Whether the image whose identity (first 128 bits of its digest, big-endian words) is at `at` is retracted. */
  has(classIndex: number, identity: Uint32Array, at: number): boolean;
}

/** An image that is to stand in a class of a version. */
export interface Placement {
  /** 64 hexadecimal digits */
  readonly sha256: string;
  readonly class: number;
}

/** A class as somebody named it: its label and, where several share that, its number. */
interface Named {
  readonly class: string;
  readonly number?: number | undefined;
}

/** What holds of one image: the classes that it is not of, or the only one that it may be of. */
interface Standing {
  readonly identity: Uint32Array;
  /** Of an image that is said to be of a class; it may be placed there */
  sha256: string | null;
  /** null: none; undefined: more than one */
  only: Named | null | undefined;
  not: readonly Named[];
  /** For ever: what is said of it afterwards, or was before, is of no matter */
  erased: boolean;
}

/** The same with classes by the teacher's numbers: each may be several that share a name. */
interface Placed {
  readonly identity: Uint32Array;
  readonly only: readonly number[] | undefined;
  readonly not: ReadonlySet<number>;
}

/** Puts what was said of images, one after the other, together: some 300 bytes an image. */
export class LabelledImages {
  /** By the first word of the identity */
  readonly #images = new Map<number, Standing[]>();

  /** Whether a label says no more than what stands: taking it would change nothing. */
  says(label: ImageLabel): boolean {
    const { only, not, erased } = this.#of(label.sha256);
    if (erased) return true;
    switch (label.verdict) {
      case "is":
        return only != null && isSameName(only, label) && not.length === 0;
      case "none":
      case "duplicate":
        return only === null && not.length === 0;
      case "withdrawn":
        return only === undefined && not.length === 0;
      case "erased":
        return false;
      case "not":
        return not.some((one) => isSameName(one, label));
    }
  }

  /** Whether anything was ever said of an image. */
  has(sha256: string): boolean {
    const identity = identityOf(sha256);
    return this.#images.get(identity[0]!)?.some((one) => isSame(one.identity, identity, 0)) === true;
  }

  isErased(sha256: string): boolean {
    return this.#of(sha256).erased;
  }

  take(label: ImageLabel): void {
    const standing = this.#of(label.sha256);
    if (standing.erased) return;
    switch (label.verdict) {
      case "erased":
        standing.erased = true;
        standing.only = null;
        standing.not = [];
        return;
      case "is":
        standing.only = label;
        standing.sha256 = label.sha256;
        standing.not = [];
        return;
      case "none":
      case "duplicate":
        standing.only = null;
        standing.not = [];
        return;
      case "withdrawn":
        standing.only = undefined;
        standing.not = [];
        return;
      case "not":
        if (standing.only != null && isSameName(standing.only, label)) standing.only = undefined;
        if (!standing.not.some((one) => isSameName(one, label))) standing.not = [...standing.not, label];
    }
  }

  /**
   * What that means for a version's classes, by what the teacher's are called now or were called when it was said. A class that stands for
   * several of the teacher's loses an image only where it is of none of them.
   */
  retractions(map: ClassMap, teacher: ClassNames): Retractions {
    const { members } = map;
    const numbersOf = (named: Named): number[] => numbersNamed(named, map, teacher);
    const placed = new Map<number, Placed[]>();
    for (const [word, standings] of this.#images) {
      placed.set(
        word,
        standings.map(({ identity, only, not }) => {
          // What stands in `not` was said after `only`.
          const others = new Set(not.flatMap(numbersOf));
          const named = only == null ? [] : numbersOf(only);
          const left = named.filter((number) => !others.has(number));
          const any = only === undefined || (named.length > 0 && left.length === 0);
          return { identity, only: any ? undefined : left, not: others };
        }),
      );
    }
    const counts = new Int32Array(map.labels.length);
    let everywhere = 0;
    const add = (index: number, change: number): void => {
      counts[index] = counts[index]! + change;
    };
    const touched = (numbers: Iterable<number>): Set<number> =>
      new Set([...numbers].map((number) => map.classOf[number]!).filter((index) => index >= 0));
    for (const standing of [...placed.values()].flat()) {
      if (standing.only === undefined) {
        for (const index of touched(standing.not)) if (isRetracted(standing, members[index]!)) add(index, 1);
      } else {
        everywhere++;
        for (const index of touched(standing.only)) add(index, -1);
      }
    }
    for (let index = 0; index < counts.length; index++) add(index, everywhere);
    return {
      counts,
      has: (classIndex, identity, at) => {
        const standing = placed.get(identity[at]!)?.find((one) => isSame(one.identity, identity, at));
        return standing !== undefined && isRetracted(standing, members[classIndex]!);
      },
    };
  }

  /**
   * Which images people placed in which of a version's classes: those that are said to be of one, where that is one class of the version and no more.
   * Names as for `retractions`.
   */
  placements(map: ClassMap, teacher: ClassNames): Placement[] {
    const placements: Placement[] = [];
    for (const { sha256, only, not } of [...this.#images.values()].flat()) {
      if (only == null || sha256 === null) continue;
      const others = new Set(not.flatMap((named) => numbersNamed(named, map, teacher)));
      const numbers = numbersNamed(only, map, teacher).filter((number) => !others.has(number));
      const [index, ...more] = new Set(numbers.map((number) => map.classOf[number]!));
      if (index !== undefined && index >= 0 && more.length === 0) placements.push({ sha256, class: index });
    }
    return placements;
  }

  #of(sha256: string): Standing {
    const identity = identityOf(sha256);
    const near = this.#images.get(identity[0]!) ?? [];
    const known = near.find((one) => isSame(one.identity, identity, 0));
    if (known !== undefined) return known;
    const made: Standing = { identity, sha256: null, only: undefined, not: [], erased: false };
    this.#images.set(identity[0]!, [...near, made]);
    return made;
  }
}

/** The teacher's classes that a name means: its own or, where it has none of that name, those that a class of the version stands for. */
export function numbersNamed(named: Named, { labels, members }: ClassMap, teacher: ClassNames): number[] {
  const own = classesNamed(teacher, named.class, named.number);
  return own.length > 0 ? own : [...(members[labels.indexOf(named.class)] ?? [])];
}

/** The first 128 bits of a digest as big-endian words. `sha256` is hexadecimal. */
export function identityOf(sha256: string): Uint32Array {
  return Uint32Array.from({ length: 4 }, (_, word) => parseInt(sha256.slice(8 * word, 8 * word + 8), 16));
}

function isRetracted({ only, not }: Placed, members: Int32Array): boolean {
  if (only === undefined) return not.size > 0 && members.every((member) => not.has(member));
  return !only.some((number) => members.includes(number));
}

function isSameName(a: Named, b: Named): boolean {
  return a.class === b.class && a.number === b.number;
}

function isSame(mine: Uint32Array, identity: Uint32Array, at: number): boolean {
  return [0, 1, 2, 3].every((word) => mine[word] === identity[at + word]);
}
