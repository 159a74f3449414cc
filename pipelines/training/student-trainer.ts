import { openCommandTraining, openTraining } from "../open/open-training.js";
import type { Config } from "../../schemas/config.js";
import type { LoopOptions } from "../loop.js";
import { lastGoodOf } from "../train.js";
import { tfjsModelTrainer } from "./tfjs-model-trainer.js";
import { fineTuneScheduleFor, MAX_TRAINING_BYTES, PRETRAIN_SCHEDULE, studentFor } from "./train-defaults.js";

export interface StudentTrainerOptions {
  /** A program; absent: the built-in trainer */
  readonly command?: string | undefined;
  readonly trainingConfig: string | null;
  readonly silentAfter: number;
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly backend: string;
  readonly pretrainSteps?: number | undefined;
  readonly fineTuneSteps?: number | undefined;
  readonly learningRate?: number | undefined;
}

/** What trains the students of a loop. Throws E_USAGE, E_CONFIG, E_ENGINE_UNAVAILABLE. */
export async function studentTrainer(
  config: Config,
  options: StudentTrainerOptions,
): Promise<LoopOptions["trainerFor"]> {
  const { command, trainingConfig, silentAfter } = options;
  if (command !== undefined) {
    const given = { ...options, command, configuration: trainingConfig, silentMs: silentAfter };
    const { trainer } = await openCommandTraining(config, given);
    return () => trainer;
  }
  const parts = await openTraining(config, options.backend);
  const { pretrainSteps, fineTuneSteps, learningRate } = options;
  return ({ input }, folder) => {
    const architecture = studentFor(input);
    const first = {
      ...PRETRAIN_SCHEDULE,
      ...(pretrainSteps === undefined ? {} : { steps: pretrainSteps }),
      ...(learningRate === undefined ? {} : { learningRate }),
    };
    const fineTune = {
      ...fineTuneScheduleFor(architecture),
      ...(fineTuneSteps === undefined ? {} : { steps: fineTuneSteps }),
    };
    return tfjsModelTrainer({
      ...parts,
      decode: config.decode,
      configuration: { architecture, first, fineTune },
      maxBytes: MAX_TRAINING_BYTES,
      lastGood: lastGoodOf(folder),
    });
  };
}
