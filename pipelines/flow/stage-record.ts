import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Config } from "../../schemas/config.js";
import { messageOf, orNull } from "../../schemas/errors.js";
import { runRecordSchema, type RunCounts, type RunRecord } from "../../schemas/run-record.js";
import type { StageShares } from "../../schemas/stage-shares.js";
import { StageClock } from "./stage-clock.js";
import { FOLDERS } from "../open/workspace.js";

const FILE = "last-run.json";
/** How often a run writes them down at most, ms */
const EVERY_MS = 1000;

/** What a run has done so far. */
export interface RunSoFar {
  readonly counts: RunCounts;
  /** See `RunRecord` */
  readonly waiting: number | null;
}

/** What a run does, kept in the data folder so that `status` and `serve` of other processes can show it. */
export class StageRecord {
  readonly clock: StageClock;
  readonly #startedMs: number;
  readonly #folder: string;
  readonly #nowMs: () => number;
  readonly #onWarning: (message: string) => void;
  #writtenMs = Number.NEGATIVE_INFINITY;
  #writing: Promise<void> = Promise.resolve();

  /** `dataFolder`: the workspace's */
  constructor(dataFolder: string, nowMs: () => number, onWarning: (message: string) => void = () => undefined) {
    this.clock = new StageClock(nowMs);
    this.#startedMs = Math.trunc(nowMs());
    this.#folder = join(dataFolder, FOLDERS.stages);
    this.#nowMs = nowMs;
    this.#onWarning = onWarning;
  }

  /** Writes down how far the run is, unless that was done a moment ago. Call it now and then. */
  note(run: RunSoFar): void {
    const nowMs = this.#nowMs();
    if (nowMs - this.#writtenMs < EVERY_MS) return;
    this.#writtenMs = nowMs;
    this.#write(this.#record(run, false));
  }

  /** Writes the last of it, and returns the shares. They are no part of the work: where that fails, a warning says so. */
  async end(run: RunSoFar): Promise<StageShares> {
    const record = this.#record(run, true);
    this.#write(record);
    await this.#writing;
    return record.stages;
  }

  #record({ counts, waiting }: RunSoFar, ended: boolean): RunRecord {
    const atMs = Math.trunc(this.#nowMs());
    const stages = this.clock.shares();
    const queues = this.clock.queues();
    return {
      pid: process.pid,
      startedMs: this.#startedMs,
      atMs,
      ended,
      stages,
      queues,
      counts: { ...counts },
      waiting,
    };
  }

  #write(record: RunRecord): void {
    this.#writing = this.#writing
      .then(async () => {
        await mkdir(this.#folder, { recursive: true });
        const path = join(this.#folder, FILE);
        await writeFile(`${path}.new`, `${JSON.stringify(record)}\n`);
        await rename(`${path}.new`, path);
      })
      .catch((error: unknown) => {
        this.#onWarning(`stage shares not written, so \`status\` shows older ones: ${messageOf(error)}`);
      });
  }
}

/** What the last run under this data folder wrote; null where there is none, or another release wrote it. */
export async function lastRun(config: Pick<Config, "data">): Promise<RunRecord | null> {
  const text = await orNull(readFile(resolve(config.data, FOLDERS.stages, FILE), "utf8"), "ENOENT", "ENOTDIR");
  return text === null ? null : (runRecordSchema.safeParse(jsonIn(text)).data ?? null);
}

/** undefined where a text is no JSON */
function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** How busy its stages were. */
export async function lastStageShares(config: Pick<Config, "data">): Promise<StageShares | null> {
  return (await lastRun(config))?.stages ?? null;
}
