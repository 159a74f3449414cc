import { exampleText, type DeclareCommand } from "../command.js";
import { declaredNow, openDeclared } from "../declared-config.js";
import { declareMetricsFlags, longWork } from "../metrics-flags.js";

export const declare: DeclareCommand = (command, invocation) => {
  declareMetricsFlags(command)
    .description(
      "Answers an agent over the Model Context Protocol, on its standard input and output: what the console's API reads, as tools. Writes nothing to the store, " +
        "and reaches nothing but it. Goes on until its input ends.",
    )
    .addHelpText(
      "after",
      exampleText([
        ["sluice mcp", "started by an agent's program, which speaks to it"],
        ["sluice mcp --data /data/flowers", "of another data folder"],
      ]),
    )
    .action(async () => {
      const run = invocation();
      const { serveMcp } = await import("../../web/server/mcp/serve-lines.js");
      await longWork(run, async ({ stop, warn }) => {
        const { config, declared, store } = await openDeclared(run, [], { say: true });
        try {
          let first: { config: typeof config; declared: typeof declared } | null = { config, declared };
          await serveMcp({
            store,
            settings: async () => {
              const settings = first ?? (await declaredNow(run));
              first = null;
              return settings;
            },
            author: "mcp",
            nowMs: run.terminal.nowMs,
            onFault: (message) => {
              warn(message, "E_INTERNAL");
            },
            input: run.terminal.stdin,
            output: run.terminal.stdout,
            signal: stop,
          });
        } finally {
          await store.close();
        }
      });
    });
};
