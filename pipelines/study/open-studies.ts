import { loadTeacher } from "../../connectors/engine/teacher/teacher-files.js";
import type { Config } from "../../schemas/config.js";
import { DEFAULT_P, FEW_CLASSES } from "../../schemas/dataset.js";
import { counted } from "../../schemas/counted.js";
import { SluiceError } from "../../schemas/errors.js";
import { modelCardSchema, teacherDigest } from "../../schemas/model-card.js";
import { publishingParts } from "../open/open-scoring.js";
import { openSource } from "../open/open-source.js";
import { openTraining } from "../open/open-training.js";
import { NOTHING_SCORED } from "../train.js";
import { assertEveryClass, countsOf, readLabelledSet } from "../training/labelled-set.js";
import { assertTestApart } from "../training/test-images-apart.js";
import { studyBase, type StudyBase } from "./study-arms.js";
import { describeUnlabelled } from "./study-images.js";
import type { StudiedImages } from "./study-page.js";
import { StudyWorld, type StudyWorldOptions } from "./study-world.js";

export interface OpenStudiesOptions extends Pick<
  StudyWorldOptions,
  "folder" | "config" | "signal" | "onProgress" | "onNote" | "nowMs" | "newId"
> {
  readonly config: Config;
  readonly labelled: string;
  readonly test: string;
  /** A folder, or tar shards */
  readonly unlabelled: readonly string[];
  /** A model in the place of one that is trained */
  readonly teacher?: string | undefined;
  readonly input: { readonly width: number; readonly height: number; readonly colour: "rgb" | "grey" };
  readonly k: number | ((images: number, classes: number) => number);
  readonly p?: number | undefined;
  readonly steps: Parameters<typeof studyBase>[0]["steps"];
  readonly backend: string;
}

/** A world on a person's own images, the same under every seed. Throws E_TRAIN_DATA, E_TRAIN_OVERLAP, E_SOURCE_…, E_ENGINE_UNAVAILABLE, E_USAGE. */
export async function openStudies(
  options: OpenStudiesOptions,
): Promise<{ readonly world: StudyWorld; readonly base: StudyBase; readonly images: StudiedImages }> {
  const { config, signal, onProgress } = options;
  const { maxBytes } = config.decode;
  const given = options.teacher === undefined ? null : await loadTeacher(options.teacher);
  const labelled = await readLabelledSet(options.labelled, given === null ? null : given.card.labels, maxBytes);
  const classes = labelled.labels.length;
  if (classes < 2) {
    throw new SluiceError(
      "E_TRAIN_DATA",
      `Expected at least two classes in ${labelled.path}, found ${labelled.labels[0]!} alone.`,
    );
  }
  assertEveryClass(labelled, countsOf(labelled));
  const test = await readLabelledSet(options.test, labelled.labels, maxBytes);
  await assertTestApart(test, { labelled });
  const { opener } = publishingParts(config);
  const openUnlabelled = () => openSource(config, options.unlabelled, { kept: null });
  const onImage = (done: number): void => {
    onProgress({ ...NOTHING_SCORED, phase: "read unlabelled images", done, total: null });
  };
  const unlabelled = await describeUnlabelled(await openUnlabelled(), opener, { maxBytes, signal, onImage });
  const { input, resize } = modelCardSchema.pick({ input: true, resize: true }).parse({
    input: options.input,
    resize: given?.card.resize ?? {},
  });
  const base = studyBase({
    input,
    classes,
    k: typeof options.k === "number" ? options.k : options.k(unlabelled.count, classes),
    p: options.p ?? (classes <= FEW_CLASSES ? 1 : DEFAULT_P),
    given: given === null ? undefined : teacherDigest(given.card),
    steps: options.steps,
  });
  const images = { labelled, test, unlabelled, openUnlabelled };
  const world = new StudyWorld({
    ...options,
    ...(await openTraining(config, options.backend)),
    view: { input, resize },
    imagesOf: () => Promise.resolve(images),
    given: options.teacher,
  });
  return {
    world,
    base,
    images: {
      labelled: `${counted(labelled.images.length, "picture")} of ${classes} classes in ${labelled.path}`,
      unlabelled: `${counted(unlabelled.count, "picture")} in ${options.unlabelled.join(", ")}`,
      test: `${counted(test.images.length, "picture")} in ${test.path}`,
    },
  };
}
