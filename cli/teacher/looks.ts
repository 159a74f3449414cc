import { SluiceError } from "../../schemas/errors.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { declareReplayRange, replayThrough, type ReplayFlags } from "../commands/replay.js";
import { openDeclared } from "../declared-config.js";
import { comparedTeachersText, teacherListText } from "../report/teachers.js";
import { declareMetricsFlags } from "../metrics-flags.js";
import { writeOutput } from "../versions/output-file.js";
import { declareScoringFlags } from "../setting-flags.js";

/** Images a class on either side of a page */
const IMAGES_SHOWN = 24;

/** `teacher list`, `shadow` and `compare` */
export const declareTeacherLooks: DeclareCommand = (command, invocation) => {
  command
    .command("list")
    .summary("which teacher stands, which stood, and how each came about")
    .description("Lists the teachers of the stream with what they were trained from and how they did.")
    .addHelpText("after", exampleText([["sluice teacher list --json", "with all figures and the lineage"]]))
    .action(async () => {
      const run = invocation();
      const { listTeachers } = await import("../../pipelines/teachers/list-teachers.js");
      const { config, store } = await openDeclared(run);
      try {
        const teachers = await listTeachers(store, config.stream);
        run.result(teacherListText(teachers), { stream: config.stream, teachers });
      } finally {
        await store.close();
      }
    });

  declareReplayRange(
    declareMetricsFlags(declareScoringFlags(command.command("shadow"))).argument("<model>", "a model with its card"),
  )
    .summary("score with another teacher beside the one that stands")
    .description(
      "Scores what the log has, or a part of it, with another teacher: `sluice replay` with that teacher. Nothing is published, and nothing of the one that stands changes.",
    )
    .addHelpText(
      "after",
      exampleText([
        ["sluice teacher shadow student/ --from 2026-11-01 --rate 20", "what came since, 20 images a second"],
        ["sluice teacher compare student/", "and how differently it sees that"],
      ]),
    )
    .action((model: string, flags: ReplayFlags) => replayThrough(invocation(), { ...flags, teacher: model }));

  command
    .command("compare")
    .summary("how differently another teacher sees what both have scored")
    .description(
      "Compares the best classes that a teacher and the one that stands give to the records that both have scored: class by class, how many came and went.",
    )
    .argument("<model>", "a model with its card, or the first digits of a digest that `teacher list` has")
    .option("--html <file>", "write one page with pictures of what came and went in each class")
    .addHelpText(
      "after",
      exampleText([
        ["sluice teacher compare student/", "after `sluice teacher shadow student/`"],
        [
          "sluice teacher compare student/ --html compared.html",
          "with sheets of what it sees otherwise, class by class",
        ],
      ]),
    )
    .action(async (model: string, flags: { html?: string }) => {
      const run = invocation();
      const { compareTeachers } = await import("../../pipelines/teachers/compare-teachers.js");
      const { archivedTeacher } = await import("../../pipelines/rebuild.js");
      const { givenTeacher } = await import("../../pipelines/teachers/given-teacher.js");
      const { config, declared, store } = await openDeclared(run);
      try {
        const stands = await archivedTeacher(store, "", declared.settings?.teacher ?? null);
        const other = await givenTeacher(store, model, run.terminal.folder);
        const { card } = await archivedTeacher(store, other);
        if (card.labels.length !== stands.card.labels.length) {
          throw new SluiceError(
            "E_TEACHER_LABELS",
            `Expected two teachers of ${stands.card.labels.length} classes, found ${card.labels.length} of ${card.name}: what they say cannot be compared class by class.`,
          );
        }
        const pair = { first: stands.digest, second: other, classCount: card.labels.length };
        const images = flags.html === undefined ? 0 : IMAGES_SHOWN;
        const comparison = await compareTeachers(store, config.stream, { ...pair, images });
        const names = { first: stands.card.name, second: card.name, labels: stands.card.labels };
        const text = comparedTeachersText(comparison, names);
        if (flags.html === undefined) {
          run.result(text, { ...pair, ...names, ...comparison });
          return;
        }
        const { comparisonPage } = await import("../../pipelines/teachers/comparison-page.js");
        const { publishingParts } = await import("../../pipelines/open/open-scoring.js");
        const { opener } = publishingParts(config);
        const { nowMs } = run.terminal;
        const page = await comparisonPage(comparison, names, { store, stream: config.stream, opener, nowMs });
        const html = await writeOutput(run, flags.html, page);
        run.result(`${text}\n\nPictures of it: ${html}`, { ...pair, ...names, ...comparison, html });
      } finally {
        await store.close();
      }
    });
};
