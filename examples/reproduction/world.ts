import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { publishingParts } from "../../pipelines/open/open-scoring.js";
import { openSource } from "../../pipelines/open/open-source.js";
import { openTraining } from "../../pipelines/open/open-training.js";
import { studyBase, type StudyBase } from "../../pipelines/study/study-arms.js";
import { describeUnlabelled, type StudyImages, type UnlabelledSet } from "../../pipelines/study/study-images.js";
import { StudyWorld } from "../../pipelines/study/study-world.js";
import { readLabelledSet } from "../../pipelines/training/labelled-set.js";
import { writeWhole } from "../../pipelines/training/train-once.js";
import { configSchema } from "../../schemas/config.js";
import { orNull } from "../../schemas/errors.js";
import { modelCardSchema } from "../../schemas/model-card.js";
import type { ReproductionFolders } from "./mnist-images.js";

/** What all models see, px */
const SIDE = 14;
/** K of the arms that are not about it: 13 % of |U|, as in the paper */
const K = 800;

export interface ReproductionWorld {
  readonly world: StudyWorld;
  readonly base: StudyBase;
}

/** Half of the default steps for what is pre-trained, so that all parts fit; the others as by default. */
export const PRETRAIN_STEPS = 2000;

export async function reproductionWorlds(
  folder: string,
  images: ReproductionFolders,
  { signal, note }: { readonly signal: AbortSignal; readonly note: (line: string) => void },
): Promise<(labels: number) => ReproductionWorld> {
  // One worker decodes and scores: training, which takes most of the time, runs in this process.
  const config = configSchema.parse({ data: folder, engine: { workers: 1 } });
  const training = await openTraining(config, "auto");
  const { opener } = publishingParts(config);
  const openUnlabelled = () => openSource(config, [images.unlabelled], { kept: null });
  let described: Promise<UnlabelledSet> | null = null;
  const unlabelled = () => {
    const { maxBytes } = config.decode;
    described ??= rememberedSet(`${images.unlabelled}.json`, async () =>
      describeUnlabelled(await openUnlabelled(), opener, { maxBytes, signal, onImage: () => undefined }),
    );
    return described;
  };
  const view = modelCardSchema.pick({ input: true, resize: true }).parse({
    input: { width: SIDE, height: SIDE, colour: "grey" },
    resize: {},
  });
  const base = studyBase({ input: view.input, classes: 10, k: K, p: 1, steps: { pretrain: PRETRAIN_STEPS } });
  const test = readLabelledSet(images.test, null, config.decode.maxBytes);
  return (labels) => {
    const known = new Map<number, Promise<StudyImages>>();
    const read = async (seed: number): Promise<StudyImages> => {
      const path = await images.labelled(seed, labels);
      return {
        labelled: await readLabelledSet(path, (await test).labels, config.decode.maxBytes),
        test: await test,
        unlabelled: await unlabelled(),
        openUnlabelled,
      };
    };
    const world = new StudyWorld({
      folder: resolve(folder, "studies"),
      config,
      ...training,
      view,
      imagesOf: (seed) => {
        const before = known.get(seed);
        const now = before ?? read(seed);
        known.set(seed, now);
        return now;
      },
      signal,
      onProgress: () => undefined,
      onNote: note,
      nowMs: Date.now,
      newId: randomUUID,
    });
    return { world, base };
  };
}

/** What the shard holds, which nobody changes: it is read through once. */
async function rememberedSet(path: string, describe: () => Promise<UnlabelledSet>): Promise<UnlabelledSet> {
  const text = await orNull(readFile(path, "utf8"), "ENOENT");
  if (text !== null) return JSON.parse(text) as UnlabelledSet;
  const set = await describe();
  await writeWhole(path, JSON.stringify(set));
  return set;
}
