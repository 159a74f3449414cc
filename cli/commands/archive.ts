import { EXIT } from "../../schemas/errors.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openDeclared } from "../declared-config.js";
import { archiveText } from "../report/archive.js";

interface Flags {
  readonly teacherDigest?: string;
  readonly stream?: string;
}

export const declare: DeclareCommand = (command, invocation) => {
  command
    .description("Looks after what is archived: scores, kept images, labels, checkpoints and manifests.")
    .addHelpText("after", exampleText([["sluice archive verify", "reads all of it, and names what is damaged"]]));

  command
    .command("verify")
    .summary("whether all that is archived is as it was written")
    .description(
      "Reads everything that is archived and compares each part with its checksum: segments, runs, kept images, claims, labels, checkpoints, declarations, relocations and manifests. Names what " +
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
      const { archivedTeachers } = await import("../../pipelines/compact.js");
      const { verifyArchive } = await import("../../pipelines/versions/verify-archive.js");
      const { publishedDatasets } = await import("../../pipelines/versions/versions.js");
      const { config, store } = await openDeclared(run);
      try {
        await run.work(async ({ onProgress, stop }) => {
          const report = await verifyArchive({
            store,
            stream: flags.stream ?? config.stream,
            teachers: await archivedTeachers(store, flags.teacherDigest ?? ""),
            datasets: [...new Set([...config.datasets.map(({ name }) => name), ...(await publishedDatasets(store))])],
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
