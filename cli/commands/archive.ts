import { EXIT } from "../../schemas/errors.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openDeclared } from "../declared-config.js";
import { archiveText, declaredLostText } from "../report/archive.js";
import { userName } from "../user-name.js";
import { declareRepair } from "../archive/repair.js";
import { declareMetricsFlags, longWork } from "../metrics-flags.js";

interface DeclareLostFlags {
  readonly reason: string;
  readonly author?: string;
  readonly teacherDigest?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

interface Flags {
  readonly teacherDigest?: string;
  readonly stream?: string;
}

export const declare: DeclareCommand = (command, invocation) => {
  command
    .description("Looks after what is archived: scores, kept images, labels, checkpoints and manifests.")
    .addHelpText(
      "after",
      exampleText([
        ["sluice archive verify", "reads all of it, and names what is damaged"],
        ["sluice archive repair", "what of that can be made again"],
        ["sluice archive declare-lost images/0/100-200 --reason damaged", "what giving up these offsets would mean"],
      ]),
    );

  declareMetricsFlags(command.command("verify"))
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
        await longWork(run, async ({ onProgress, stop }) => {
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

  declareRepair(command, invocation);

  declareMetricsFlags(command.command("declare-lost"))
    .summary("give up what of the archive is damaged and has no copy")
    .description(
      "Takes offsets whose scores are damaged or gone as lost, for ever: their records count as lost, and cuts, scoring and compaction go on without their rows. Only what cannot be read " +
        "is declared, in whole segments and row groups. Versions that have rows of it stay as they are. Says what that would be; does it with --yes. Stop what scores and ranks " +
        "before, and start it again afterwards.",
    )
    .argument(
      "<target>",
      "the damaged object's key, or offsets such as images/0/100-200, as `archive verify` names them",
    )
    .requiredOption("--reason <text>", "why, for those who meet the gap later")
    .option("--author <name>", "who says so; by default the user's name")
    .option(
      "--teacher-digest <digest>",
      "with offsets: the teacher whose scores are meant, the first digits of its digest",
    )
    .option("--dry-run", "say what would be declared, and change nothing; as without --yes")
    .option("--yes", "do it")
    .addHelpText(
      "after",
      exampleText([
        ["sluice archive declare-lost images/0/100-200 --reason 'disk failed'", "which records and versions that is"],
        ["sluice archive declare-lost images/0/100-200 --reason 'disk failed' --yes", "declares it"],
      ]),
    )
    .action(async (target: string, flags: DeclareLostFlags) => {
      const run = invocation();
      const { archivedTeachers } = await import("../../pipelines/compact.js");
      const { declareLost } = await import("../../pipelines/declare-lost.js");
      const { publishedDatasets } = await import("../../pipelines/versions/versions.js");
      const { config, store } = await openDeclared(run);
      const dryRun = flags.dryRun === true || flags.yes !== true;
      try {
        await longWork(run, async ({ stop }) => {
          const declared = await declareLost({
            store,
            stream: config.stream,
            teachers: await archivedTeachers(store, flags.teacherDigest ?? ""),
            datasets: [...new Set([...config.datasets.map(({ name }) => name), ...(await publishedDatasets(store))])],
            target,
            reason: flags.reason,
            author: flags.author ?? userName(),
            dryRun,
            nowMs: run.terminal.nowMs(),
            signal: stop,
          });
          run.result(declaredLostText(declared, dryRun), { dryRun, declared });
        });
      } finally {
        await store.close();
      }
    });
};
