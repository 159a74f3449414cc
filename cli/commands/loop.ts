import { randomUUID } from "node:crypto";
import { resolve } from "node:path";
import { Option } from "commander";
import { SluiceError } from "../../schemas/errors.js";
import type { Generation, LoopOptions } from "../../pipelines/loop.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openDeclared } from "../declared-config.js";
import { durationArgument } from "../duration-argument.js";
import { datasetNamed } from "../existing-store.js";
import { declareGateFlags, gateRule, type GateFlags } from "../gate-flags.js";
import { positiveFraction, positiveNumber, wholeNumber } from "../number-argument.js";
import { declareTrainerFlags, type TrainerFlags } from "../trainer-flags.js";
import { generationText, generationsText } from "../report/generations.js";
import { declareMetricsFlags, longWork } from "../metrics-flags.js";

interface LoopFlags extends GateFlags, TrainerFlags {
  readonly test: string;
  readonly dataset?: string;
  readonly generations?: number;
  readonly lookEvery: number;
  readonly pretrainSteps?: number;
  readonly fineTuneSteps?: number;
  readonly learningRate?: number;
  readonly side?: number;
  readonly colour?: "rgb" | "grey";
  readonly seed: number;
  readonly backend: string;
}

export const declare: DeclareCommand = (command, invocation) => {
  declareTrainerFlags(
    declareGateFlags(declareMetricsFlags(command))
      .description(
        "Makes a version by the teacher that stands, pre-trains a student on it and fine-tunes it on labelled pictures, compares it with the teacher, and where it passes the gate, lets it take over and " +
          "score what the log has; then the next generation. Each step is recorded: killed anywhere, the same command goes on, and nothing is trained twice from the same inputs. Images come in meanwhile (`sluice ingest --follow`, `sluice run`).",
      )
      .argument("<labelled>", "a folder with one subfolder of pictures a class, or a .csv of path,label")
      .requiredOption("--test <set>", "of the same form: never trained on, models are compared on it")
      .option("--dataset <name>", "a declared dataset; by default the first")
      .option("--generations <n>", "so many; without it, on and on", positiveNumber)
      .addOption(
        new Option("--look-every <duration>", "where nothing new can be trained: look for new scores this often")
          .argParser(durationArgument)
          .default(60_000, "1m"),
      ),
  )
    .option("--pretrain-steps <n>", "training steps on the version", positiveNumber)
    .option("--fine-tune-steps <n>", "training steps on the labelled pictures", positiveNumber)
    .option("--learning-rate <rate>", "its peak while pre-training", positiveFraction)
    .option("--side <px>", "side of the square that students see; by default what the teacher sees", positiveNumber)
    .addOption(
      new Option("--colour <kind>", "what they see; by default what the teacher sees").choices(["rgb", "grey"]),
    )
    .option("--seed <n>", "weights, order and movements of the pictures", wholeNumber, 1)
    .option("--backend <name>", "what to train on: node-gpu, node, wasm, cpu, or auto", "auto")
    .addHelpText(
      "after",
      exampleText([
        ["sluice loop labelled/ --test test/ --generations 3", "three generations"],
        ["sluice loop labelled/ --test test/ --generations 1", "the next one: for `schedules` in sluice.yaml"],
        ["sluice loop labelled/ --test test.csv --command 'python train.py'", "students of your own framework's"],
      ]),
    )
    .action(async (labelled: string, flags: LoopFlags) => {
      const run = invocation();
      const at = (path: string): string => resolve(run.terminal.folder, path);
      const { nowMs } = run.terminal;
      const { finishedGenerations } = await import("../../pipelines/loop.js");
      const { sleepUntil } = await import("../../pipelines/flow/sleep-until.js");
      const { studentTrainer } = await import("../../pipelines/training/student-trainer.js");
      const { publishingParts } = await import("../../pipelines/open/open-scoring.js");
      await longWork(run, async ({ onProgress, stop, note, warn }) => {
        const { config, store } = await openDeclared(run);
        try {
          const dataset = datasetNamed(config, flags.dataset);
          const trainerFor = await studentTrainer(config, {
            ...flags,
            trainingConfig: flags.trainingConfig === undefined ? null : at(flags.trainingConfig),
            folder: run.terminal.folder,
            environment: run.terminal.environment,
          });
          const { side, colour } = flags;
          const options = {
            config,
            store,
            dataset,
            labelled: at(labelled),
            test: at(flags.test),
            trainerFor,
            rule: gateRule(flags),
            seed: flags.seed,
            input: { width: side, height: side, colour },
            ...publishingParts(config),
            onNote: note,
            onWarning: warn,
            onProgress,
            signal: stop,
            nowMs,
            newId: randomUUID,
          };
          const before = (await finishedGenerations(store, dataset.name)).length;
          const most = flags.generations ?? Number.POSITIVE_INFINITY;
          let stuck: string | null = null;
          for (let made = 0; made < most && !stop.aborted;) {
            throwIfStopped(stop);
            const generation = await generationOf(options, flags.generations === undefined);
            if (generation !== null) {
              note(generationText(generation));
              made++;
              continue;
            }
            stuck = NOTHING_NEW;
            if (flags.generations !== undefined) break;
            note(NOTHING_NEW);
            await sleepUntil(flags.lookEvery, stop);
          }
          const generations = (await finishedGenerations(store, dataset.name)).slice(before);
          run.result(generationsText(generations, stuck), { dataset: dataset.name, generations, stuck });
        } finally {
          await store.close();
        }
      });
    });
};

/** The next generation. What runs for months gets over a store that is away for a while: `patient`. */
async function generationOf(options: LoopOptions, patient: boolean): Promise<Generation | null> {
  const { nextGeneration } = await import("../../pipelines/loop.js");
  if (!patient) return nextGeneration(options);
  const { keepRunning } = await import("../../pipelines/flow/keep-running.js");
  let generation: Generation | null = null;
  await keepRunning(
    async () => {
      generation = await nextGeneration(options);
    },
    { ...options, passes: ({ retryable }) => retryable },
  );
  throwIfStopped(options.signal);
  return generation;
}

const NOTHING_NEW =
  "Nothing new can be trained: the version, the labelled images and the settings are those of an earlier generation. The teacher stays; new images, labels or other settings make another version.";

function throwIfStopped(stop: AbortSignal): void {
  if (stop.aborted) {
    throw new SluiceError("E_CANCELLED", "Stopped on request between two generations. The same command goes on.", {
      cause: stop.reason,
    });
  }
}
