import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { InvalidArgumentError } from "commander";
import type { Selection } from "../../schemas/dataset.js";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import { CLASS_LIST, classListArgument } from "../class-list-argument.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { assignedDataset } from "../dataset-assignments.js";
import { openDeclared } from "../declared-config.js";
import { datasetNamed } from "../existing-store.js";
import { whatifText } from "../report/whatif.js";
import { declareMetricsFlags, longWork } from "../metrics-flags.js";

interface Flags {
  readonly k?: number[];
  readonly p?: number[];
  readonly temperature?: number[];
  readonly floor?: number;
  readonly where?: string;
  readonly classes?: string[];
  readonly teacherDigest?: string;
  readonly plot?: string;
}

export const declare: DeclareCommand = (command, invocation) => {
  declareMetricsFlags(command)
    .description(
      "What versions would be under other parameters, from the archived scores alone: every combination of the lists given. Nothing is written.",
    )
    .argument("[dataset]", "a declared dataset; without one, the first")
    .option(
      "--k <list>",
      "K: images a class, such as 500,1000,2000; without it the dataset's",
      numbers(1, 2 ** 29, true),
    )
    .option("--p <list>", "P: classes that an image stands for, such as 1,5,10", numbers(1, 2 ** 29, true))
    .option("--temperature <list>", "temperatures, such as 1,2; the card's is exact from the top M classes", numbers(0))
    .option("--floor <probability>", "least probability of a chosen row", (text) => numbers(0)(text)[0]!)
    .option("--where <conditions>", "what an image must be, such as '{licence: [CC0], width: {least: 224}}'")
    .option("--classes <list>", CLASS_LIST, classListArgument)
    .option(
      "--teacher-digest <digest>",
      "whose scores: the first digits of the teacher's digest, where several have scored",
    )
    .option("--plot <file>", "fill, cut-off and size over K, as an SVG file")
    .addHelpText(
      "after",
      exampleText([
        [
          "sluice whatif --k 500,1000,2000 --p 1,5,10",
          "size, fill, cut-off and overlap of nine versions that are not made",
        ],
        ["sluice whatif --k 100,200 --temperature 1,2 --plot k.svg", "another temperature needs archive.logits: all"],
        [
          "sluice whatif --classes cat,dog --p 1 --floor 0.5",
          "two classes only, and only of images that are likely theirs",
        ],
        ["sluice whatif --where '{licence: [CC0, CC-BY-4.0]}'", "only images that the licence allows"],
      ]),
    )
    .action(async (name: string | undefined, flags: Flags) => {
      const run = invocation();
      const { onlyClasses } = await import("../../pipelines/versions/only-classes.js");
      const { archivedTeacher } = await import("../../pipelines/rebuild.js");
      const { rebuildPlace } = await import("../../pipelines/versions/rebuild-place.js");
      const { memoryLimit } = await import("../../pipelines/flow/memory-estimate.js");
      const { whatif } = await import("../../pipelines/whatif.js");
      const { whatifPlot } = await import("../../pipelines/whatif/whatif-plot.js");
      await longWork(run, async ({ onProgress, stop }) => {
        const { config, declared, store } = await openDeclared(run, [], { say: true });
        try {
          const standing = datasetNamed(config, name);
          const asked =
            flags.where === undefined
              ? standing
              : assignedDataset(standing.name, standing, [`where=${flags.where}`], config.archive).dataset;
          const whole: Selection = {
            ...asked.select,
            ...(flags.floor === undefined ? {} : { floor: floorOf(flags.floor) }),
          };
          const { digest, card } = await archivedTeacher(store, flags.teacherDigest, declared.settings?.teacher);
          const { stream } = config;
          const select = flags.classes === undefined ? whole : onlyClasses(whole, card, flags.classes, "--classes");
          const dataset = { ...standing, select };
          const place = await rebuildPlace(store, { teacher: digest, stream }, dataset, {}, {});
          const result = await whatif({
            store,
            dataset,
            card,
            stream,
            ...place,
            settings: {
              k: flags.k ?? [select.k],
              p: flags.p ?? [select.p],
              temperature: flags.temperature ?? [null],
            },
            maxStateBytes: memoryLimit(),
            onProgress,
            signal: stop,
          });
          const plot = flags.plot === undefined ? null : resolve(run.terminal.folder, flags.plot);
          if (plot !== null) await writePlot(plot, whatifPlot(result));
          run.result(whatifText(result, plot), { dataset: dataset.name, ...place, ...result, plot });
        } finally {
          await store.close();
        }
      });
    });
};

/** A list of numbers, commas between; `whole` ones from `least`, or others above it. */
function numbers(least: number, most = Number.MAX_VALUE, whole = false): (text: string) => number[] {
  return (text) =>
    text.split(",").map((part) => {
      const value = /^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*$/i.test(part) ? Number(part) : Number.NaN;
      const fits = whole ? Number.isInteger(value) && value >= least : value > least;
      if (fits && value <= most) return value;
      throw new InvalidArgumentError(
        whole
          ? `Expected whole numbers above ${least - 1}, found "${part}".`
          : `Expected numbers above ${least}, found "${part}".`,
      );
    });
}

function floorOf(floor: number): number {
  if (floor < 1) return floor;
  throw new SluiceError("E_USAGE", `Expected a --floor below 1, found ${floor}: it is a probability.`);
}

async function writePlot(file: string, svg: string): Promise<void> {
  try {
    await writeFile(file, svg);
  } catch (cause) {
    throw new SluiceError("E_USAGE", `Expected to write the plot to ${file}: ${messageOf(cause)}. Name another file.`, {
      cause,
    });
  }
}
