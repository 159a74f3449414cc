import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Config } from "../../schemas/config.js";
import { messageOf, orNull } from "../../schemas/errors.js";
import { stageSharesSchema, type StageShares } from "../../schemas/stage-shares.js";
import { StageClock } from "./stage-clock.js";
import { FOLDERS } from "../open/workspace.js";

const FILE = "last-run.json";
/** How often a run writes its shares down at most, ms */
const EVERY_MS = 2000;

/** The stage shares of a run, kept in the data folder so that `status` of another process can show them. */
export class StageRecord {
  readonly clock: StageClock;
  readonly #folder: string;
  readonly #nowMs: () => number;
  readonly #onWarning: (message: string) => void;
  #writtenMs = Number.NEGATIVE_INFINITY;
  #writing: Promise<void> = Promise.resolve();

  /** `dataFolder`: the workspace's */
  constructor(dataFolder: string, nowMs: () => number, onWarning: (message: string) => void = () => undefined) {
    this.clock = new StageClock(nowMs);
    this.#folder = join(dataFolder, FOLDERS.stages);
    this.#nowMs = nowMs;
    this.#onWarning = onWarning;
  }

  /** Writes them down, unless that was done a moment ago. Call it now and then. */
  note(): void {
    const nowMs = this.#nowMs();
    if (nowMs - this.#writtenMs < EVERY_MS) return;
    this.#writtenMs = nowMs;
    this.#write(this.clock.shares());
  }

  /** Writes the last ones, and returns them. They are no part of the work: where that fails, a warning says so. */
  async end(): Promise<StageShares> {
    const shares = this.clock.shares();
    this.#write(shares);
    await this.#writing;
    return shares;
  }

  #write(shares: StageShares): void {
    this.#writing = this.#writing
      .then(async () => {
        await mkdir(this.#folder, { recursive: true });
        const path = join(this.#folder, FILE);
        await writeFile(`${path}.new`, `${JSON.stringify(shares)}\n`);
        await rename(`${path}.new`, path);
      })
      .catch((error: unknown) => {
        this.#onWarning(`stage shares not written, so \`status\` shows older ones: ${messageOf(error)}`);
      });
  }
}

/** What the last run under this data folder wrote; null where there is none, or another release wrote it. */
export async function lastStageShares(config: Pick<Config, "data">): Promise<StageShares | null> {
  const text = await orNull(readFile(resolve(config.data, FOLDERS.stages, FILE), "utf8"), "ENOENT", "ENOTDIR");
  return text === null ? null : (stageSharesSchema.safeParse(jsonIn(text)).data ?? null);
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
