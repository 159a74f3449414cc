import type { OpenedIntake } from "../../pipelines/gateway/open-intake.js";
import type { FlowControl } from "../../pipelines/flow/flow-control.js";
import type { OnProgress } from "../../schemas/progress.js";
import { counted, countText } from "../../schemas/counted.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openControl } from "../flow-control.js";
import { mostWaitingOption, startGateway, TOKEN_VARIABLE } from "../gateway-flags.js";
import { declareMetricsFlags, metricsSettings, observedWork, type MetricsFlags } from "../metrics-flags.js";
import { inOwnFolder } from "../own-folder.js";
import { portArgument } from "../port-argument.js";
import { waitOption } from "../wait-option.js";
import { isTelling, sourceAccountText } from "../report/source-account.js";

interface Flags extends MetricsFlags {
  readonly host: string;
  readonly port: number;
  readonly tokenFile?: string;
  readonly mostWaiting: number;
  readonly wait: number;
}

const PORT = 4748;

export const declare: DeclareCommand = (command, invocation) => {
  declareMetricsFlags(command)
    .description(
      "Takes images by HTTP into the images topic, or into the log of the data folder: POST /images with one image, with one JSON object a line, or with a tar. Answers when they " +
        "are in the log. On this machine alone, unless --host says otherwise; then a token is needed. Goes on until Ctrl-C. `ingest --follow --gateway-port` scores meanwhile.",
    )
    .option("--host <address>", "the address to listen on", "127.0.0.1")
    .option("--port <n>", "0: any that is free", portArgument, PORT)
    .option("--token-file <file>", `a file with the senders' token; by default ${TOKEN_VARIABLE}`)
    .addOption(mostWaitingOption())
    .addOption(waitOption("brokers or a store"))
    .addHelpText(
      "after",
      exampleText([
        ["sluice gateway", `takes what is sent to http://localhost:${PORT}/images`],
        [
          `curl --data-binary @a.jpg -H 'Idempotency-Key: a' localhost:${PORT}/images`,
          "sends one; the same again is known",
        ],
        [
          `tar -c *.jpg | curl --data-binary @- -H 'Content-Type: application/x-tar' localhost:${PORT}/images`,
          "sends many",
        ],
        [`${TOKEN_VARIABLE}=… sluice gateway --host 0.0.0.0`, "for others too, who send `Authorization: Bearer …`"],
      ]),
    )
    .action(async (flags: Flags) => {
      const run = invocation();
      run.goesOn = true;
      const { config } = await run.loadConfig(metricsSettings(flags));
      const { openFolderIntake, openTopicIntake } = await import("../../pipelines/gateway/open-intake.js");
      const { openWorkspace } = await import("../../pipelines/open/workspace.js");
      const observedAs = { run, config, command: "gateway", loops: ["gateway"] } as const;
      await observedWork(observedAs, async ({ onProgress, stop, note, warn, observing }) => {
        const { observer } = observing;
        const { nowMs } = run.terminal;
        const closing: { close(): Promise<void> }[] = [];
        const opening = async <One extends { close(): Promise<void> }>(one: Promise<One>): Promise<One> => {
          const made = await one;
          closing.push(made);
          return made;
        };
        try {
          const told = {
            observer,
            nowMs,
            onAppended: (records: number) => {
              onProgress(progressOf(records));
            },
          };
          let opened: OpenedIntake;
          let control: FlowControl | null = null;
          if (config.kafka !== undefined) {
            const { onRetry, onSettled } = observing;
            const waiting = { openPatienceMs: flags.wait, onRetry, onSettled, onWarning: warn };
            const intake = openTopicIntake(config, config.kafka, { ...told, ...waiting });
            opened = await opening(inOwnFolder(intake, "gateway"));
          } else {
            const workspace = await opening(
              openWorkspace(config, "sluice gateway", observing, { openPatienceMs: flags.wait }),
            );
            if (workspace.embedded === null) throw new TypeError("expected a log in the data folder");
            control = await opening(openControl(workspace.store, config.stream, { note, warn }));
            opened = await opening(openFolderIntake(workspace, workspace.embedded, told));
          }
          const signal = control === null ? stop : AbortSignal.any([stop, control.drain]);
          const { host, port, tokenFile, mostWaiting } = flags;
          const started = { run, host, port, tokenFile, mostWaiting, config, opened, control, observer, warn, signal };
          const gateway = await startGateway(started);
          note(`images are taken at ${gateway.url}`);
          observer?.take({ event: "loop.ready", loop: "gateway" });
          await gateway.ended;
          const { intake } = opened;
          const source = intake.account();
          const accounted = sourceAccountText(source);
          if (accounted !== null) (isTelling(source) ? warn : note)(accounted);
          const known = source.known === 0 ? "" : `, knew ${countText(source.known)} that had been sent before`;
          run.result(`Put ${counted(intake.appended, "image")} into ${config.stream}${known}.`, {
            topic: config.stream,
            appended: intake.appended,
            source,
          });
        } finally {
          for (const one of closing.reverse()) await one.close();
        }
      });
    });
};

function progressOf(done: number): Parameters<OnProgress>[0] {
  return { phase: "append", done, total: null, scored: 0, copied: 0, kept: 0, quarantined: 0 };
}
