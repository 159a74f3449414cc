import { SeededRandom } from "../../operators/training/seeded-random.js";
import { DISTRACTOR_KINDS, drawDistractor, type DigitSupply } from "./distractors.js";
import { AREA, indicesByDigit, SIDE, type Digits } from "./mnist.js";

export interface ImagePlanOptions {
  /** Same seed, same files */
  readonly seed: number;
  /** Labelled images, long-tailed, at least 3 a class */
  readonly labelled: number;
  /** Readable files among the wild ones: digits, distractors and duplicates */
  readonly unlabelled: number;
  /** Share of the readable wild files that are no digits, [0, 1) */
  readonly distractorShare: number;
  /** Share of the readable wild files that repeat another's bytes, [0, 1) */
  readonly duplicateShare: number;
  /** Wild files that no decoder should accept, beside `unlabelled` */
  readonly broken: number;
  /** Test images, the same number of each digit */
  readonly test: number;
  /** s of Zipf's law: the class of rank r is r^-s as frequent as the first */
  readonly zipfExponent: number;
}

export type PlannedFile =
  | { readonly path: string; readonly make: "encode"; readonly format: "png" | "jpg"; readonly pixels: Uint8Array }
  /** The same bytes as the file planned at `source` */
  | { readonly path: string; readonly make: "repeat"; readonly source: number }
  /** `path` has no extension yet: it belongs to the fault */
  | { readonly path: string; readonly make: "break"; readonly pixels: Uint8Array; readonly random: SeededRandom };

/** What a wild file really is. Known to the report only. */
export interface Truth {
  /** `digit`, `distractor:<kind>` or `broken` */
  readonly kind: string;
  /** 0 to 9, null where it is none */
  readonly digit: number | null;
  /** Index into `files` of the one whose bytes it repeats */
  readonly duplicateOf: number | null;
}

export interface ImagePlan {
  readonly files: readonly PlannedFile[];
  /** By index into `files`; only wild files have one. */
  readonly truth: ReadonlyMap<number, Truth>;
  /** Digits from frequent to rare, the same order in `labelled` and in `wild` */
  readonly order: readonly number[];
}

/**
 * Which picture goes where. Labelled, wild and test images come from different MNIST images: the first two from its
 * training part, the test images from its test part. A digit that MNIST has too few of is repeated moved by one or two pixels.
 */
export function planImages(mnist: { train: Digits; test: Digits }, options: ImagePlanOptions): ImagePlan {
  const random = new SeededRandom(options.seed, "quickstart images");
  const order = random.shuffle([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const supply = indicesByDigit(mnist.train).map((indices) => random.shuffle(indices));
  const files: PlannedFile[] = [];
  const truth = new Map<number, Truth>();
  const encode = (path: string, pixels: Uint8Array): void => {
    const format = random.next() < 0.5 ? "png" : "jpg";
    files.push({ path: `${path}.${format}`, make: "encode", format, pixels });
  };

  zipfCounts(options.labelled, 10, options.zipfExponent, 3).forEach((count, rank) => {
    const digit = order[rank]!;
    for (let at = 0; at < count; at++) {
      encode(`labelled/${digit}/${String(at).padStart(3, "0")}`, imageOf(mnist.train, supply[digit]!.pop()!));
    }
  });

  const perDigit = Math.floor(options.test / 10);
  indicesByDigit(mnist.test).forEach((indices, digit) => {
    random.shuffle(indices);
    indices.slice(0, perDigit).forEach((index, at) => {
      encode(`test/${digit}/${String(at).padStart(4, "0")}`, imageOf(mnist.test, index));
    });
  });

  const distractors = Math.round(options.unlabelled * options.distractorShare);
  const duplicates = Math.round(options.unlabelled * options.duplicateShare);
  const wild: { pixels: Uint8Array; truth: Truth }[] = [];
  zipfCounts(options.unlabelled - distractors - duplicates, 10, options.zipfExponent, 0).forEach((count, rank) => {
    const digit = order[rank]!;
    const used: number[] = [];
    for (let at = 0; at < count; at++) {
      const fresh = supply[digit]!.pop();
      if (fresh !== undefined) used.push(fresh);
      const image = imageOf(mnist.train, fresh ?? used[at % used.length]!);
      const pixels = fresh === undefined ? moved(image, random) : image;
      wild.push({ pixels, truth: { kind: "digit", digit, duplicateOf: null } });
    }
  });
  const spare: DigitSupply = (digits) => {
    const left = digits.filter((digit) => supply[digit]!.length > 0);
    const from = random.pick(left.length > 0 ? left : digits);
    return imageOf(mnist.train, supply[from]!.pop() ?? random.pick(indicesByDigit(mnist.train)[from]!));
  };
  for (let at = 0; at < distractors; at++) {
    const kind = DISTRACTOR_KINDS[at % DISTRACTOR_KINDS.length]!;
    const pixels = drawDistractor(kind, random, spare);
    wild.push({ pixels, truth: { kind: `distractor:${kind}`, digit: null, duplicateOf: null } });
  }

  const name = wildNames(random);
  const firstWild = files.length;
  for (const { pixels, truth: what } of random.shuffle(wild)) {
    truth.set(files.length, what);
    encode(name(), pixels);
  }
  const originals = files.length - firstWild;
  for (let at = 0; at < duplicates && originals > 0; at++) {
    const source = firstWild + random.below(originals);
    const { path } = files[source]!;
    truth.set(files.length, { ...truth.get(source)!, duplicateOf: source });
    files.push({ path: name() + path.slice(path.lastIndexOf(".")), make: "repeat", source });
  }
  for (let at = 0; at < options.broken; at++) {
    truth.set(files.length, { kind: "broken", digit: null, duplicateOf: null });
    const pixels = spare([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    files.push({ path: name(), make: "break", pixels, random: new SeededRandom(random.uint32(), "broken file") });
  }
  return { files, truth, order };
}

/**
 * `total` things shared out over `classes` by Zipf's law, largest first; the sum is `total`. Where the law gives a class
 * fewer than `least`, it gets `least` at the expense of the largest (as far as the total goes).
 */
export function zipfCounts(total: number, classes: number, exponent: number, least: number): number[] {
  const weights = Array.from({ length: classes }, (_, rank) => (rank + 1) ** -exponent);
  const sum = weights.reduce((all, weight) => all + weight, 0);
  const floor = Math.min(least, Math.floor(total / classes));
  const counts = weights.map((weight) => Math.max(floor, Math.floor((total * weight) / sum)));
  let left = total - counts.reduce((all, n) => all + n, 0);
  for (let rank = 0; left > 0; left--, rank++) counts[rank % classes]!++;
  for (; left < 0; left++) counts[counts.indexOf(Math.max(...counts))]!--;
  return counts;
}

/** Names that tell nothing, in nested folders. None comes twice. */
function wildNames(random: SeededRandom): () => string {
  const taken = new Set<number>();
  return () => {
    for (;;) {
      const number = random.uint32();
      if (taken.has(number)) continue;
      taken.add(number);
      const hex = number.toString(16).padStart(8, "0");
      return `wild/${hex[0]}/${hex[1]}/img-${hex}`;
    }
  };
}

function imageOf(digits: Digits, index: number): Uint8Array {
  return digits.pixels.subarray(index * AREA, (index + 1) * AREA);
}

/** One or two pixels aside, black coming in. */
function moved(image: Uint8Array, random: SeededRandom): Uint8Array {
  const steps = [-2, -1, 1, 2];
  const [right, down] = [random.pick(steps), random.pick(steps)];
  const out = new Uint8Array(AREA);
  for (let y = Math.max(0, down); y < Math.min(SIDE, SIDE + down); y++) {
    for (let x = Math.max(0, right); x < Math.min(SIDE, SIDE + right); x++) {
      out[y * SIDE + x] = image[(y - down) * SIDE + x - right]!;
    }
  }
  return out;
}
