import { keepRule, keepText } from "../../schemas/keep-rule.js";
import { counted } from "../../schemas/counted.js";
import type { Dataset } from "../../schemas/dataset.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { declareCall } from "../declare-call.js";
import { openDeclared } from "../declared-config.js";
import { datasetNamed } from "../existing-store.js";
import { leavingTable } from "../report/retired.js";
import { bytesText } from "../wording.js";

interface Flags {
  readonly dataset?: string;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

/** `versions keep` */
export const declareKeep: DeclareCommand = (command, invocation) => {
  command
    .command("keep")
    .summary("which versions stay: the last ten, the young ones")
    .description(
      "Says which versions a rule would let go, and with --yes declares it: from then on `sluice gc --yes` lets those go that no part of it holds of. The newest version stays, and whatever a tag, " +
        "a loop or a model names. A version that is let go keeps its manifest for ever; its files go an hour later. `all` ends the rule.",
    )
    .argument("<rule...>", 'such as "last 10, tagged, younger than 30 days"; or all')
    .option("--dataset <name>", "by default the first that is declared")
    .option("--yes", "declare it")
    .option("--dry-run", "say what it would do, and declare nothing; as without --yes")
    .addHelpText(
      "after",
      exampleText([
        ["sluice versions keep last 10, tagged, younger than 30 days", "which versions that would let go"],
        ["sluice versions keep last 10, tagged, younger than 30 days --yes", "declares it; `sluice gc --yes` obeys"],
        ["sluice versions keep all --yes", "every version stays again"],
      ]),
    )
    .action(async (words: string[], flags: Flags) => {
      const run = invocation();
      const rule = keepRule(words.join(" "));
      const { retireVersions } = await import("../../pipelines/collect/retire-versions.js");
      const { config, declared, store } = await openDeclared(run);
      const { nowMs } = run.terminal;
      try {
        const { name } = datasetNamed(config, flags.dataset);
        const standing = declared.datasets.find((one) => one.name === name)?.dataset ?? datasetNamed(config, name);
        const { keep, ...rest } = standing;
        const dataset: Dataset = rule === null ? rest : { ...rest, keep: rule };
        const isChange = flags.yes === true && flags.dryRun !== true;
        const leaving =
          rule === null
            ? []
            : (
                await retireVersions(store, config.stream, {
                  dryRun: true,
                  nowMs: nowMs(),
                  untilMs: Number.NEGATIVE_INFINITY,
                  rules: new Map([[name, rule]]),
                })
              ).filter(({ dataset: of, step }) => of === name && step === "retired");
        if (isChange) {
          const call = {
            config: { ...config, datasets: [dataset] },
            teacher: null,
            by: "sluice versions keep",
            nowMs: nowMs(),
          };
          await declareCall(store, declared, call, { say: () => undefined });
        }
        run.result(
          [
            rule === null
              ? `Every version of ${name} ${isChange ? "stays" : "would stay"}${keep === undefined ? ", as before" : ""}.`
              : `Of ${name} ${isChange ? "stay" : "would stay"}: ${keepText(rule)}.`,
            ...(rule === null
              ? []
              : leaving.length === 0
                ? ["It lets no version go that there is now."]
                : [
                    `It lets ${counted(leaving.length, "version")} go, of ${bytesText(leaving.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0))}:`,
                    leavingTable(leaving),
                  ]),
            isChange ? "`sluice gc --yes` obeys it." : "Nothing was changed; with --yes it is declared.",
          ].join("\n"),
          { dataset: name, keep: rule, changed: isChange, leaving },
        );
      } finally {
        await store.close();
      }
    });
};
