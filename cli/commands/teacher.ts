import { InvalidArgumentError, Option, type Command } from "commander";
import { resolve } from "node:path";
import type { CardChoices } from "../../pipelines/training/add-teacher.js";
import { EXIT, SluiceError } from "../../schemas/errors.js";
import type { ModelCard } from "../../schemas/model-card.js";
import { normalisation, NORMALISATION_NAMES, type NormalisationName } from "../../schemas/normalisations.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { declaredOrGiven } from "../declared-config.js";
import type { SettingFlag } from "../invocation.js";
import { positiveNumber } from "../number-argument.js";
import { addedText, calibratedText } from "../report/teacher.js";

interface AddFlags {
  readonly name?: string;
  readonly labels?: string;
  readonly layout?: ModelCard["input"]["layout"];
  readonly size?: { readonly width: number; readonly height: number };
  readonly colour?: ModelCard["input"]["colour"];
  readonly normalise?: NormalisationName;
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  readonly resize?: ModelCard["resize"]["mode"];
  readonly kernel?: ModelCard["resize"]["kernel"];
  readonly shortSide?: number;
  readonly output?: string;
  readonly embedding?: string;
  readonly kind?: ModelCard["output"]["kind"];
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
    ]),
  );

  declareCardFlags(command.command("add"))
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
      const { config } = await declaredOrGiven(run, backendFlag(flags.backend));
      const at = (path: string): string => resolve(run.terminal.folder, path);
      const { addTeacher } = await import("../../pipelines/training/add-teacher.js");
      const { publishingParts } = await import("../../pipelines/open/open-scoring.js");
      const choices = await choicesOf(flags, at);
      if (flags.take !== undefined && flags.on === undefined) {
        throw new SluiceError("E_USAGE", "Expected --on with --take best: labelled images tell which reading is best.");
      }
      await run.work(async ({ stop, onProgress }) => {
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
        run.result(addedText(added), added);
      });
    });

  command
    .command("calibrate")
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
      await run.work(async ({ onProgress, stop }) => {
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
};

function declareCardFlags(command: Command): Command {
  return command
    .argument("<model>", "an .onnx file, a model.json, or a folder with one or with a SavedModel")
    .option("--name <name>", "what the teacher is called (default: the file's or folder's name)")
    .option(
      "--labels <file>",
      "names of the classes in the order of the outputs: one a line, CSV with a column of numbers, or JSON",
    )
    .addOption(new Option("--layout <layout>", "where the channels are").choices(["NCHW", "NHWC"]))
    .option("--size <px>", "the input's size, such as 224 or 320x240 (width x height)", sizeOf)
    .addOption(new Option("--colour <order>", "the channels").choices(["rgb", "bgr", "grey"]))
    .addOption(
      new Option(
        "--normalise <how>",
        "the input's values; imagenet: mean and deviation of ImageNet; unit: 0 to 1; symmetric: -1 to 1; bytes: 0 to 255; caffe: BGR bytes less their mean",
      ).choices(NORMALISATION_NAMES),
    )
    .option("--mean <values>", "instead: means of values in [0, 1], one a channel, such as 0.5,0.5,0.5", numbersOf)
    .option("--std <values>", "with --mean: deviations", numbersOf)
    .addOption(
      new Option("--resize <how>", "how images become the input's size (default: crop)").choices([
        "crop",
        "stretch",
        "pad",
      ]),
    )
    .addOption(
      new Option("--kernel <name>", "resampling (default: linear)").choices([
        "nearest",
        "box",
        "linear",
        "hamming",
        "cubic",
        "lanczos3",
      ]),
    )
    .option("--short-side <px>", "with crop: the short side before the crop (default: 256 for 224)", positiveNumber)
    .option("--output <name>", "the output with the classes, where there are several")
    .option("--embedding <name>", "an output that describes the image, to be archived beside the scores")
    .addOption(
      new Option("--kind <kind>", "what the output holds (default: told by a trial)").choices([
        "logits",
        "probabilities",
        "sigmoid",
        "sigmoid-logits",
      ]),
    )
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

async function choicesOf(flags: AddFlags, at: (path: string) => string): Promise<CardChoices> {
  const { mean, std, resize, kernel, shortSide } = flags;
  if ((mean === undefined) !== (std === undefined)) {
    throw new SluiceError("E_USAGE", "Expected --mean and --std together, found one of them.");
  }
  const colour = flags.colour ?? (flags.normalise === "caffe" ? "bgr" : undefined);
  const named = flags.normalise === undefined ? undefined : normalisation(flags.normalise, colour ?? "rgb");
  return {
    name: flags.name,
    labels: flags.labels === undefined ? undefined : await readLabels(at(flags.labels)),
    layout: flags.layout,
    colour,
    width: flags.size?.width,
    height: flags.size?.height,
    normalise: mean !== undefined && std !== undefined ? { mean: [...mean], std: [...std] } : named,
    resize: {
      ...(resize === undefined ? {} : { mode: resize }),
      ...(kernel === undefined ? {} : { kernel }),
      ...(shortSide === undefined ? {} : { shortSide }),
    },
    outputName: flags.output,
    embeddingName: flags.embedding,
    outputKind: flags.kind,
  };
}

async function readLabels(path: string): Promise<readonly string[]> {
  const { readLabelFile } = await import("../../pipelines/training/add-teacher.js");
  const read = await readLabelFile(path);
  if (read !== null) return read.labels;
  throw new SluiceError("E_TEACHER_LABELS", `Expected a file of labels at ${path}, found none.`, { path });
}

function backendFlag(value: string | undefined): SettingFlag[] {
  return [{ flag: "--backend", path: ["engine", "backend"], value }];
}

function sizeOf(text: string): { width: number; height: number } {
  const match = /^([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?$/.exec(text);
  if (match === null) throw new InvalidArgumentError("Expected a size in px, such as 224 or 320x240.");
  const width = Number(match[1]);
  return { width, height: match[2] === undefined ? width : Number(match[2]) };
}

function numbersOf(text: string): number[] {
  const values = text.split(",").map(Number);
  if ((values.length === 1 || values.length === 3) && values.every(Number.isFinite)) return values;
  throw new InvalidArgumentError("Expected one number, or three with commas.");
}
