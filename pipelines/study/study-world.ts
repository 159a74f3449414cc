import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Decoder } from "../../connectors/decoder/decoder.js";
import { loadTeacher } from "../../connectors/engine/teacher/teacher-files.js";
import type { Architecture, Trainer } from "../../connectors/trainer/trainer.js";
import type { Schedule } from "../../operators/training/fit.js";
import { DEFAULT_GATE } from "../../operators/training/gate.js";
import { canonicalJson, type Json } from "../../schemas/canonical.js";
import type { Config } from "../../schemas/config.js";
import { orNull, SluiceError } from "../../schemas/errors.js";
import type { Manifest } from "../../schemas/manifest.js";
import { teacherDigest, type ModelCard } from "../../schemas/model-card.js";
import type { OnProgress } from "../../schemas/progress.js";
import {
  armDigest,
  armResultSchema,
  type ArmResult,
  type ModelRecipe,
  type VersionRecipe,
} from "../../schemas/study.js";
import { evaluateModel } from "../training/evaluate-model.js";
import { tfjsModelTrainer, type TfjsConfiguration } from "../training/tfjs-model-trainer.js";
import { MAX_TRAINING_BYTES } from "../training/train-defaults.js";
import { trainOnce, writeWhole } from "../training/train-once.js";
import { lastGoodOf } from "../train.js";
import { ScoredImages, type VersionOfStudy } from "./scored-images.js";
import type { StudyImages } from "./study-images.js";

export interface StudyWorldOptions {
  /** Where everything of the studies lies: models by their trainings' digests, scores, results */
  readonly folder: string;
  readonly config: Config;
  readonly trainer: Trainer;
  readonly decoder: Decoder;
  /** What all models see */
  readonly view: Pick<ModelCard, "input" | "resize">;
  readonly imagesOf: (seed: number) => Promise<StudyImages>;
  /** Folder of the model that recipes of kind `given` mean */
  readonly given?: string | undefined;
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
  readonly onNote: (line: string) => void;
  readonly nowMs: () => number;
  readonly newId: () => string;
}

export interface StudyModel {
  readonly folder: string;
  readonly digest: string;
}

/** Steps apart that seeds of the same study never are: what a recipe's salt is multiplied by */
const SALT = 1_000_003;

/** Makes what recipes say, each once: models, scores, versions and results lie in the folder by the digests of what they are made from. */
export class StudyWorld {
  readonly #options: StudyWorldOptions;
  readonly #scored: ScoredImages;
  /** What this process has made or found, by recipe and seed */
  readonly #models = new Map<string, StudyModel>();

  constructor(options: StudyWorldOptions) {
    this.#options = options;
    this.#scored = new ScoredImages(options);
  }

  /** What an arm came to, where it has been made. Throws E_STORE_CORRUPT. */
  async known(recipe: ModelRecipe, seed: number): Promise<ArmResult | null> {
    const path = this.#resultPath(await this.#digest(recipe, seed));
    const text = await orNull(readFile(path, "utf8"), "ENOENT");
    if (text === null) return null;
    try {
      return armResultSchema.parse(JSON.parse(text));
    } catch (cause) {
      throw new SluiceError(
        "E_STORE_CORRUPT",
        `Expected the result of a study's arm at ${path}, found something else. Delete the file: the arm is then judged again.`,
        { cause, path },
      );
    }
  }

  /** What an arm comes to: as it is recorded, or made now. Throws what training, scoring, cutting and evaluating throw. */
  async result(recipe: ModelRecipe, seed: number): Promise<ArmResult> {
    const before = await this.known(recipe, seed);
    if (before !== null) return before;
    const { config, nowMs } = this.#options;
    const startedMs = nowMs();
    const digest = await this.#digest(recipe, seed);
    const { labelled, test } = await this.#options.imagesOf(seed);
    const version = await this.#versionOf(recipe, seed);
    const model = await this.model(recipe, seed);
    const evaluation = await evaluateModel({
      ...this.#options,
      model: model.folder,
      test: test.path,
      trainedOn: { labelled: labelled.path, version: version ?? undefined },
      rule: DEFAULT_GATE,
      engine: config.engine,
      decode: config.decode,
    });
    const result: ArmResult = {
      schemaVersion: 1,
      digest,
      seed,
      model: model.digest,
      metrics: evaluation.model.metrics,
      version: version === null ? null : versionFigures(version.manifest),
      tookMs: nowMs() - startedMs,
      at: new Date(nowMs()).toISOString(),
    };
    const path = this.#resultPath(digest);
    await mkdir(join(this.#options.folder, "results"), { recursive: true });
    await writeWhole(path, `${JSON.stringify(armResultSchema.parse(result))}\n`);
    return result;
  }

  async model(recipe: ModelRecipe, seed: number): Promise<StudyModel> {
    const key = canonicalJson({ recipe, seed } as unknown as Json);
    const before = this.#models.get(key);
    if (before !== undefined) return before;
    const made = await this.#make(recipe, seed);
    this.#models.set(key, made);
    return made;
  }

  async version(recipe: VersionRecipe, seed: number): Promise<VersionOfStudy> {
    const { folder } = await this.model(recipe.teacher, seed);
    return this.#scored.version(folder, recipe, await this.#options.imagesOf(seed));
  }

  /** The greatest of some K with which every class of a teacher's version is full and cut off at or above `cutOff`; null where none is. */
  async greatestK(recipe: VersionRecipe, seed: number, ks: readonly number[], cutOff: number): Promise<number | null> {
    const { folder } = await this.model(recipe.teacher, seed);
    const images = await this.#options.imagesOf(seed);
    const answers = await this.#scored.answers(folder, recipe, images, ks);
    const fit = answers.filter(({ full, classes, cutoff }) => full === classes && (cutoff?.lowest ?? 0) >= cutOff);
    return fit.reduce<number | null>((most, { k }) => Math.max(most ?? 0, Number(k)), null);
  }

  /** ms that one more arm may take: the mean of those in the folder; null where there is none yet. */
  async meanMs(): Promise<number | null> {
    const folder = join(this.#options.folder, "results");
    const names = (await orNull(readdir(folder), "ENOENT")) ?? [];
    const took: number[] = [];
    for (const name of names.filter((one) => one.endsWith(".json")))
      took.push(armResultSchema.parse(JSON.parse(await readFile(join(folder, name), "utf8"))).tookMs);
    return took.length === 0 ? null : took.reduce((sum, ms) => sum + ms, 0) / took.length;
  }

  async #make(recipe: ModelRecipe, seed: number): Promise<StudyModel> {
    switch (recipe.kind) {
      case "given": {
        const { given } = this.#options;
        if (given === undefined) throw new RangeError("a recipe means a given model, and there is none");
        const { card, folder } = await loadTeacher(given);
        return { folder, digest: teacherDigest(card) };
      }
      case "labelled":
        return this.#train(seed + SALT * (recipe.salt ?? 0), seed, null, {
          architecture: recipe.architecture as Architecture,
          first: recipe.schedule as Schedule,
        });
      case "pre-trained":
        return this.#train(seed + SALT * (recipe.salt ?? 0), seed, await this.version(recipe.version, seed), {
          architecture: recipe.architecture as Architecture,
          first: recipe.schedule as Schedule,
          fineTune: null,
          ...(recipe.mix === undefined ? {} : { mix: recipe.mix }),
          ...(recipe.soften === undefined ? {} : { soften: recipe.soften }),
        });
      case "fine-tuned": {
        const start = await this.model(recipe.from, seed);
        const schedule = recipe.schedule as Schedule;
        const { architecture } = architectureOf(recipe.from);
        const configuration = { architecture, first: schedule, fineTune: schedule, start: start.digest };
        return this.#train(seed, seed, null, configuration, start.folder);
      }
    }
  }

  async #train(
    trainingSeed: number,
    seed: number,
    version: VersionOfStudy | null,
    configuration: TfjsConfiguration,
    startFolder?: string,
  ): Promise<StudyModel> {
    const { config, folder, view, signal, onProgress, onNote, nowMs } = this.#options;
    const { labelled } = await this.#options.imagesOf(seed);
    const trained = await trainOnce({
      trainer: tfjsModelTrainer({
        ...this.#options,
        decode: config.decode,
        configuration,
        maxBytes: MAX_TRAINING_BYTES,
        lastGood: lastGoodOf(join(folder, "models", "model")),
        ...(startFolder === undefined ? {} : { startFolder }),
      }),
      inputs: { ...view, seed: trainingSeed },
      folder: (digest) => join(folder, "models", digest),
      labelled,
      version,
      name: "model of a study",
      signal,
      onProgress,
      onNote,
      nowMs,
    });
    return { folder: trained.folder, digest: trained.record.model };
  }

  async #versionOf(recipe: ModelRecipe, seed: number): Promise<VersionOfStudy | null> {
    if (recipe.kind === "fine-tuned") return this.#versionOf(recipe.from, seed);
    return recipe.kind === "pre-trained" ? this.version(recipe.version, seed) : null;
  }

  async #digest(recipe: ModelRecipe, seed: number): Promise<string> {
    const { trainer, view } = this.#options;
    const { labelled, unlabelled, test } = await this.#options.imagesOf(seed);
    const { library, version, backend } = trainer;
    return armDigest({
      recipe,
      seed,
      labelled: labelled.digest,
      unlabelled: unlabelled.digest,
      test: test.digest,
      trainer: { library, version, backend },
      ...view,
    });
  }

  #resultPath(digest: string): string {
    return join(this.#options.folder, "results", `${digest}.json`);
  }
}

function architectureOf(recipe: ModelRecipe): { readonly architecture: Architecture } {
  if (recipe.kind === "fine-tuned") return architectureOf(recipe.from);
  if (recipe.kind === "given") throw new RangeError("a given model is a teacher; it is not trained further");
  return { architecture: recipe.architecture as Architecture };
}

function versionFigures({ id, classes }: Manifest): NonNullable<ArmResult["version"]> {
  const worst = classes.flatMap(({ worst: probability }) => (probability === null ? [] : [probability]));
  return {
    id,
    rows: classes.reduce((sum, { count }) => sum + count, 0),
    starving: classes.filter(({ starving }) => starving).length,
    cutOff: worst.length === 0 ? null : Math.min(...worst),
  };
}
