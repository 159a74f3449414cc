import { resolve } from "node:path";
import { EXIT } from "../../schemas/errors.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { declaredOrGiven } from "../declared-config.js";
import { declareGateFlags, gateRule, type GateFlags } from "../gate-flags.js";
import { evaluatedText } from "../report/evaluated.js";
import { declareMetricsFlags, longWork } from "../metrics-flags.js";

interface EvaluateFlags extends GateFlags {
  readonly test: string;
  readonly against?: string;
  readonly labelled?: string;
  readonly backend?: string;
}

export const declare: DeclareCommand = (command, invocation) => {
  declareMetricsFlags(declareGateFlags(command))
    .description(
      "Scores labelled test images with a model: accuracy, recall of each class and of the tail, calibration, confusion. Compared with a teacher on the same images, it says " +
        "whether the model may take its place, and exits with 1 where not. An image that is trained on and tested with is refused.",
    )
    .argument("<model>", "a model file, a model card, or a folder with one")
    .requiredOption("--test <set>", "labelled images: a folder with a subfolder a class, or a .csv of path,label")
    .option("--against <teacher>", "compare with this one; `declared` is the teacher that stands")
    .option("--labelled <set>", "what the model was trained on: its tail, and no image of it may be tested with")
    .option("--backend <name>", "what the engine runs on, such as cpu, cuda, wasm")
    .addHelpText(
      "after",
      exampleText([
        ["sluice evaluate student/ --test test/", "how good it is"],
        ["sluice evaluate student/ --test test/ --against declared", "and whether it beats the teacher that stands"],
        ["sluice evaluate student/ --test test.csv --against teacher/ --json", "all figures, and the confusion"],
      ]),
    )
    .action(async (model: string, flags: EvaluateFlags) => {
      const run = invocation();
      const backend = { flag: "--backend", path: ["engine", "backend"], value: flags.backend };
      const { config, declared } = await declaredOrGiven(run, [backend]);
      const at = (path: string): string => resolve(run.terminal.folder, path);
      const { evaluateModel } = await import("../../pipelines/training/evaluate-model.js");
      const { namedTeacher, pathOf, publishingParts } = await import("../../pipelines/open/open-scoring.js");
      const againstPath = async (): Promise<string | undefined> => {
        if (flags.against !== "declared") return flags.against === undefined ? undefined : at(flags.against);
        return pathOf(await namedTeacher(config, declared.settings?.teacher ?? null));
      };
      const against = await againstPath();
      await longWork(run, async ({ onProgress, stop }) => {
        const evaluation = await evaluateModel({
          model: at(model),
          against,
          test: at(flags.test),
          trainedOn: { labelled: flags.labelled === undefined ? undefined : at(flags.labelled) },
          rule: gateRule(flags),
          engine: config.engine,
          decode: config.decode,
          decoder: publishingParts(config).decoder,
          signal: stop,
          onProgress,
          nowMs: run.terminal.nowMs,
        });
        if (evaluation.verdict?.passes === false) run.exitCode = EXIT.failed;
        run.result(evaluatedText(evaluation), evaluation);
      });
    });
};
