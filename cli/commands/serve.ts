import type { Observing } from "../../pipelines/observe/observing.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { declaredNow, openDeclared } from "../declared-config.js";
import type { WorkContext } from "../invocation.js";
import { withLabelTopic } from "../label-topic.js";
import { declareMetricsFlags, metricsSettings, observed, type MetricsFlags } from "../metrics-flags.js";
import { portArgument } from "../port-argument.js";
import { tokenOf } from "../token.js";
import { userName } from "../user-name.js";

interface Flags extends MetricsFlags {
  readonly host: string;
  readonly port: number;
  readonly tokenFile?: string;
  readonly author?: string;
  readonly readOnly?: boolean;
}

const PORT = 4747;

export const declare: DeclareCommand = (command, invocation) => {
  declareMetricsFlags(command)
    .description(
      "Serves a page to look at what is chosen, and an HTTP API: beside a running ingest, on Kafka too. On this machine alone, unless --host " +
        "says otherwise; then a token is needed (SLUICE_SERVE_TOKEN or --token-file). Goes on until Ctrl-C.",
    )
    .option("--host <address>", "the address to listen on", "127.0.0.1")
    .option("--port <n>", "0: any that is free", portArgument, PORT)
    .option("--token-file <file>", "a file with the token; by default SLUICE_SERVE_TOKEN")
    .option("--author <name>", "who says what is labelled here; by default the user's name")
    .option("--read-only", "refuse labels")
    .addHelpText(
      "after",
      exampleText([
        ["sluice serve", `the page at http://localhost:${PORT}/`],
        ["sluice serve --port 8080 --author anna", "another port; labels are anna's"],
        ["SLUICE_SERVE_TOKEN=… sluice serve --host 0.0.0.0", "for others too: the page asks for the token"],
        ["sluice serve --read-only", "to be looked at only"],
      ]),
    )
    .action(async (flags: Flags) => {
      const run = invocation();
      run.goesOn = true;
      const { serve } = await import("../../web/server/serve.js");
      const token = await tokenOf(run, "SLUICE_SERVE_TOKEN", flags.tokenFile);
      // Who looks on does not hold up who scores.
      run.terminal.stepBack?.();
      await run.work(async (context) => {
        const { config, declared, store } = await openDeclared(run, metricsSettings(flags), { say: true });
        const serveAll = async (observing: Observing, { stop, note, warn }: WorkContext): Promise<void> => {
          const first = { config, declared };
          let isFirst = true;
          const serving = await serve({
            host: flags.host,
            port: flags.port,
            token,
            store: observing.metered(store),
            settings: async () => {
              if (!isFirst) return declaredNow(run);
              isFirst = false;
              return first;
            },
            author: flags.author ?? userName(),
            readOnly: flags.readOnly === true,
            nowMs: run.terminal.nowMs,
            logAction: note,
            withLabelTopic: (work) => withLabelTopic(run, config, store, work),
            onFault: (message) => {
              warn(message, "E_INTERNAL");
            },
            signal: stop,
          });
          run.result(
            [
              `Sluice is at ${serving.url}${token === null ? "" : "?token=… (the token that you gave)"}`,
              ...(serving.isBuilt ? [] : ["The page was not built here: `npm run build` builds it. The API answers."]),
              "Ctrl-C ends it.",
            ].join("\n"),
            { url: serving.url, port: serving.port, page: serving.isBuilt, readOnly: flags.readOnly === true },
          );
          observing.observer?.take({ event: "loop.ready", loop: "serve" });
          await serving.ended;
        };
        try {
          await observed({ run, config, command: "serve", loops: ["serve"] }, context, serveAll);
        } finally {
          await store.close();
        }
      });
    });
};
