import { Option } from "commander";
import type { CheckLine } from "../../pipelines/check.js";
import { EXIT, isSluiceError, orNull } from "../../schemas/errors.js";
import { checkDeclared } from "../check-declared.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { declareMetricsFlags, longLook, metricsSettings, type MetricsFlags } from "../metrics-flags.js";
import { declareScoringFlags, scoringSettings, type ScoringFlags } from "../setting-flags.js";
import { counted } from "../../schemas/counted.js";
import { KAFKA_ROLES, type KafkaRole } from "../../schemas/kafka-rights.js";
import { printPolicy } from "../role-policy.js";

interface CheckFlags extends ScoringFlags, MetricsFlags {
  readonly offline?: true;
  /** As its choices are */
  readonly policy?: KafkaRole;
}

export const declare: DeclareCommand = (command, invocation) => {
  declareMetricsFlags(declareScoringFlags(command))
    .option("--offline", "do not try the brokers, the bucket and the places of sources.allow")
    .addOption(
      new Option("--policy <role>", "check nothing, print what S3 must allow the processes of this role").choices([
        ...KAFKA_ROLES,
      ]),
    )
    .addHelpText(
      "after",
      exampleText([
        ["sluice check", "what this machine has, and what is wrong with sluice.yaml at which line"],
        ["sluice check --offline", "without trying the brokers and the bucket"],
        ["sluice check --policy scorer", "the bucket's policy for scorers, as S3 takes it"],
        ["sluice check --teacher model.onnx", "whether that model can be a teacher: loads it and scores a trial batch"],
      ]),
    )
    .action(async ({ offline, policy, ...flags }: CheckFlags) => {
      const run = invocation();
      if (policy !== undefined) {
        await printPolicy(run, policy);
        return;
      }
      const lines: CheckLine[] = [];
      const add = (line: CheckLine): void => {
        lines.push(line);
        // Each as it is known: a large teacher takes a while.
        if (!run.json) run.terminal.stdout.write(`${lineText(line)}\n`);
      };
      const { configSchema } = await import("../../schemas/config.js");
      const { check } = await import("../../pipelines/check.js");
      const settings = [...scoringSettings(flags), ...metricsSettings(flags)];
      // What is wrong with them is a line of its own.
      const place = (await orNull(run.given(settings), "E_CONFIG"))?.location ?? configSchema.parse({});
      await longLook(run, place, async () => {
        let config = configSchema.parse({});
        let isUsable = true;
        try {
          const given = await run.given(settings);
          const seen = await checkDeclared(given);
          config = seen.config;
          const where = given.file ?? "no sluice.yaml: the defaults, the environment and flags";
          add({ subject: "configuration", state: "ok", message: where });
          for (const line of seen.lines) add(line);
        } catch (error) {
          if (!isSluiceError(error, "E_CONFIG")) throw error;
          isUsable = false;
          add({ subject: "configuration", state: "fail", message: error.message, code: error.code });
        }
        // A configuration that is wrong still lets one see what the machine has.
        for await (const line of check(isUsable ? config : null)) add(line);
        if (isUsable && offline !== true) {
          const { checkServices } = await import("../../pipelines/check-services.js");
          for await (const line of checkServices(config, run.terminal.nowMs)) add(line);
        }

        const failed = lines.filter(({ state }) => state === "fail").length;
        run.exitCode = failed === 0 ? EXIT.ok : isUsable ? EXIT.failed : EXIT.usage;
        const warned = lines.filter(({ state }) => state === "warn").length;
        const warnings = warned === 0 ? "" : `, ${counted(warned, "warning")}`;
        const verdict =
          failed === 0 ? `Nothing to mend${warnings}.` : `${counted(failed, "thing")} to mend${warnings}.`;
        run.result(verdict, { ok: failed === 0, lines });
      });
    });
};

function lineText({ subject, state, message }: CheckLine): string {
  return `${state.padEnd(4)}  ${subject.padEnd(13)}  ${message.replaceAll("\n", "\n      ")}`;
}
