import { copyFile, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createWriteStream } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { openEngine } from "../../connectors/engine/open.js";
import { loadTeacher } from "../../connectors/engine/teacher/teacher-files.js";
import { ownIdentity, stateOf, type ProcessIdentity, processStart } from "../../connectors/process-identity.js";
import { statIfThere } from "../../connectors/stat-if-there.js";
import type { Store } from "../../connectors/store/store.js";
import {
  runTrainingCommand,
  signalGroup,
  type TrainingMessage,
} from "../../connectors/trainer/command/training-command.js";
import { sha256Hex, type Json } from "../../schemas/canonical.js";
import { messageOf, orNull, SluiceError } from "../../schemas/errors.js";
import type { EngineConfig } from "../../schemas/config.js";
import type { Manifest, ManifestFile } from "../../schemas/manifest.js";
import { outputWidth } from "../../schemas/output-width.js";
import { CURVES_FILE, TRAINING_LOG_FILE } from "../../schemas/model-record.js";
import { pixelBytes } from "../../schemas/pixels.js";
import { NOTHING_SCORED } from "../train.js";
import { readSomeColumns } from "../versions/index-reader.js";
import { publishedSize, publishedStream } from "../versions/published-file.js";
import { shardFiles } from "../versions/shard-reader.js";
import type { ModelTrainer, TrainingJob } from "./model-trainer.js";
import { isUnusableModel, writeWhole } from "./train-once.js";

export interface CommandTrainerOptions {
  /** As a shell takes it; files that it names are part of a training's inputs */
  readonly command: string;
  /** Where it runs: relative paths in it begin there */
  readonly folder: string;
  /** For the program: it finds it in config.json */
  readonly configuration: Record<string, Json>;
  /** What it wrote is tried on it */
  readonly engine: EngineConfig;
  readonly environment: NodeJS.ProcessEnv;
  /** Without a line for so long the command is taken to hang */
  readonly silentMs: number;
  /** Between SIGTERM and SIGKILL */
  readonly killAfterMs: number;
}

const PROCESS_FILE = "process.json";
/** How often a command of an earlier run is looked at that is asked to end, ms */
const LOOK_MS = 100;

/** Any program: what it reads lies in a folder, what it writes in another. docs/loop.md describes both. */
export function commandModelTrainer(options: CommandTrainerOptions): ModelTrainer {
  return {
    async describe() {
      const { command, configuration } = options;
      return { trainer: { kind: "command", command, files: await namedFiles(options) }, configuration };
    },
    async train(job) {
      const input = join(job.work, "..", "in");
      await endEarlier(job.work, options.killAfterMs);
      await rm(input, { recursive: true, force: true });
      await mkdir(input, { recursive: true });
      const versionImages = await writeInput(input, job, options);
      const logPath = join(job.work, "..", TRAINING_LOG_FILE);
      const curves: string[] = [];
      await runTrainingCommand({
        ...options,
        environment: { ...options.environment, SLUICE_IN: input, SLUICE_OUT: job.out, SLUICE_WORK: job.work },
        logPath,
        signal: job.signal,
        onMessage: (message) => {
          report(job, message);
          const { phase = "train", step, loss } = message;
          if (step !== undefined && loss !== undefined) curves.push(JSON.stringify({ phase, step, loss }));
        },
        onStarted: (pid) => noteProcess(job.work, pid),
      });
      const told = await check(job, options);
      if ((await statIfThere(join(job.out, CURVES_FILE))) === null) {
        await writeFile(join(job.out, CURVES_FILE), curves.map((line) => `${line}\n`).join(""));
      }
      await copyFile(logPath, join(job.out, TRAINING_LOG_FILE));
      return { versionImages, skipped: [], told };
    },
  };
}

function report({ onProgress, onNote }: TrainingJob, message: TrainingMessage): void {
  const { phase = "train", step, steps, loss, accuracy, note } = message;
  if (note !== undefined) onNote?.(note);
  if (step === undefined) return;
  onProgress?.({
    ...NOTHING_SCORED,
    phase,
    done: step,
    total: steps ?? null,
    ...(loss === undefined ? {} : { loss }),
    ...(accuracy === undefined ? {} : { accuracy }),
  });
}

/** Digests of the files that the command names: another program under the same name trains another model. */
async function namedFiles({ command, folder }: CommandTrainerOptions): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  // Of `--config=x.json` what stands behind the sign.
  const words = command.split(/[\s"']+/).flatMap((word) => [word, word.slice(word.indexOf("=") + 1)]);
  const [program] = words;
  for (const word of new Set(words)) {
    const path = resolve(folder, word);
    // The program itself may be another build of the same on another machine.
    const found = word === "" || (word === program && isAbsolute(word)) ? null : await statIfThere(path);
    if (found?.isFile() === true) files[word] = sha256Hex(await readFile(path));
  }
  return files;
}

/** config.json, labelled.jsonl, and of a version manifest.json, version.jsonl and shards/. Returns the version's images. */
async function writeInput(input: string, job: TrainingJob, { configuration }: CommandTrainerOptions): Promise<number> {
  const { inputs, digest, labelled, version, name } = job;
  const lines: string[] = [];
  for (const { sha256, label, uri, bytes } of labelled.images) {
    lines.push(
      JSON.stringify({
        path: await pathOf(input, { sha256, uri, bytes }),
        class: label,
        label: inputs.labels[label],
        sha256,
      }),
    );
  }
  await writeFile(join(input, "labelled.jsonl"), lines.map((line) => `${line}\n`).join(""));
  let images = 0;
  if (version !== null)
    images = await writeVersion(input, version, new Set(labelled.images.map(({ sha256 }) => sha256)));
  const { labels, seed, input: seen, resize } = inputs;
  const config = {
    schemaVersion: 1,
    name,
    digest,
    labels,
    seed,
    input: seen,
    resize,
    configuration,
    labelled: "labelled.jsonl",
    ...(version === null ? {} : { version: "version.jsonl", manifest: "manifest.json", shards: "shards" }),
  };
  // Last: it says what else is there.
  await writeFile(join(input, "config.json"), `${JSON.stringify(config, null, 2)}\n`);
  return images;
}

/** A file of this machine as it lies; anything else (a member of a tar, an object) is written out. */
async function pathOf(
  input: string,
  { sha256, uri, bytes }: Pick<TrainingJob["labelled"]["images"][number], "sha256" | "uri" | "bytes">,
): Promise<string> {
  if (uri.startsWith("file://")) return fileURLToPath(uri);
  const folder = join(input, "labelled");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, sha256), await bytes());
  return join(folder, sha256);
}

async function writeVersion(
  input: string,
  { store, manifest }: NonNullable<TrainingJob["version"]>,
  labelled: ReadonlySet<string>,
): Promise<number> {
  await writeFile(join(input, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  const rows = createWriteStream(join(input, "version.jsonl"));
  let images = 0;
  const columns = readSomeColumns(store, manifest, ["class", "rank", "sha256", "probability", "bytes", "shard", "by"]);
  await pipeline(async function* () {
    for await (const part of columns) {
      for (let row = 0; row < part.count; row++) {
        if (part.bytes[row] !== "shard") continue;
        // It is among the labelled images already.
        if (part.by[row] === "label" && labelled.has(part.sha256[row]!)) continue;
        images++;
        const one = {
          class: part.class[row],
          rank: part.rank[row],
          sha256: part.sha256[row],
          probability: part.probability[row],
          shard: part.shard[row],
        };
        yield `${JSON.stringify(one)}\n`;
      }
    }
  }, rows);
  await mkdir(join(input, "shards"));
  for (const file of shardFiles(manifest))
    await linkOrFetch(store, manifest, file, join(input, "shards", file.key.split("/").at(-1)!));
  return images;
}

/** A shard as it was published: the command does not look at its digest. */
async function linkOrFetch(store: Store, manifest: Manifest, file: ManifestFile, path: string): Promise<void> {
  const located = await store.locate(file.key);
  if (isAbsolute(located) && (await statIfThere(located)) !== null) {
    await publishedSize(store, manifest, file);
    await symlink(located, path);
  } else await pipeline(publishedStream(store, manifest, file), createWriteStream(path));
}

/** Ends a command that an earlier run has left running, before another one writes to the same folder. */
async function endEarlier(work: string, killAfterMs: number): Promise<void> {
  const text = await orNull(readFile(join(work, PROCESS_FILE), "utf8"), "ENOENT");
  if (text === null) return;
  const earlier = JSON.parse(text) as ProcessIdentity;
  const here = ownIdentity();
  const deadline = performance.now() + killAfterMs;
  for (let signal: NodeJS.Signals = "SIGTERM"; stateOf(earlier, here) === "alive";) {
    signalGroup(earlier.pid, signal);
    await new Promise((wake) => setTimeout(wake, LOOK_MS));
    if (performance.now() > deadline) signal = "SIGKILL";
  }
}

async function noteProcess(work: string, pid: number): Promise<void> {
  const identity: ProcessIdentity = { ...ownIdentity(), pid, startedAt: processStart(pid) ?? "" };
  await writeWhole(join(work, PROCESS_FILE), JSON.stringify(identity));
}

/** Loads what the command wrote and runs it once. Returns what it says of itself. Throws E_TRAIN_COMMAND. */
async function check(
  { out, inputs }: TrainingJob,
  { command, engine: config }: CommandTrainerOptions,
): Promise<Record<string, Json>> {
  const refuse = (found: string, cause?: unknown): SluiceError =>
    new SluiceError(
      "E_TRAIN_COMMAND",
      `Expected the training command ${command} to write a model with its model-card.json into $SLUICE_OUT, found ${found}`,
      { cause },
    );
  try {
    const teacher = await loadTeacher(out);
    const { card } = teacher;
    const same =
      card.labels.length === inputs.labels.length && card.labels.every((label, at) => label === inputs.labels[at]);
    if (!same) throw refuse(`a card with other labels than config.json has: ${card.labels.slice(0, 5).join(", ")} …`);
    const engine = await openEngine(teacher, { ...config, workers: 1 });
    try {
      const pixels = Uint8Array.from({ length: pixelBytes(card.input) }, (_, at) => (at * 37) % 251);
      const scores = await engine.score({ count: 1, pixels });
      if (scores.length !== outputWidth(card) || scores.some((score) => !Number.isFinite(score)))
        throw refuse("one whose scores are not finite");
    } finally {
      await engine.close();
    }
  } catch (error) {
    if (!isUnusableModel(error)) throw error;
    throw refuse(`one that cannot be used: ${error.message}`, error);
  }
  const metrics = await orNull(readFile(join(out, "metrics.json"), "utf8"), "ENOENT");
  if (metrics === null) return {};
  try {
    return { metrics: JSON.parse(metrics) as Json };
  } catch (cause) {
    throw refuse(`a metrics.json that is no JSON: ${messageOf(cause)}`, cause);
  }
}
