import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { Decoder } from "../../connectors/decoder/decoder.js";
import { openSharpDecoder } from "../../connectors/decoder/libvips/libvips-decoder.js";
import { openTfjsTrainer, TRAINER_BACKENDS, type TrainerBackend } from "../../connectors/trainer/tfjs.js";
import type { Trainer } from "../../connectors/trainer/trainer.js";
import type { Config } from "../../schemas/config.js";
import type { Json } from "../../schemas/canonical.js";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import { commandModelTrainer, type CommandTrainerOptions } from "../training/command-model-trainer.js";
import type { ModelTrainer } from "../training/model-trainer.js";

/** What training needs beside its data. `backend`: one of TRAINER_BACKENDS, or auto. Throws E_USAGE, E_ENGINE_UNAVAILABLE. */
export async function openTraining(config: Config, backend: string): Promise<{ trainer: Trainer; decoder: Decoder }> {
  const known: readonly string[] = ["auto", ...TRAINER_BACKENDS];
  if (!known.includes(backend)) {
    throw new SluiceError("E_USAGE", `Expected one of ${known.join(", ")} to train on, found "${backend}".`);
  }
  return {
    trainer: await openTfjsTrainer({ backend: backend as TrainerBackend | "auto" }),
    decoder: openSharpDecoder({ concurrency: config.decode.concurrency }),
  };
}

/** How long a command is given to end by itself, ms */
const KILL_AFTER_MS = 10_000;

/** The same by a program. `configuration`: a file of JSON for it. Throws E_CONFIG. */
export async function openCommandTraining(
  config: Config,
  options: Pick<CommandTrainerOptions, "command" | "folder" | "environment" | "silentMs"> & {
    readonly configuration: string | null;
  },
): Promise<{ trainer: ModelTrainer; decoder: Decoder }> {
  const configuration = options.configuration === null ? {} : await readConfiguration(options.configuration);
  const { engine } = config;
  return {
    trainer: commandModelTrainer({ ...options, configuration, engine, killAfterMs: KILL_AFTER_MS }),
    decoder: openSharpDecoder({ concurrency: config.decode.concurrency }),
  };
}

async function readConfiguration(path: string): Promise<Record<string, Json>> {
  try {
    return z.record(z.string(), z.json()).parse(JSON.parse(await readFile(path, "utf8")));
  } catch (cause) {
    throw new SluiceError("E_CONFIG", `Expected a JSON object at ${path}, found: ${messageOf(cause)}.`, { cause });
  }
}
