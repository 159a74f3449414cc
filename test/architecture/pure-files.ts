/** Folders that only compute: no I/O, clock, randomness or waiting in any of their files. */
const PURE_FOLDERS = ["operators/topk", "operators/select"];

/** Files beside those that do I/O which only compute, too, without their ending. */
const PURE_FILES = new Set(
  Object.entries({
    archive: ["merge-groups", "offset-ranges", "run-index", "segment-builder", "select-rows"],
    image: ["decode-plan", "output-signs", "pdq"],
    state: ["coverage"],
    training: [
      "augmentation",
      "evaluation",
      "gate",
      "learning-rate",
      "loss-watch",
      "paired-comparison",
      "pixel-statistics",
      "readings",
      "sampling",
      "seeded-random",
      "student-interval",
      "mixed-examples",
      "temperature",
    ],
    version: ["kept-versions", "publish-plan", "unwanted"],
  }).flatMap(([folder, names]) => names.map((name) => `operators/${folder}/${name}.ts`)),
);

export function isPure(path: string): boolean {
  return PURE_FILES.has(path) || PURE_FOLDERS.some((folder) => path.startsWith(`${folder}/`));
}

/** The files that the list names, so that a test can tell one that is gone. */
export const listedPureFiles: readonly string[] = [...PURE_FILES];
