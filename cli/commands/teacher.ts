import { Option, type Command } from "commander";
import { resolve } from "node:path";
import type { Declarations } from "../../pipelines/open/declare.js";
import type { ClassChanges } from "../../pipelines/teachers/class-changes.js";
import type { Config } from "../../schemas/config.js";
import { EXIT, SluiceError } from "../../schemas/errors.js";
import type { ModelCard } from "../../schemas/model-card.js";
import { choicesOf, declareCardFlags, type CardFlags } from "../card-flags.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { declaredOrGiven } from "../declared-config.js";
import type { SettingFlag } from "../invocation.js";
import { positiveNumber } from "../number-argument.js";
import { addedText, calibratedText } from "../report/teacher.js";
import { declareTeacherChanges } from "../teacher/changes.js";
import { openExistingStore } from "../existing-store.js";
import { otherClasses, otherClassesText } from "../teacher/other-classes.js";
import { declareTeacherLooks } from "../teacher/looks.js";
import { declareMetricsFlags, longWork } from "../metrics-flags.js";

interface AddFlags extends CardFlags {
  readonly try?: string;
  readonly tryCount: number;
  readonly on?: string;
  readonly onCount: number;
  readonly take?: "best";
  readonly overwrite?: boolean;
  readonly backend?: string;
}

export const declare: DeclareCommand = (command, invocation) => {
  command.addHelpText(
    "after",
    exampleText([
      ["sluice teacher add model.onnx --try photographs/", "writes its card, and shows what it says of a few images"],
      ["sluice teacher calibrate model.onnx --on labelled/", "fits how far its probabilities can be believed"],
      ["sluice teacher list", "which stands, which stood, and how each came about"],
      ["sluice teacher promote student/ --test test/", "puts a better one in the place of the one that stands"],
    ]),
  );

  declareTrials(
    declareCardFlags(
      declareMetricsFlags(command.command("add")).argument(
        "<model>",
        "an .onnx file, a model.json, or a folder with one or with a SavedModel",
      ),
    ),
  )
    .summary("inspect a model, try it, and write its card")
    .description(
      "Inspects an .onnx file, a TensorFlow.js model.json or a SavedModel, infers its model card, tries it, and writes the card beside it.",
    )
    .addHelpText(
      "after",
      exampleText([
        [
          "sluice teacher add resnet50.onnx --labels imagenet.txt --try photographs/",
          "as torchvision and timm export it",
        ],
        [
          "sluice teacher add resnet50.onnx --labels imagenet.txt --on labelled/",
          "checks what no file says, on labelled/<class>/<image>",
        ],
        ["sluice teacher add saved/ --normalise symmetric --try photographs/", "a Keras model, as a SavedModel"],
        ["sluice teacher add model.json --normalise unit --size 224 --resize stretch", "a TensorFlow.js graph model"],
      ]),
    )
    .action(async (model: string, flags: AddFlags) => {
      const run = invocation();
      const { config, declared } = await declaredOrGiven(run, backendFlag(flags.backend));
      const at = (path: string): string => resolve(run.terminal.folder, path);
      const { addTeacher } = await import("../../pipelines/training/add-teacher.js");
      const { publishingParts } = await import("../../pipelines/open/open-scoring.js");
      const choices = await choicesOf(flags, at);
      if (flags.take !== undefined && flags.on === undefined) {
        throw new SluiceError("E_USAGE", "Expected --on with --take best: labelled images tell which reading is best.");
      }
      await longWork(run, async ({ stop, onProgress }) => {
        const added = await addTeacher({
          model: at(model),
          choices,
          overwrite: flags.overwrite === true,
          engine: config.engine,
          decode: config.decode,
          decoder: publishingParts(config).decoder,
          tryOn: flags.try === undefined ? undefined : { folder: at(flags.try), count: flags.tryCount },
          checkOn:
            flags.on === undefined
              ? undefined
              : { labelled: at(flags.on), count: flags.onCount, takeBest: flags.take === "best" },
          signal: stop,
          onProgress,
        });
        if (!added.written) run.exitCode = EXIT.failed;
        const classes = added.written ? await besideDeclared(config, declared, added.card) : null;
        const goesOn = { path: at(model), scores: false, isDeclared: false };
        const said = classes === null ? [] : ["", ...otherClassesText(run, classes, goesOn)];
        run.result([addedText(added), ...said].join("\n"), { ...added, classes });
      });
    });

  declareMetricsFlags(command.command("calibrate"))
    .summary("fit a teacher's temperature on labelled images")
    .description(
      "Fits the temperature of a teacher on labelled images that it was not trained on, prints likelihood and calibration error before and after, and writes it into the card.",
    )
    .argument("[teacher]", "a model file, a model card, or a folder with one; without one, the declared teacher")
    .requiredOption("--on <set>", "labelled images: a folder with a subfolder a class, or a .csv of path,label")
    .option("--dry-run", "print only, leave the card as it is")
    .option("--backend <name>", "what the engine runs on, such as cpu, cuda, wasm")
    .addHelpText(
      "after",
      exampleText([
        ["sluice teacher calibrate model.onnx --on labelled/", "labelled/<class>/<image>"],
        ["sluice teacher calibrate teacher/ --on validation.csv --dry-run", "what it would change"],
      ]),
    )
    .action(async (named: string | undefined, flags: { on: string; dryRun?: boolean; backend?: string }) => {
      const run = invocation();
      const { config } = await declaredOrGiven(run, backendFlag(flags.backend));
      const { calibrateTeacher } = await import("../../pipelines/training/calibrate-teacher.js");
      const { publishingParts } = await import("../../pipelines/open/open-scoring.js");
      const teacher = named === undefined ? config.teacher : resolve(run.terminal.folder, named);
      if (teacher === undefined) {
        throw new SluiceError(
          "E_USAGE",
          "Expected a teacher, found none given and none declared. Name it: `sluice teacher calibrate <teacher> --on <set>`.",
        );
      }
      await longWork(run, async ({ onProgress, stop }) => {
        const write = flags.dryRun !== true;
        const calibrated = await calibrateTeacher({
          teacher,
          labelled: resolve(run.terminal.folder, flags.on),
          write,
          engine: config.engine,
          decode: config.decode,
          decoder: publishingParts(config).decoder,
          signal: stop,
          onProgress,
        });
        run.result(calibratedText(calibrated, write), { ...calibrated, written: write });
      });
    });

  declareTeacherLooks(command, invocation);
  declareTeacherChanges(command, invocation);
};

/** Which classes a model has that the teacher which stands lacks, and what that leaves to be scored. */
async function besideDeclared(config: Config, declared: Declarations, card: ModelCard): Promise<ClassChanges | null> {
  const before = declared.settings?.teacher ?? null;
  if (before === null) return null;
  const { teacherDigest } = await import("../../schemas/model-card.js");
  const store = await openExistingStore(config);
  try {
    const teacher = { path: "", digest: teacherDigest(card), name: card.name };
    return await otherClasses({ config, store, before, teacher, labels: card.labels });
  } finally {
    await store.close();
  }
}

/** What the card is tried on. */
function declareTrials(command: Command): Command {
  return command
    .option("--try <folder>", "images to try it on; their best classes are printed")
    .option("--try-count <n>", "how many of them", positiveNumber, 12)
    .option(
      "--on <set>",
      "labelled images, a folder with a subfolder a class or a .csv of path,label: how often each reading that the files leave open is right on them",
    )
    .option("--on-count <n>", "how many of them, spread over the set", positiveNumber, 300)
    .addOption(
      new Option(
        "--take <reading>",
        "with --on: the reading that is right most often, also where it is not the assumed one",
      ).choices(["best"]),
    )
    .option("--overwrite", "write the card anew where there is one")
    .option("--backend <name>", "what the engine runs on, such as cpu, cuda, wasm");
}

function backendFlag(value: string | undefined): SettingFlag[] {
  return [{ flag: "--backend", path: ["engine", "backend"], value }];
}
