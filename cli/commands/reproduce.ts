import { EXIT } from "../../schemas/errors.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openDeclared } from "../declared-config.js";
import { reproducedObject, reproducedText } from "../report/reproduced.js";
import { versionNamed } from "../version-name.js";
import { declareMetricsFlags, longWork } from "../metrics-flags.js";

export const declare: DeclareCommand = (command, invocation) => {
  declareMetricsFlags(command)
    .description(
      "Cuts a version again from the archived scores alone, at its own frontier, with its own selection and teacher, and compares the ids. " +
        `Publishes nothing. Exits with ${EXIT.verification} where the ids differ.`,
    )
    .argument("<version>", "latest, a number, or dataset/number")
    .addHelpText(
      "after",
      exampleText([
        ["sluice reproduce latest", "exits with 0 only if the archive gives the same version again"],
        ["sluice reproduce flowers/3 --json", "both ids, and the first rows that differ"],
      ]),
    )
    .action(async (text: string) => {
      const run = invocation();
      const { reproduce } = await import("../../pipelines/reproduce.js");
      const { assertFits } = await import("../../pipelines/flow/memory-estimate.js");
      const { config, store } = await openDeclared(run);
      try {
        const { dataset, version } = await versionNamed(store, config, text);
        await longWork(run, async ({ onProgress, stop }) => {
          const made = await reproduce({
            store,
            dataset,
            version,
            onSelected: (selected, card) => {
              assertFits({ ...config, datasets: [selected] }, card);
            },
            onProgress,
            signal: stop,
          });
          if (!made.same) run.exitCode = EXIT.verification;
          run.result(reproducedText(made), reproducedObject(made));
        });
      } finally {
        await store.close();
      }
    });
};
