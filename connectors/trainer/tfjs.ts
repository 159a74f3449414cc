import { createRequire } from "node:module";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { loadLayersModel } from "@tensorflow/tfjs-layers";
import { counted } from "../../schemas/counted.js";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import { loadNativeTfjs } from "../native-tfjs.js";
import { buildLayers } from "./layers.js";
import { loadingFrom } from "./layers-files.js";
import { registerMatMulGradient } from "./matmul-gradient.js";
import { trainableModel } from "./tfjs-model.js";
import type { Trainer } from "./trainer.js";

/** `node` and `node-gpu` are the native library (docs/engines.md). */
export const TRAINER_BACKENDS = ["node-gpu", "node", "wasm", "cpu"] as const;
export type TrainerBackend = (typeof TRAINER_BACKENDS)[number];

export interface TfjsTrainerOptions {
  /** `auto`: the first of TRAINER_BACKENDS that starts here */
  readonly backend?: TrainerBackend | "auto";
}

/**
 * Training in TensorFlow.js, in this thread: steps are short, and the caller lets others run between them. The backend
 * is the whole thread's; a thread has one trainer at a time. Throws E_ENGINE_UNAVAILABLE.
 */
export async function openTfjsTrainer({ backend = "auto" }: TfjsTrainerOptions = {}): Promise<Trainer> {
  registerMatMulGradient();
  // Otherwise the library prints advertisements for its other backends.
  tf.enableProdMode();
  const asked = backend === "auto" ? TRAINER_BACKENDS : [backend];
  const absent: string[] = [];
  for (const name of asked) {
    const reason = await start(name);
    if (reason === null) return trainerOn(name);
    absent.push(`${name}: ${reason}`);
  }
  throw new SluiceError(
    "E_ENGINE_UNAVAILABLE",
    `Expected a tfjs backend to train on, found none that starts (${absent.join("; ")}). Install the package, or choose another backend.`,
    { backend },
  );
}

/** Makes `name` the backend that runs. Returns why it cannot, or null. */
async function start(name: TrainerBackend): Promise<string | null> {
  try {
    if (name === "node" || name === "node-gpu") loadNativeTfjs(name);
    else if (name === "wasm") await import("@tensorflow/tfjs-backend-wasm");
    else await import("@tensorflow/tfjs-backend-cpu");
    if (!(await tf.setBackend(name.startsWith("node") ? "tensorflow" : name))) return "it does not initialise";
    await tf.ready();
    return null;
  } catch (error) {
    return messageOf(error).split("\n")[0]!;
  }
}

function trainerOn(backend: TrainerBackend): Trainer {
  const { version } = createRequire(import.meta.url)("@tensorflow/tfjs-core/package.json") as { version: string };
  return {
    library: "tfjs",
    version,
    backend,
    async create(architecture, preparation, seed) {
      return trainableModel(buildLayers(architecture, preparation, seed), preparation, "logits");
    },
    async load(card, folder) {
      const path = join(folder, card.weights.files[0]!.path);
      const wrong = (found: string, cause?: unknown): SluiceError =>
        new SluiceError(
          "E_ENGINE_LOAD",
          `Expected model ${card.name} to be a tfjs layers model with one input and one output, found ${found} at ${path}. ` +
            "Only such a model can be trained further here; others can score.",
          { cause, path },
        );
      if (card.format !== "tfjs-layers") throw wrong(`format ${card.format}`);
      const model = await loadLayersModel(loadingFrom(path)).catch((cause: unknown) => {
        throw wrong(messageOf(cause), cause);
      });
      if (model.inputs.length !== 1 || model.outputs.length !== 1) {
        throw wrong(`${counted(model.inputs.length, "input")} and ${counted(model.outputs.length, "output")}`);
      }
      return trainableModel(model, card, card.output.kind);
    },
  };
}
