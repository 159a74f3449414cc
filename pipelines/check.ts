import { constants, existsSync } from "node:fs";
import { access, stat, statfs } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { dirname, resolve } from "node:path";
import { decodableFormats } from "../connectors/decoder/headers/formats.js";
import { openSharpDecoder } from "../connectors/decoder/libvips/libvips-decoder.js";
import { openEngine } from "../connectors/engine/open.js";
import { loadTeacher } from "../connectors/engine/teacher/teacher-files.js";
import { counted } from "../schemas/counted.js";
import type { Config } from "../schemas/config.js";
import { messageOf, SluiceError, type ErrorCode } from "../schemas/errors.js";
import { teacherDigest, type ModelCard } from "../schemas/model-card.js";
import { pixelBytes } from "../schemas/pixels.js";
import { neverFires } from "../operators/select/triggers.js";
import { assertAnswerable } from "./flow/answerable.js";
import { engineLines } from "./open/check-engines.js";
import { estimateMemory, memoryLimit } from "./flow/memory-estimate.js";
import { PUBLISHED_BY_HAND } from "./kafka/run-publish.js";
import { neverFiresText } from "./flow/cut-scheduler.js";
import { holderOf } from "./open/folder-holder.js";

/** One thing looked at, and how it stands. */
export interface CheckLine {
  readonly subject: string;
  /** `warn`: works, and one should know; `fail`: the work cannot be done like this */
  readonly state: "ok" | "warn" | "fail";
  readonly message: string;
  /** With `fail`, where an error says more */
  readonly code?: ErrorCode;
  /** The same for programs, where the message holds a list */
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** package.json says the same under `engines`; a test compares them. */
export const RUNTIME_RANGE = { from: [20, 19], below: 25 } as const;

/** Less free disk than this is worth a word. */
const LITTLE_DISK_BYTES = 1024 ** 3;

/**
 * Looks at the machine, and at what the configuration names on it (null: at the machine alone). Lines come as they are
 * known; nothing is changed.
 */
export async function* check(config: Config | null): AsyncGenerator<CheckLine> {
  yield runtimeLine(process.versions.node);
  yield {
    subject: "machine",
    state: "ok",
    message: `${counted(availableParallelism(), "core")}, ${sizeText(memoryLimit())} of memory (${process.platform} ${process.arch})`,
  };
  yield* engineLines(config?.engine ?? null);
  yield decoderLine();
  if (config === null) return;
  yield* triggerLines(config);
  const card = yield* teacherLines(config);
  if (card !== null) yield* selectionLines(config, card);
  yield* dataFolderLines(config);
}

export function runtimeLine(version: string): CheckLine {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const { from, below } = RUNTIME_RANGE;
  const old = major < from[0] || (major === from[0] && minor < from[1]);
  const expected = `${from.join(".")} to ${below - 1}`;
  return old || major >= below
    ? {
        subject: "node",
        state: old ? "fail" : "warn",
        message: `expected Node ${expected}, found ${version}: install one of these`,
      }
    : { subject: "node", state: "ok", message: `Node ${version} (${expected} are supported)` };
}

function decoderLine(): CheckLine {
  const { present, absent } = decodableFormats();
  const { name } = openSharpDecoder();
  return {
    subject: "decoder",
    state: absent.length === 0 ? "ok" : "warn",
    message: `${name}: ${present.join(", ")}${absent.length === 0 ? "" : `; not here: ${absent.join(", ")}`}`,
  };
}

/** Loads the teacher, verifies its weights, and runs one batch of grey images. Returns its card where that went well. */
async function* teacherLines(config: Config): AsyncGenerator<CheckLine, ModelCard | null> {
  const subject = "teacher";
  if (config.teacher === undefined) {
    yield {
      subject,
      state: "warn",
      message: "none named: give --teacher, SLUICE_TEACHER, or `teacher:` in sluice.yaml",
    };
    return null;
  }
  try {
    const teacher = await loadTeacher(config.teacher);
    const { card, assumptions } = teacher;
    yield {
      subject,
      state: "ok",
      message: `${card.name} (${card.format}, ${card.labels.length} classes, ${card.input.width} x ${card.input.height} px), digest ${teacherDigest(card).slice(0, 12)}; weights verified`,
    };
    for (const assumption of assumptions) {
      yield { subject, state: "warn", message: `it has no model card; taken for granted: ${assumption}` };
    }
    yield await trialLine(teacher, config);
    return card;
  } catch (error) {
    yield failure(subject, error);
    return null;
  }
}

async function trialLine(teacher: { card: ModelCard; folder: string }, config: Config): Promise<CheckLine> {
  // Every device that is asked for is tried.
  const engine = await openEngine(teacher, { ...config.engine, workers: config.engine.devices?.length ?? 1 });
  try {
    const { card } = teacher;
    const count = Math.min(2, engine.info.batch);
    const pixels = new Uint8Array(count * pixelBytes(card.input)).fill(128);
    const logits = await engine.score({ count, pixels });
    const { name, version, backend, device, batchInvariant } = engine.info;
    const where = `${name} ${version} on ${backend} (${device})`;
    if (!logits.every(Number.isFinite)) {
      return {
        subject: "teacher",
        state: "fail",
        message: `expected finite scores of a grey image, found NaN or infinity from ${where}: are the weights sound?`,
        code: "E_IMAGE_SCORES",
      };
    }
    if (logits.every((value) => value === logits[0])) {
      return {
        subject: "teacher",
        state: "warn",
        message: `gives every class the same score for a grey image, on ${where}: is it trained?`,
      };
    }
    const padded =
      batchInvariant === "padded" ? `; scores depend on the batch, so batches are padded to ${engine.info.batch}` : "";
    return {
      subject: "teacher",
      state: padded === "" ? "ok" : "warn",
      message: `scores a trial batch on ${where}${padded}`,
    };
  } finally {
    await engine.close();
  }
}

/** Triggers that never fire. Without Kafka a dataset needs none: `ingest` publishes at its end. */
function* triggerLines({ datasets, kafka }: Config): Generator<CheckLine> {
  for (const dataset of datasets.filter(neverFires)) {
    if (kafka === undefined && dataset.trigger === undefined) continue;
    const otherwise = kafka === undefined ? "it is published at an ingest's end or stop alone" : PUBLISHED_BY_HAND;
    yield { subject: "trigger", state: "warn", message: neverFiresText(dataset, otherwise) };
  }
}

/** Whether the selections fit the teacher, and the machine. */
function* selectionLines(config: Config, card: ModelCard): Generator<CheckLine> {
  try {
    assertAnswerable(config, card);
    yield memoryLine(config, card);
  } catch (error) {
    yield failure("selection", error);
  }
}

function memoryLine(config: Config, card: ModelCard): CheckLine {
  const { stateBytes, memoryBytes } = estimateMemory(config, card);
  const message = `the datasets' top-K states take up to ${stateBytes} bytes (${sizeText(stateBytes)}) of ${sizeText(memoryBytes)}`;
  if (stateBytes > memoryBytes) {
    return { subject: "memory", state: "fail", message: `${message}: choose a smaller k or reserve`, code: "E_MEMORY" };
  }
  return { subject: "memory", state: stateBytes > memoryBytes / 2 ? "warn" : "ok", message };
}

/** Who holds the data folder, whether it can be written, and how much room there is; without writing anything. */
async function* dataFolderLines(config: Config): AsyncGenerator<CheckLine> {
  const subject = "data folder";
  const folder = resolve(config.data);
  const isThere = existsSync(folder);
  const place = isThere ? folder : nearestFolder(folder);
  try {
    await access(place, constants.W_OK);
    if (!(await stat(place)).isDirectory()) throw new Error(`${place} is a file`);
    const { bavail, bsize } = await statfs(place);
    const freeBytes = bavail * bsize;
    yield {
      subject,
      state: freeBytes < LITTLE_DISK_BYTES ? "warn" : "ok",
      message: `${folder} ${isThere ? "is writable" : "can be made"}, ${sizeText(freeBytes)} free`,
    };
  } catch (error) {
    yield {
      subject,
      state: "fail",
      message: `expected to write ${folder}, found ${messageOf(error)}: name another with --data`,
      code: "E_STORE_READONLY",
    };
    return;
  }
  const holder = await holderOf(config);
  if (holder !== null) {
    yield {
      subject,
      state: "warn",
      message: `in use by pid ${holder.pid} (${holder.command}): commands that write to it are refused meanwhile`,
      code: "E_LOCKED",
    };
  }
}

function nearestFolder(path: string): string {
  const above = dirname(path);
  return existsSync(path) || above === path ? path : nearestFolder(above);
}

function failure(subject: string, error: unknown): CheckLine {
  return {
    subject,
    state: "fail",
    message: messageOf(error),
    code: error instanceof SluiceError ? error.code : "E_INTERNAL",
  };
}

function sizeText(sizeBytes: number): string {
  const gib = sizeBytes / 1024 ** 3;
  if (gib >= 1) return `${gib.toFixed(gib < 10 ? 1 : 0)} GiB`;
  return `${(sizeBytes / 1024 ** 2).toFixed(1)} MiB`;
}
