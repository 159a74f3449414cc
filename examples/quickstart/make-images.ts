import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { SluiceError } from "../../schemas/errors.js";
import { breakFile } from "./broken-files.js";
import { planImages, type ImagePlan, type ImagePlanOptions, type PlannedFile } from "./image-plan.js";
import { readMnist, SIDE } from "./mnist.js";

export const QUICKSTART_IMAGES: Omit<ImagePlanOptions, "seed"> = {
  labelled: 100,
  unlabelled: 30_000,
  distractorShare: 0.2,
  duplicateShare: 0.03,
  broken: 33,
  test: 2000,
  zipfExponent: 1,
};

export interface MakeImagesOptions extends Partial<ImagePlanOptions> {
  readonly seed: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: { readonly written: number; readonly total: number }) => void;
}

export interface QuickstartImages {
  /** One subfolder a digit, each with a few labelled images */
  readonly labelled: string;
  /** Everything that is to be scored, nested, with names that tell nothing */
  readonly wild: string;
  /** One subfolder a digit */
  readonly test: string;
  /** CSV: path under `wild`, kind, digit, path of the file whose bytes it repeats. For the report only. */
  readonly truth: string;
  /** Digits from frequent to rare */
  readonly order: readonly number[];
  readonly files: number;
}

/**
 * Writes MNIST as image files (PNG and JPEG, 28 x 28, grey) into `folder`. The same seed writes the same bytes.
 * Throws E_CANCELLED when `signal` aborts: what was written until then stays.
 */
export async function makeQuickstartImages(folder: string, options: MakeImagesOptions): Promise<QuickstartImages> {
  const { signal, onProgress, ...asked } = options;
  const plan = planImages(await readMnist(), { ...QUICKSTART_IMAGES, ...asked });
  const total = plan.files.length;
  await makeFolders(folder, plan);

  const paths: string[] = Array.from({ length: total }, () => "");
  const repeated = new Set<number>();
  for (const file of plan.files) if (file.make === "repeat") repeated.add(file.source);
  const kept = new Map<number, Uint8Array>();
  let written = 0;
  const write = async (index: number, path: string, bytes: Uint8Array): Promise<void> => {
    paths[index] = path;
    await writeFile(join(folder, path), bytes);
    if (++written % 500 === 0 || written === total) onProgress?.({ written, total });
  };
  const make = async (index: number, file: PlannedFile): Promise<void> => {
    if (file.make === "repeat") return;
    if (file.make === "break") {
      const { extension, bytes } = await breakFile(index, file.pixels, file.random);
      await write(index, `${file.path}.${extension}`, bytes);
      return;
    }
    const bytes = await encode(file.pixels, file.format);
    if (repeated.has(index)) kept.set(index, bytes);
    await write(index, file.path, bytes);
  };
  await inParallel(plan.files, make, signal);
  const repeat = async (index: number, file: PlannedFile): Promise<void> => {
    if (file.make === "repeat") await write(index, file.path, kept.get(file.source)!);
  };
  await inParallel(plan.files, repeat, signal);

  const truth = join(folder, "truth.csv");
  await writeFile(truth, truthText(plan, paths));
  return {
    labelled: join(folder, "labelled"),
    wild: join(folder, "wild"),
    test: join(folder, "test"),
    truth,
    order: plan.order,
    files: total,
  };
}

async function encode(pixels: Uint8Array, format: "png" | "jpg"): Promise<Uint8Array> {
  const image = sharp(pixels, { raw: { width: SIDE, height: SIDE, channels: 1 } }).toColourspace("b-w");
  return format === "png" ? image.png().toBuffer() : image.jpeg({ quality: 92 }).toBuffer();
}

async function makeFolders(folder: string, plan: ImagePlan): Promise<void> {
  const folders = new Set(plan.files.map((file) => dirname(file.path)));
  for (const path of folders) await mkdir(join(folder, path), { recursive: true });
}

/** Enough at once to keep libvips' threads busy while others wait for the disk. */
const IN_FLIGHT = 8;

async function inParallel<T>(
  items: readonly T[],
  task: (index: number, item: T) => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      if (signal?.aborted === true) {
        throw new SluiceError("E_CANCELLED", "Stopped while writing the quickstart's images.", {
          cause: signal.reason,
        });
      }
      const index = next++;
      await task(index, items[index]!);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
}

function truthText(plan: ImagePlan, paths: readonly string[]): string {
  const lines = ["path,kind,digit,duplicateOf"];
  const under = (index: number): string => paths[index]!.slice("wild/".length);
  for (const [index, { kind, digit, duplicateOf }] of plan.truth) {
    lines.push(`${under(index)},${kind},${digit ?? ""},${duplicateOf === null ? "" : under(duplicateOf)}`);
  }
  return lines.join("\n") + "\n";
}
