import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Decoder } from "../../connectors/decoder/decoder.js";
import { loadTeacher } from "../../connectors/engine/teacher/teacher-files.js";
import type { Store } from "../../connectors/store/store.js";
import { readCards } from "../../operators/archive/teacher-registry.js";
import { addGuardSet, readGuard } from "../../operators/version/guard-sets.js";
import { newestManifest } from "../../operators/version/manifests.js";
import { canonicalJson, sha256Hex, type Json } from "../../schemas/canonical.js";
import { configSchema, type Config } from "../../schemas/config.js";
import { datasetSchema, type Dataset } from "../../schemas/dataset.js";
import { orNull, SluiceError } from "../../schemas/errors.js";
import { guardCount, guardEntries } from "../../schemas/guard.js";
import type { Manifest } from "../../schemas/manifest.js";
import { teacherDigest } from "../../schemas/model-card.js";
import type { OnProgress } from "../../schemas/progress.js";
import { PDQ_BYTES } from "../../schemas/pdq-hash.js";
import type { VersionRecipe } from "../../schemas/study.js";
import { memoryLimit } from "../flow/memory-estimate.js";
import { ingest } from "../ingest.js";
import { openScoring, publishingParts } from "../open/open-scoring.js";
import { openStore, openWorkspace } from "../open/workspace.js";
import { rebuild } from "../rebuild.js";
import type { LabelledSet } from "../training/labelled-set.js";
import { writeWhole } from "../training/train-once.js";
import { rebuildPlace } from "../versions/rebuild-place.js";
import { whatif } from "../whatif.js";
import type { SettingAnswer } from "../whatif/whatif-answer.js";
import { shareOf, type StudyImages } from "./study-images.js";

export interface ScoredImagesOptions {
  /** Of the studies: scores lie below it, a data folder for each teacher and share of the images */
  readonly folder: string;
  readonly config: Config;
  readonly decoder: Decoder;
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
  readonly onNote: (line: string) => void;
  readonly nowMs: () => number;
  readonly newId: () => string;
}

export interface VersionOfStudy {
  readonly store: Store;
  readonly manifest: Manifest;
}

/** Written when all of the images are scored */
const DONE_FILE = "scored";

/** Unlabelled images through teachers, and versions of their scores: ingest and rebuild, in folders of their own. */
export class ScoredImages {
  readonly #options: ScoredImagesOptions;

  constructor(options: ScoredImagesOptions) {
    this.#options = options;
  }

  /** The version that a teacher's scores give, made unless it is there. Throws what ingest and rebuild throw. */
  async version(teacher: string, { share, select }: VersionRecipe, images: StudyImages): Promise<VersionOfStudy> {
    const { config, store, digest } = await this.#scored(teacher, share, images);
    const dataset = datasetOf(select);
    const before = await newestManifest(store, dataset.name);
    if (before !== null) return { store, manifest: before };
    const { signal, onProgress, onNote, nowMs, newId } = this.#options;
    const { manifest } = await rebuild({
      store,
      dataset,
      stream: config.stream,
      teacher: digest,
      ...publishingParts(config),
      sheets: null,
      trigger: "study",
      // A study asks what such a version is worth, too.
      allow: { empty: false, absentBytes: false, starving: true },
      signal,
      onProgress,
      onWarning: onNote,
      nowMs,
      newId,
    });
    return { store, manifest };
  }

  /** What versions of some K would be. */
  async answers(
    teacher: string,
    { share, select }: VersionRecipe,
    images: StudyImages,
    ks: readonly number[],
  ): Promise<SettingAnswer[]> {
    const { config, store, digest } = await this.#scored(teacher, share, images);
    const { stream } = config;
    const dataset = datasetOf(select);
    const card = (await readCards(store)).get(digest)!;
    const { answers } = await whatif({
      store,
      dataset,
      card,
      stream,
      ...(await rebuildPlace(store, { teacher: digest, stream }, dataset, {}, {})),
      settings: { k: ks, p: [select.p], temperature: [null] },
      maxStateBytes: memoryLimit(),
      onProgress: this.#options.onProgress,
      signal: this.#options.signal,
    });
    return answers.filter((answer): answer is SettingAnswer => "rows" in answer);
  }

  /** The store that has the teacher's scores of a share of the images; what an interrupted run has left of them is gone on with. */
  async #scored(
    teacher: string,
    share: number,
    images: StudyImages,
  ): Promise<{ readonly config: Config; readonly store: Store; readonly digest: string }> {
    const { card } = await loadTeacher(teacher);
    const digest = teacherDigest(card);
    const { labelled, test, unlabelled } = images;
    const named = { digest, share, unlabelled: unlabelled.digest, labelled: labelled.digest, test: test.digest };
    const folder = join(this.#options.folder, "scored", shortDigest(named));
    const config = configSchema.parse({
      data: folder,
      teacher,
      decode: this.#options.config.decode,
      engine: this.#options.config.engine,
      archive: { logits: "all" },
      datasets: [{ name: "study", select: { k: 1, p: 1 } }],
    });
    const done = join(folder, DONE_FILE);
    if ((await orNull(readFile(done), "ENOENT")) === null) {
      await this.#score(config, share, images);
      await writeWhole(done, "");
    }
    return { config, store: await openStore(config), digest };
  }

  async #score(config: Config, share: number, images: StudyImages): Promise<void> {
    const { signal, onProgress, onNote, nowMs, newId } = this.#options;
    const workspace = await openWorkspace(config, "study");
    try {
      const { sets } = await readGuard(workspace.store);
      for (const name of ["labelled", "test"] as const)
        if (!sets.some((set) => set.name === name))
          await addGuardSet(workspace.store, guardOfSet(images[name], name, nowMs()));
      const scoring = await openScoring(config, () => undefined, { keepsStates: false });
      try {
        const source = shareOf(await images.openUnlabelled(), share);
        const { stopped } = await ingest({
          workspace,
          ...scoring,
          source,
          publish: false,
          stop: signal,
          onProgress,
          onWarning: onNote,
          nowMs,
          newId,
        });
        if (stopped) {
          throw new SluiceError("E_CANCELLED", "Stopped on request while scoring. The same command goes on.", {
            cause: signal.reason,
          });
        }
      } finally {
        await scoring.close();
      }
    } finally {
      await workspace.close();
    }
  }
}

function datasetOf(select: VersionRecipe["select"]): Dataset {
  return datasetSchema.parse({ name: `study-${shortDigest(select)}`, select });
}

/** Labelled and test images enter no version of a study, by their digests: digits and other small pictures have near duplicates that are other images. */
function guardOfSet({ images, path }: LabelledSet, name: string, atMs: number) {
  const hash = new Uint8Array(PDQ_BYTES);
  const entries = guardEntries(images.map(({ sha256 }) => ({ digest: Buffer.from(sha256, "hex"), hash, quality: 0 })));
  return { name, atMs, from: path, distance: 0, images: guardCount(entries), entries };
}

/** A name for what a value says, short enough for a folder. */
function shortDigest(value: unknown): string {
  return sha256Hex(canonicalJson(value as Json)).slice(0, 32);
}
