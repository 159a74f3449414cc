import { resolve } from "node:path";
import { counted } from "../../schemas/counted.js";
import { SluiceError } from "../../schemas/errors.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { declareGateFlags, gateRule, type GateFlags } from "../gate-flags.js";
import { openDeclared } from "../declared-config.js";
import { positiveNumber } from "../number-argument.js";
import { comparedText } from "../report/evaluated.js";
import { declareMetricsFlags, longWork } from "../metrics-flags.js";
import { otherClasses, otherClassesText } from "./other-classes.js";

interface PromoteFlags extends GateFlags {
  readonly test?: string;
  readonly labelled?: string;
  readonly force?: boolean;
  readonly wait?: boolean;
  readonly rate?: number;
}

/** `teacher promote` and `rollback` */
export const declareTeacherChanges: DeclareCommand = (command, invocation) => {
  declareMetricsFlags(declareGateFlags(command.command("promote")))
    .summary("put a better teacher in the place of the one that stands")
    .description(
      "Says that a model is to follow the teacher that stands. It scores what the log has, beside the one that stands, which goes on to publish; once it has all, it stands. Scorers that run do so; " +
        "on one machine where nobody has the data folder, this command does. Interrupted, it goes on from where it was. The model must pass the gate on test images, now or before.",
    )
    .argument("<model>", "a model with its card")
    .option("--test <set>", "labelled images, to compare it with the one that stands")
    .option("--labelled <set>", "what it was trained on: no image of it may be tested with")
    .option("--force", "also where it does not pass, or was never compared")
    .option("--rate <n>", "images a second at most, where this command scores", positiveNumber)
    .option("--wait", "where others score: end only once it stands")
    .addHelpText(
      "after",
      exampleText([
        [
          "sluice teacher promote student/ --test test/",
          "if it is better with 95 % confidence, and no class much worse",
        ],
        ["sluice teacher promote student/ --force", "whatever it is worth"],
        ["sluice teacher rollback", "takes it back"],
      ]),
    )
    .action(async (model: string, flags: PromoteFlags) => {
      const run = invocation();
      const at = (path: string): string => resolve(run.terminal.folder, path);
      const { nowMs } = run.terminal;
      const { bringIn, declarable } = await import("../../pipelines/teachers/bring-in.js");
      const { named } = await import("../../pipelines/teachers/change-teacher.js");
      const { namedTeacher } = await import("../../pipelines/open/open-scoring.js");
      const { trainedModel } = await import("../../pipelines/training/train-once.js");
      const { promotionGate } = await import("../../pipelines/teachers/promotion-gate.js");
      await longWork(run, async ({ onProgress, stop, note, warn }) => {
        const { config, declared, store } = await openDeclared(run);
        try {
          const evaluation = await promotionGate({
            config,
            store,
            stands: declared.settings?.teacher ?? null,
            model: at(model),
            test: flags.test === undefined ? undefined : at(flags.test),
            labelled: flags.labelled === undefined ? undefined : at(flags.labelled),
            force: flags.force === true,
            rule: gateRule(flags),
            signal: stop,
            onProgress,
            nowMs,
          });
          if (evaluation !== null) for (const line of comparedText(evaluation)) if (line !== "") note(line);
          const training = (await trainedModel(at(model)))?.record ?? null;
          const next = await declarable({ config, store }, at(model), training);
          const { card } = await namedTeacher(config, next, store);
          const before = declared.settings?.teacher ?? null;
          const classes = await otherClasses({ config, store, before, teacher: next, labels: card.labels });
          const goesOn = { path: next.path, scores: true, isDeclared: true };
          if (classes !== null) for (const line of otherClassesText(run, classes, goesOn)) note(line);
          const by = "sluice teacher promote";
          const options = { config, store, perS: flags.rate, wait: flags.wait === true, by, onNote: note };
          const rest = { onWarning: warn, onProgress, signal: stop, nowMs };
          const outcome = await bringIn({ ...options, ...rest }, next);
          run.result(
            outcome === "stands"
              ? `Teacher ${named(next)} stands. \`sluice rebuild\` makes a version by it.`
              : `Teacher ${named(next)} is to follow; \`sluice teacher list\` says when it stands.`,
            { outcome, teacher: next, evaluation, classes },
          );
        } finally {
          await store.close();
        }
      });
    });

  declareMetricsFlags(command.command("rollback"))
    .summary("take a promotion back")
    .description(
      "While a teacher is to follow, that is taken back at once. Later, the one that stood before is to follow again: it first scores what came since it stopped.",
    )
    .option("--wait", "where others score: end only once it stands")
    .option("--rate <n>", "images a second at most, where this command scores", positiveNumber)
    .addHelpText("after", exampleText([["sluice teacher rollback", "the teacher of before, again"]]))
    .action(async (flags: Pick<PromoteFlags, "wait" | "rate">) => {
      const run = invocation();
      const { nowMs } = run.terminal;
      const { bringIn } = await import("../../pipelines/teachers/bring-in.js");
      const { named, streamTeachers, withdrawTeacher } = await import("../../pipelines/teachers/change-teacher.js");
      const { lagOf } = await import("../../pipelines/teachers/teacher-lag.js");
      await longWork(run, async ({ onProgress, stop, note, warn }) => {
        const { config, store } = await openDeclared(run);
        const by = "sluice teacher rollback";
        try {
          const withdrawn = await withdrawTeacher(store, config.stream, { by, nowMs: nowMs() });
          const { stands, former } = await streamTeachers(store, config.stream);
          if (withdrawn !== null) {
            run.result(`Teacher ${named(stands!)} stands, and ${named(withdrawn)} is not to follow any more.`, {
              outcome: "stands",
              teacher: stands,
              withdrawn,
            });
            return;
          }
          const before = former.at(-1);
          if (before === undefined) {
            throw new SluiceError(
              "E_TEACHER_CHANGE",
              "Expected a teacher that stood before, found none: no promotion was made on this stream.",
            );
          }
          const lag = await lagOf({ config, store }, before.digest);
          note(
            `teacher ${named(before)} ${lag === null ? "first scores what came since it stopped" : `first scores ${counted(lag, "record")} that came since it stopped`}; until then ${named(stands!)} stands`,
          );
          const options = { config, store, perS: flags.rate, wait: flags.wait === true, by, onNote: note };
          const outcome = await bringIn({ ...options, onWarning: warn, onProgress, signal: stop, nowMs }, before);
          run.result(
            outcome === "stands"
              ? `Teacher ${named(before)} stands again.`
              : `Teacher ${named(before)} is to stand again; \`sluice teacher list\` says when it does.`,
            { outcome, teacher: before, lag },
          );
        } finally {
          await store.close();
        }
      });
    });
};
