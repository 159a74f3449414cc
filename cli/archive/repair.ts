import { randomBytes } from "node:crypto";
import { exampleText, type DeclareCommand } from "../command.js";
import { openDeclared } from "../declared-config.js";
import { repairedText } from "../report/archive.js";
import { declareScoringFlags, scoringSettings, type ScoringFlags } from "../setting-flags.js";
import { declareMetricsFlags, longWork } from "../metrics-flags.js";

interface Flags extends ScoringFlags {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** `archive repair` */
export const declareRepair: DeclareCommand = (command, invocation) => {
  declareMetricsFlags(declareScoringFlags(command.command("repair")))
    .summary("make again what of the archive's rows is damaged")
    .description(
      "Makes damaged segments and runs again and puts them in their place. What lies beside the rows of a run is made from the rows; rows come from segments that still lie there, else the log's " +
        "records are scored again by the teacher, which then must have them and their images. Says what that would be; does it with --yes. Scores that come out with other last bits stand from then on: versions " +
        "made before stay as they are, and it says which. Stop what scores and ranks before, and start it again afterwards.",
    )
    .argument(
      "[target]",
      "the damaged object's key, or offsets such as images/0/100-200, as `archive verify` names them; without it all that is damaged",
    )
    .option("--dry-run", "say what would be made again, and change nothing; as without --yes")
    .option("--yes", "do it")
    .addHelpText(
      "after",
      exampleText([
        ["sluice archive repair", "what is damaged, and how it could be made again"],
        ["sluice archive repair --yes", "makes all of it again"],
        ["sluice archive repair images/0/100-200 --teacher b.onnx --yes", "scores these offsets again"],
      ]),
    )
    .action(async (target: string | undefined, flags: Flags) => {
      const run = invocation();
      const { archivedTeachers } = await import("../../pipelines/compact.js");
      const { repairArchive } = await import("../../pipelines/repair-archive.js");
      const { publishedDatasets } = await import("../../pipelines/versions/versions.js");
      const { namedTeacher, openScoring } = await import("../../pipelines/open/open-scoring.js");
      const { openWorkspace } = await import("../../pipelines/open/workspace.js");
      const { scoreAgain } = await import("../../pipelines/score-again.js");
      const { config, declared, namesTeacher, store } = await openDeclared(run, scoringSettings(flags));
      const dryRun = flags.dryRun === true || flags.yes !== true;
      const opened: { close(): Promise<void> }[] = [store];
      const { nowMs } = run.terminal;
      const attempt = (): string => randomBytes(6).toString("hex");
      try {
        await longWork(run, async ({ stop, note }) => {
          const datasets = [
            ...new Set([...config.datasets.map(({ name }) => name), ...(await publishedDatasets(store))]),
          ];
          const asked = {
            stream: config.stream,
            teachers: await archivedTeachers(store, ""),
            datasets,
            nowMs,
            signal: stop,
          };
          const ranges = await repairArchive({ ...asked, store, target: target ?? null, repair: null });
          if (dryRun) {
            run.result(repairedText(ranges, dryRun), { dryRun, repaired: ranges });
            return;
          }
          const workspace = await openWorkspace(config, "sluice archive repair");
          opened.push(workspace);
          const open = async () => {
            const teacher = await namedTeacher(config, namesTeacher ? null : declared.settings?.teacher, store);
            const made = await openScoring(config, note, { teacher, keepsStates: false });
            opened.push(made);
            return made;
          };
          let scoring: ReturnType<typeof open> | undefined;
          const repaired = await repairArchive({
            ...asked,
            store: workspace.store,
            target: target ?? null,
            repair: {
              store: workspace.store,
              attempt,
              nowMs,
              scoredAgain: async (...place) =>
                scoreAgain({ ...workspace, scoring: await (scoring ??= open()), attempt, nowMs }, ...place),
            },
          });
          run.result(repairedText(repaired, dryRun), { dryRun, repaired });
        });
      } finally {
        for (const one of opened.reverse()) await one.close();
      }
    });
};
