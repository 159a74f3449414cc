import { appendFile, readFile, rm, writeFile } from "node:fs/promises";
import type { FitCheckpoint } from "../../operators/training/fit.js";
import { sha256Hex } from "../../schemas/canonical.js";
import { orNull } from "../../schemas/errors.js";
import type { TrainOptions } from "../train.js";
import { writeWhole } from "./train-once.js";

interface Head extends Omit<FitCheckpoint, "model"> {
  readonly sha256: string;
}

/** Where one phase of a training is set down, and its losses. */
export class PhaseFiles {
  readonly #checkpoint: string;
  readonly #curves: string;
  readonly #phase: string;
  #lines: string[] = [];

  constructor(files: { readonly checkpoint: string; readonly curves: string; readonly phase: string }) {
    this.#checkpoint = files.checkpoint;
    this.#curves = files.curves;
    this.#phase = files.phase;
  }

  /** For the phase: it goes on from what is set down, and sets itself down. */
  async options(): Promise<Pick<TrainOptions, "checkpoints" | "onLoss">> {
    const resume = await this.#read();
    await this.#cutCurves(resume?.step ?? 0);
    return {
      checkpoints: {
        ...(resume === null ? {} : { resume }),
        onCheckpoint: async ({ model, ...rest }) => {
          await this.flush();
          const head: Head = { ...rest, sha256: sha256Hex(model) };
          await writeWhole(this.#checkpoint, Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), model]));
        },
      },
      onLoss: (_, step, loss) => {
        this.#lines.push(JSON.stringify({ phase: this.#phase, step, loss }));
      },
    };
  }

  /** Writes the losses that have come since. */
  async flush(): Promise<void> {
    const lines = this.#lines;
    this.#lines = [];
    if (lines.length > 0) await appendFile(this.#curves, `${lines.join("\n")}\n`);
  }

  /** The phase is finished, and its model is kept elsewhere. */
  async end(): Promise<void> {
    await this.flush();
    await rm(this.#checkpoint, { force: true });
  }

  /** null where nothing is set down, or not whole: a power cut may leave such. */
  async #read(): Promise<FitCheckpoint | null> {
    const bytes = await orNull(readFile(this.#checkpoint), "ENOENT");
    const end = bytes?.indexOf("\n") ?? -1;
    if (bytes === null || end < 0) return null;
    const { sha256, ...head } = JSON.parse(bytes.toString("utf8", 0, end)) as Head;
    const model = new Uint8Array(bytes.subarray(end + 1));
    return sha256Hex(model) === sha256 ? { ...head, model } : null;
  }

  /** Leaves out losses of this phase behind the checkpoint: those steps are made again. */
  async #cutCurves(step: number): Promise<void> {
    const text = await orNull(readFile(this.#curves, "utf8"), "ENOENT");
    if (text === null) return;
    const lines = text.split("\n").filter((line) => {
      if (!line.endsWith("}")) return false;
      const told = JSON.parse(line) as { phase: string; step: number };
      return told.phase !== this.#phase || told.step <= step;
    });
    await writeFile(this.#curves, lines.map((line) => `${line}\n`).join(""));
  }
}
