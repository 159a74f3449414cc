import { randomBytes } from "node:crypto";
import type { Observing } from "../../pipelines/observe/observing.js";
import { EXIT, SluiceError } from "../../schemas/errors.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { durationArgument } from "../duration-argument.js";
import { openDeclared } from "../declared-config.js";
import type { WorkContext } from "../invocation.js";
import { declareMetricsFlags, metricsSettings, observed, type MetricsFlags } from "../metrics-flags.js";
import { positiveNumber } from "../number-argument.js";
import { compactedObject, compactedText, type TeacherCompacted } from "../report/compacted.js";

interface Flags extends MetricsFlags {
  readonly teacherDigest?: string;
  readonly stream?: string;
  readonly olderThan?: number;
  readonly segments: number;
  readonly dryRun?: boolean;
}

export const declare: DeclareCommand = (command, invocation) => {
  declareMetricsFlags(command)
    .description(
      "Writes the archive's segments into runs: larger Parquet files for DuckDB, Polars and pyarrow, and merges those; kept images into larger " +
        "packs. Versions, rebuilds and " +
        "scoring go on as before, also while this runs; segments that a run has had for an hour are deleted.",
    )
    .option("--teacher-digest <digest>", "only of this teacher: the first digits of its digest; without it, of all")
    .option("--stream <name>", "the stream; without it, the configuration's")
    .option(
      "--older-than <duration>",
      "only segments whose images are all from longer ago (90s, 30m, 12h, 7d, 2w)",
      durationArgument,
    )
    .option("--segments <n>", "greatest number of segments that one run takes", positiveNumber, 256)
    .option("--dry-run", "say what would be compacted, and write nothing")
    .addHelpText(
      "after",
      exampleText([
        ["sluice compact", "every segment that has not been compacted yet"],
        ["sluice compact --older-than 7d", "leaves the last week's as they are"],
        ["sluice compact --dry-run", "how many segments and bytes that would be"],
      ]),
    )
    .action(async (flags: Flags) => {
      const run = invocation();
      const { olderThan, teacherDigest = "", segments, dryRun = false } = flags;
      const { archivedTeachers, compact } = await import("../../pipelines/compact.js");
      const { nowMs } = run.terminal;
      await run.work(async (context) => {
        const { config, store } = await openDeclared(run, metricsSettings(flags));
        const { stream = config.stream } = flags;
        const compactAll = async (observing: Observing, { onProgress, stop }: WorkContext): Promise<void> => {
          observing.observer?.take({ event: "loop.ready", loop: "compact" });
          const done: TeacherCompacted[] = [];
          for (const teacher of await archivedTeachers(store, teacherDigest)) {
            const compacted = await compact({
              store: observing.metered(store),
              teacher,
              stream,
              beforeMs: olderThan === undefined ? null : nowMs() - olderThan,
              segmentsPerRun: segments,
              dryRun,
              nowMs,
              attempt: () => randomBytes(6).toString("hex"),
              onProgress,
              signal: stop,
            });
            const { segments: made, bytesAfter } = compacted;
            observing.observer?.take({ event: "archive.compacted", segments: made, sizeBytes: bytesAfter ?? 0 });
            done.push({ teacher, stream, dryRun, ...compacted });
            if (compacted.refused.length + compacted.refusedPacks.length > 0) run.exitCode = EXIT.failed;
            if (compacted.stopped) break;
          }
          const object = { teachers: done.map(compactedObject) };
          const text = done.map(compactedText).join("\n");
          if (done.at(-1)?.stopped === true) {
            throw new SluiceError(
              "E_CANCELLED",
              `Stopped on request. ${text} Every segment is as it was or in a run; \`sluice compact\` goes on from there.`,
              object,
            );
          }
          run.result(text, object);
        };
        try {
          await observed({ run, config, command: "compact", loops: ["compact"] }, context, compactAll);
        } finally {
          await store.close();
        }
      });
    });
};
