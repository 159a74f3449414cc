import type { Decoder } from "../../connectors/decoder/decoder.js";
import { openSharpDecoder } from "../../connectors/decoder/libvips/libvips-decoder.js";
import { openTfjsTrainer, TRAINER_BACKENDS, type TrainerBackend } from "../../connectors/trainer/tfjs.js";
import type { Trainer } from "../../connectors/trainer/trainer.js";
import type { Config } from "../../schemas/config.js";
import { SluiceError } from "../../schemas/errors.js";

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
