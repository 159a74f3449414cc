import { randomUUID } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { Option } from "commander";
import { EXIT, SluiceError } from "../../schemas/errors.js";
import type { PlannedArm } from "../../pipelines/study/run-study.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { declaredOrGiven } from "../declared-config.js";
import { positiveNumber, wholeNumber } from "../number-argument.js";
import { armText, plannedText, studiesText } from "../report/study.js";
import { declareMetricsFlags, longWork } from "../metrics-flags.js";

interface StudyFlags {
  readonly test: string;
  readonly unlabelled: string[];
  readonly teacher?: string;
  readonly k?: number;
  readonly p?: number;
  readonly seeds: number;
  readonly firstSeed: number;
  readonly side: number;
  readonly colour: "rgb" | "grey";
  readonly teacherSteps?: number;
  readonly baselineSteps?: number;
  readonly pretrainSteps?: number;
  readonly fineTuneSteps?: number;
  readonly backend: string;
  readonly folder?: string;
  readonly report?: string;
  readonly dryRun?: boolean;
}

/** K where nobody says it: this share of the unlabelled images, as in the paper */
const USUAL_SHARE = 0.13;

export const declare: DeclareCommand = (command, invocation) => {
  declareMetricsFlags(command)
    .description(
      "Runs one of the method's studies on pictures of your own: a grid of models, each with several seeds, judged on the test pictures. Every model is trained and every version cut as `sluice train` and `sluice rebuild` do. A model is made once, " +
        "in however many studies it is, and never again; killed anywhere, the same command goes on. Nothing of it enters the stream's own store.",
    )
    .argument(
      "<name>",
      "k, p, teacher, student, unlabelled, epochs, balance, ranking, self-training, finetune, mixing, direct, distil, augment, mutual, floor, or all",
    )
    .argument("<labelled>", "a folder with one subfolder of pictures a class, or a .csv of path,label")
    .requiredOption("--test <set>", "of the same form: never trained on, and left out of every version")
    .requiredOption("--unlabelled <source...>", "a folder of pictures, or tar shards, that teachers score")
    .option("--teacher <model>", "a model that chooses, in the place of one that is trained on the labelled pictures")
    .option(
      "--k <n>",
      "K where a study is not about it; by default 13 % of the unlabelled pictures over the classes",
      positiveNumber,
    )
    .option(
      "--p <n>",
      "P where a study is not about it; by default 1 with 10 classes or fewer, else 10",
      positiveNumber,
    )
    .option("--seeds <n>", "of each model: weights, order and movements of the pictures", positiveNumber, 5)
    .option("--first-seed <n>", "the seeds are this one and those that follow it", wholeNumber, 1)
    .option("--side <px>", "side of the square that all models see", positiveNumber, 32)
    .addOption(new Option("--colour <kind>", "what they see").choices(["rgb", "grey"]).default("rgb"))
    .option("--teacher-steps <n>", "training steps of a teacher", positiveNumber)
    .option("--baseline-steps <n>", "of the student on the labelled pictures alone", positiveNumber)
    .option("--pretrain-steps <n>", "of a student on a version", positiveNumber)
    .option("--fine-tune-steps <n>", "of a student on the labelled pictures, behind a version", positiveNumber)
    .option("--backend <name>", "what to train on: node-gpu, node, wasm, cpu, or auto", "auto")
    .option("--folder <folder>", "where models, scores and results are kept; by default studies/ in the data folder")
    .option("--report <file>", "the page with tables and charts; by default <name>.html in that folder")
    .option("--dry-run", "list the models and how long they may take; nothing is trained")
    .addHelpText(
      "after",
      exampleText([
        ["sluice study k labelled/ --test test/ --unlabelled photographs/ --dry-run", "what would be trained"],
        ["sluice study k labelled/ --test test/ --unlabelled photographs/ --seeds 3", "which K, with three seeds"],
        ["sluice study all labelled/ --test test.csv --unlabelled 'shards/*.tar' --side 64", "all of them, over night"],
      ]),
    )
    .action(async (name: string, labelled: string, flags: StudyFlags) => {
      const run = invocation();
      const at = (path: string): string => resolve(run.terminal.folder, path);
      const { nowMs } = run.terminal;
      const { config } = await declaredOrGiven(run);
      const { openStudies } = await import("../../pipelines/study/open-studies.js");
      const { plansOf } = await import("../../pipelines/study/study-plans.js");
      const { missingArms, plannedArms, runStudies } = await import("../../pipelines/study/run-study.js");
      const { studyPage } = await import("../../pipelines/study/study-page.js");
      const { studyChart } = await import("../../pipelines/study/study-chart.js");
      const summary = await import("../../pipelines/study/study-summary.js");
      const folder = flags.folder === undefined ? join(resolve(config.data), "studies") : at(flags.folder);
      const seeds = Array.from({ length: flags.seeds }, (_, index) => flags.firstSeed + index);
      await longWork(run, async ({ onProgress, stop, note, warn }) => {
        const opened = await openStudies({
          folder,
          config,
          labelled: at(labelled),
          test: at(flags.test),
          unlabelled: flags.unlabelled.map(at),
          teacher: flags.teacher === undefined ? undefined : at(flags.teacher),
          input: { width: flags.side, height: flags.side, colour: flags.colour },
          k: flags.k ?? ((images, classes) => Math.max(1, Math.round((USUAL_SHARE * images) / classes))),
          p: flags.p,
          steps: {
            teacher: flags.teacherSteps,
            baseline: flags.baselineSteps,
            pretrain: flags.pretrainSteps,
            fineTune: flags.fineTuneSteps,
          },
          backend: flags.backend,
          signal: stop,
          onProgress,
          onNote: note,
          nowMs,
          newId: randomUUID,
        });
        const { world, base } = opened;
        const plans = plansOf(name, base);
        const planned = plannedArms(plans, seeds);
        if (flags.dryRun === true) {
          const missing = (await missingArms(world, planned)).length;
          const known = planned.length - missing;
          const meanMs = await world.meanMs();
          const estimateMs = meanMs === null ? null : meanMs * missing;
          run.result(plannedText(planned, known, estimateMs), { folder, planned, known, estimateMs });
          return;
        }
        const onArm = (done: Parameters<typeof armText>[0]): void => {
          note(armText(done));
        };
        const onFailed = ({ label, seed }: PlannedArm, { code, message }: SluiceError): void => {
          run.exitCode = EXIT.failed;
          warn(`${label}, seed ${seed}, could not be made: ${message}`, code);
        };
        const studies = await runStudies(world, plans, seeds, { signal: stop, nowMs, onArm, onFailed });
        const page = flags.report === undefined ? join(folder, `${name}.html`) : at(flags.report);
        const files: [path: string, text: string][] = [[page, studyPage(studies, opened.images)]];
        for (const study of studies)
          files.push([
            page.replace(/(\.html?)?$/, studies.length === 1 ? ".svg" : `-${study.name}.svg`),
            studyChart(summary.studyRows(study), study.axis),
          ]);
        for (const [path, text] of files) await writeReport(path, text);
        const written = files.map(([path]) => path);
        run.result(studiesText(studies, summary, written), {
          folder,
          files: written,
          studies: studies.map((study) => ({ ...study, rows: summary.studyRows(study) })),
        });
      });
    });
};

async function writeReport(path: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  } catch (cause) {
    throw new SluiceError(
      "E_USAGE",
      `Expected to write ${path}, found that it cannot be. Name another file by --report.`,
      { cause },
    );
  }
}
