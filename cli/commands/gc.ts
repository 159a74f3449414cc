import { randomBytes } from "node:crypto";
import { EXIT } from "../../schemas/errors.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openDeclared } from "../declared-config.js";
import { collectedObject, collectedText } from "../report/collected.js";
import { declareMetricsFlags, longWork } from "../metrics-flags.js";

interface Flags {
  readonly stream?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

export const declare: DeclareCommand = (command, invocation) => {
  declareMetricsFlags(command)
    .description(
      "Frees what nobody needs: kept images that are no dataset's best, in no version and without a label; packs of segments that never came to be; files of attempts to " +
        "publish that lost; states of what is no longer declared. Says what that is, and does it with --yes. Scoring, publishing and reading go on meanwhile: what is left " +
        "out of packs is deleted by a later run, an hour on and once nobody reads it. Manifests, claims and declarations stay for ever.",
    )
    .option("--stream <name>", "the stream; without it, the configuration's")
    .option("--dry-run", "say what would go, and change nothing; as without --yes")
    .option("--yes", "do it")
    .addHelpText(
      "after",
      exampleText([
        ["sluice gc", "what nobody needs, and how many bytes that is"],
        ["sluice gc --yes", "frees it"],
      ]),
    )
    .action(async (flags: Flags) => {
      const run = invocation();
      const { collect } = await import("../../pipelines/collect.js");
      const { nowMs } = run.terminal;
      const isChange = flags.yes === true && flags.dryRun !== true;
      await longWork(run, async ({ onProgress, stop }) => {
        const { config, store } = await openDeclared(run);
        try {
          const found = await collect({
            store,
            stream: flags.stream ?? config.stream,
            dryRun: !isChange,
            nowMs,
            attempt: () => randomBytes(6).toString("hex"),
            onProgress,
            signal: stop,
          });
          if (found.refused.length > 0) run.exitCode = EXIT.failed;
          run.result(collectedText(found, isChange), collectedObject(found, isChange));
        } finally {
          await store.close();
        }
      });
    });
};
