import { EXIT } from "../../schemas/errors.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openExistingStore } from "../existing-store.js";
import { archiveText } from "../report/archive.js";

interface Flags {
  readonly teacherDigest?: string;
  readonly stream?: string;
}

export const declare: DeclareCommand = (command, invocation) => {
  command.description("Looks after what is archived: scores, labels, checkpoints and manifests.");

  command
    .command("verify")
    .summary("whether all that is archived is as it was written")
    .description(
      "Reads everything that is archived and compares each part with its checksum: segments, runs, claims, labels, checkpoints and manifests. Names what " +
        `is damaged, its offsets, the versions made from them, and the repair. Exits with ${EXIT.verification} then.`,
    )
    .option(
      "--teacher-digest <digest>",
      "only scores of this teacher: the first digits of its digest; without it, of all",
    )
    .option("--stream <name>", "the stream; without it, the configuration's")
    .addHelpText("after", exampleText([["sluice archive verify", "exits with 0 only if all is well"]]))
    .action(async (flags: Flags) => {
      const run = invocation();
      const { config } = await run.loadConfig();
      const { archivedTeachers } = await import("../../pipelines/compact.js");
      const { verifyArchive } = await import("../../pipelines/verify-archive.js");
      const store = await openExistingStore(config);
      try {
        await run.work(async ({ onProgress, stop }) => {
          const report = await verifyArchive({
            store,
            stream: flags.stream ?? config.stream,
            teachers: await archivedTeachers(store, flags.teacherDigest ?? ""),
            datasets: config.datasets.map(({ name }) => name),
            onProgress,
            signal: stop,
          });
          if (report.damaged.length > 0) run.exitCode = EXIT.verification;
          run.result(archiveText(report), { ok: report.damaged.length === 0, ...report });
        });
      } finally {
        await store.close();
      }
    });
};
