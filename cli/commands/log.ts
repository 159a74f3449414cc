import type { RebuiltLog } from "../../pipelines/rebuild-log.js";
import { counted } from "../../schemas/counted.js";
import { SluiceError } from "../../schemas/errors.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openDeclared } from "../declared-config.js";
import type { Invocation } from "../invocation.js";
import { tableText } from "../wording.js";

export const declare: DeclareCommand = (command, invocation) => {
  command
    .description("Looks after the log in the data folder.")
    .addHelpText(
      "after",
      exampleText([["sluice log rebuild --dry-run", "whether it is sound, and what would be done if it is not"]]),
    );

  command
    .command("rebuild")
    .summary("begin a new log where the archive ends, in the place of a damaged one")
    .description(
      "Reads the whole log in the data folder. Where it is damaged or gone, a new one takes its place, which begins where the archive ends and has all records of the old one " +
        "that are as they were written; the old folder is put aside, and what is lost of it is said. Nothing that is archived changes. Killed, it goes on when it is run again.",
    )
    .option("--dry-run", "say what would be done, and change nothing")
    .addHelpText(
      "after",
      exampleText([
        ["sluice log rebuild --dry-run", "what is damaged, and what of it is not archived"],
        ["sluice log rebuild", "a new log; of a sound one it says so"],
      ]),
    )
    .action(async (flags: { readonly dryRun?: boolean }) => {
      const run = invocation();
      const { config, store } = await openDeclared(run);
      try {
        if (config.kafka !== undefined) {
          throw new SluiceError(
            "E_USAGE",
            "Expected the log in the data folder, found one on Kafka (`kafka` in sluice.yaml): its brokers look after that.",
          );
        }
        const { rebuildLog } = await import("../../pipelines/rebuild-log.js");
        const dryRun = flags.dryRun === true;
        const done = await rebuildLog({ config, store, dryRun, nowMs: run.terminal.nowMs() });
        run.result(rebuiltText(done, dryRun, run), { dryRun, ...done });
      } finally {
        await store.close();
      }
    });
};

function rebuiltText(
  { fault, aside, partitions, sourcesGoOn, sources }: RebuiltLog,
  dryRun: boolean,
  run: Invocation,
): string {
  if (fault === null) return "The log is sound: nothing is to be done.";
  const lost = partitions.reduce((sum, one) => sum + (one.lost === null ? 0 : one.lost.end - one.lost.start), 0);
  const unknown = partitions.some((one) => one.lost === null);
  const rows = partitions.map((one) => [
    `${one.stream}/${one.partition}`,
    one.archivedTo,
    one.start,
    one.end,
    one.lost === null ? "not known" : one.lost.start === one.lost.end ? "none" : `[${one.lost.start}, ${one.lost.end})`,
  ]);
  const again = [
    ...sources.map((places) => run.hint("ingest", ...places)),
    ...(sources.length === 0 ? [run.hint("ingest")] : []),
  ].map((hint) => `\`${hint}\``);
  return [
    `Found: ${fault}.`,
    ...(aside === null
      ? []
      : [dryRun ? `The old log would be put aside: ${aside}` : `The old log lies in ${aside} now.`]),
    ...(rows.length === 0
      ? []
      : [
          tableText(
            ["partition", "archived to", dryRun ? "would begin at" : "begins at", "ends at", "lost, not archived"],
            rows,
          ),
        ]),
    lost > 0 || unknown
      ? `${lost > 0 ? `${counted(lost, "record")} had come and ${lost === 1 ? "is" : "are"} neither archived nor readable` : "Whether records had come that are not archived, nobody can tell"}.`
      : "Every record that had come is archived, or in the new log.",
    ...(dryRun
      ? []
      : [
          sourcesGoOn
            ? `Sources go on where they were: ${again.join(", ")}.`
            : `Sources give everything again, and what is archived is copied, not scored: ${again.join(", ")}. What was sent in another way is to be sent again.`,
        ]),
  ].join("\n");
}
