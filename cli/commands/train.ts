import { Option, type Command } from "commander";
import { basename, resolve } from "node:path";
import type { TrainTeacherRun } from "../../pipelines/training/train-teacher.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { declaredOrGiven, openDeclared } from "../declared-config.js";
import { evaluationObject, evaluationTable, gainText, recallTable, skippedText } from "../report/trained.js";
import { positiveFraction, positiveNumber, wholeNumber } from "../number-argument.js";
import { declareTrainerFlags, type TrainerFlags } from "../trainer-flags.js";
import { versionNamed } from "../version-name.js";
import { countText, counted } from "../../schemas/counted.js";
import { declareMetricsFlags, longWork } from "../metrics-flags.js";

interface TrainFlags {
  readonly out: string;
  readonly test?: string;
  readonly name?: string;
  readonly seed: number;
  readonly backend: string;
  readonly side?: number;
  readonly colour?: "rgb" | "grey";
  readonly learningRate?: number;
}

export const declare: DeclareCommand = (command, invocation) => {
  command.addHelpText(
    "after",
    exampleText([
      ["sluice train teacher labelled/ --out teacher", "a first teacher from a few labelled pictures"],
      ["sluice ingest photographs/ --teacher teacher", "scores with it, and publishes version 1"],
      [
        "sluice train student labelled/ --test test/ --out student",
        "a student that has seen that version, and one that has not",
      ],
    ]),
  );

  declareTraining(command.command("teacher"))
    .summary("train a teacher on labelled pictures")
    .description("Trains a small classifier on a folder of labelled pictures, for `ingest --teacher`.")
    .option("--steps <n>", "training steps", positiveNumber)
    .addHelpText(
      "after",
      exampleText([
        ["sluice train teacher labelled/ --test test/ --out teacher --side 28 --colour grey", "trains and evaluates"],
      ]),
    )
    .action(async (folder: string, flags: TrainFlags & { readonly steps?: number }) => {
      const run = invocation();
      const { config } = await declaredOrGiven(run);
      const at = (path: string): string => resolve(run.terminal.folder, path);
      const { trainTeacherRun } = await import("../../pipelines/training/train-teacher.js");
      const { openTraining } = await import("../../pipelines/open/open-training.js");
      await longWork(run, async ({ onProgress, stop }) => {
        const side = flags.side ?? 32;
        const { card, evaluation, trainingCounts, isNew, skipped } = await trainTeacherRun({
          ...(await openTraining(config, flags.backend)),
          decode: config.decode,
          labelled: at(folder),
          test: flags.test === undefined ? undefined : at(flags.test),
          out: at(flags.out),
          name: flags.name ?? basename(at(flags.out)),
          input: { width: side, height: side, colour: flags.colour ?? "rgb" },
          schedule: scheduleOf(flags.steps, flags.learningRate),
          seed: flags.seed,
          signal: stop,
          onProgress,
          onNote: (text) => {
            run.note(text);
          },
          nowMs: run.terminal.nowMs,
        });
        run.result(
          [
            isNew
              ? `Teacher ${card.name} of ${card.labels.length} classes written to ${at(flags.out)}.`
              : `${at(flags.out)} holds what the same images and settings give: nothing was trained.`,
            ...skippedText(skipped),
            ...(evaluation === null
              ? []
              : [evaluationTable([["teacher", evaluation]]), "", recallTable(card.labels, evaluation, trainingCounts)]),
          ].join("\n"),
          { folder: at(flags.out), card, evaluation: evaluationObject(evaluation), trainingCounts, isNew, skipped },
        );
      });
    });

  declareTrainerFlags(
    declareTraining(command.command("student"))
      .summary("pre-train a student on a version, and fine-tune it on labelled pictures")
      .description(
        "Pre-trains a student on a published version, fine-tunes it on a folder of labelled pictures, and writes it as a model for `ingest --teacher`.",
      )
      .option("--on <version>", "latest, a number, or dataset/number", "latest")
      .option(
        "--no-said",
        "leave out the images that people said are of a class (`sluice label is`), which join the labelled ones",
      )
      .option("--no-baseline", "do not train the same student on the labelled pictures alone, to compare")
      .option("--baseline-steps <n>", "training steps of that one", positiveNumber)
      .option("--pretrain-steps <n>", "training steps on the version", positiveNumber)
      .option("--fine-tune-steps <n>", "training steps on the labelled pictures", positiveNumber),
  )
    .addHelpText(
      "after",
      exampleText([
        ["sluice train student labelled/ --test test/ --out student", "what the newest version is worth"],
        ["sluice train student labelled/ --out student --on 3", "from version 3; without --test nothing is compared"],
        [
          "sluice train student labelled/ --test test/ --out student --command 'python train.py'",
          "a student of your own framework's",
        ],
      ]),
    )
    .action(async (folder: string, flags: StudentFlags) => {
      const run = invocation();
      const at = (path: string): string => resolve(run.terminal.folder, path);
      const { trainStudentRun } = await import("../../pipelines/training/train-student.js");
      const { readManifest } = await import("../../pipelines/versions/versions.js");
      const { openCommandTraining, openTraining } = await import("../../pipelines/open/open-training.js");
      const { publishingParts } = await import("../../pipelines/open/open-scoring.js");
      const { config, store } = await openDeclared(run);
      try {
        const { dataset, version } = await versionNamed(store, config, flags.on);
        await longWork(run, async ({ onProgress, stop }) => {
          const manifest = await readManifest(store, dataset, version);
          const trained = await trainStudentRun({
            ...(flags.command === undefined
              ? await openTraining(config, flags.backend)
              : await openCommandTraining(config, {
                  command: flags.command,
                  configuration: flags.trainingConfig === undefined ? null : at(flags.trainingConfig),
                  folder: run.terminal.folder,
                  environment: run.terminal.environment,
                  silentMs: flags.silentAfter,
                })),
            engine: config.engine,
            nowMs: run.terminal.nowMs,
            decode: config.decode,
            store,
            manifest,
            labelled: at(folder),
            said: flags.said ? { opener: publishingParts(config).opener, nowMs: run.terminal.nowMs } : undefined,
            test: flags.test === undefined ? undefined : at(flags.test),
            out: at(flags.out),
            name: flags.name ?? basename(at(flags.out)),
            input: { width: flags.side, height: flags.side, colour: flags.colour },
            baseline: flags.baseline,
            baselineSchedule: scheduleOf(flags.baselineSteps, flags.learningRate),
            pretrain: scheduleOf(flags.pretrainSteps, flags.learningRate),
            fineTune: scheduleOf(flags.fineTuneSteps, undefined),
            seed: flags.seed,
            signal: stop,
            onProgress,
            onNote: (text) => {
              run.note(text);
            },
          });
          const { card, evaluations, trainingCounts, saidImages, versionImages, isNew, skipped } = trained;
          const { baseline, pretrained, fineTuned } = evaluations;
          run.result(
            [
              (isNew
                ? `Student ${card.name} written to ${at(flags.out)}`
                : `${at(flags.out)} holds what the same images and settings give, nothing was trained`) +
                `: pre-trained on ${counted(versionImages, "image")} of version ${manifest.number}, fine-tuned on ${countText(trainingCounts.reduce((sum, count) => sum + count, 0))}${saidImages === 0 ? "" : `, ${countText(saidImages)} of them labelled in the stream`}.`,
              ...skippedText(skipped),
              ...(fineTuned === null
                ? []
                : [
                    evaluationTable([
                      ["labels alone", baseline],
                      ["pre-trained", pretrained],
                      ["fine-tuned", fineTuned],
                    ]),
                    "",
                    recallTable(card.labels, fineTuned, trainingCounts),
                  ]),
              gainText(evaluations),
            ].join("\n"),
            {
              folder: at(flags.out),
              version: { dataset, number: manifest.number, id: manifest.id },
              card,
              versionImages,
              trainingCounts,
              saidImages,
              isNew,
              evaluations: {
                baseline: evaluationObject(baseline),
                pretrained: evaluationObject(pretrained),
                fineTuned: evaluationObject(fineTuned),
              },
              skipped,
            },
          );
        });
      } finally {
        await store.close();
      }
    });
};

interface StudentFlags extends TrainFlags, TrainerFlags {
  readonly on: string;
  readonly said: boolean;
  readonly baseline: boolean;
  readonly baselineSteps?: number;
  readonly pretrainSteps?: number;
  readonly fineTuneSteps?: number;
}

type Schedule = NonNullable<TrainTeacherRun["schedule"]>;

/** Only what was asked for: the rest is as docs/training.md says. */
function scheduleOf(steps: number | undefined, learningRate: number | undefined): Schedule {
  return { ...(steps === undefined ? {} : { steps }), ...(learningRate === undefined ? {} : { learningRate }) };
}

function declareTraining(command: Command): Command {
  return declareMetricsFlags(command)
    .argument("<labelled>", "a folder with one subfolder of pictures a class, named after it")
    .requiredOption("--out <folder>", "where the model and its card go")
    .option("--test <folder>", "labelled pictures of the same form, to evaluate with; never trained on")
    .option("--name <name>", "the model's name; by default the folder's")
    .option("--side <px>", "side of the square that the model sees", positiveNumber)
    .addOption(
      new Option("--colour <kind>", "what the model sees; by default rgb, of a student what the teacher sees").choices([
        "rgb",
        "grey",
      ]),
    )
    .option(
      "--learning-rate <rate>",
      "its peak, where a new model is trained; lowered by itself where the loss runs away",
      positiveFraction,
    )
    .option("--seed <n>", "weights, order and movements of the pictures", wholeNumber, 1)
    .option("--backend <name>", "what to train on: node-gpu, node, wasm, cpu, or auto", "auto");
}
