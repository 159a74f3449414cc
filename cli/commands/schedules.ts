import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { join } from "node:path";
import { SluiceError } from "../../schemas/errors.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openDeclared } from "../declared-config.js";
import type { Invocation } from "../invocation.js";
import { declareMetricsFlags, longWork } from "../metrics-flags.js";
import { schedulesObject, schedulesText } from "../report/schedules.js";

const MAIN = join(import.meta.dirname, "..", "main.js");

export const declare: DeclareCommand = (command, invocation) => {
  command
    .description(
      "Commands that run at their times: `schedules` in sluice.yaml names each with a cron line, a time zone and the words of a command of sluice. The store remembers their runs.",
    )
    .addHelpText(
      "after",
      exampleText([
        ["sluice schedules list", "when each runs next, and what became of its last run"],
        ["sluice schedules run", "works by them until Ctrl-C"],
      ]),
    );
  command
    .command("list")
    .summary("when each runs next, and what became of its last run")
    .description("Shows the schedules of sluice.yaml with their next firings and their newest runs.")
    .action(async () => {
      const run = invocation();
      const { listSchedules } = await import("../../pipelines/schedules/list-schedules.js");
      const { config, store } = await openDeclared(run);
      try {
        const nowMs = run.terminal.nowMs();
        const listed = await listSchedules(store, config.stream, config.schedules, nowMs);
        run.result(schedulesText(listed, nowMs), schedulesObject(listed, nowMs));
      } finally {
        await store.close();
      }
    });
  declareMetricsFlags(command.command("run"))
    .summary("work by them, until Ctrl-C")
    .description(
      "Runs each schedule's command at its firings, in a process of its own, until Ctrl-C. Firings that nobody was there for are made up for by one run. Start it on as many machines as you like: each " +
        "firing is claimed in the store, so that one of them runs it; where that one dies, another takes it over within two minutes.",
    )
    .addHelpText(
      "after",
      exampleText([
        ["sluice schedules run", "works by the schedules of sluice.yaml"],
        ["sluice schedules run --metrics-port 9464", "with figures for Prometheus"],
      ]),
    )
    .action(async () => {
      const run = invocation();
      const { runSchedules } = await import("../../pipelines/schedules/run-schedules.js");
      run.goesOn = true;
      await longWork(run, async ({ stop, note, warn, observing }) => {
        const { config, store } = await openDeclared(run);
        try {
          const { schedules, stream } = config;
          assertAny(schedules.length);
          await runSchedules({
            store,
            stream,
            schedules,
            runCommand: await commandRunner(run, note),
            by: `${hostname()} ${process.pid} ${randomBytes(4).toString("hex")}`,
            nowMs: run.terminal.nowMs,
            onNote: note,
            onWarning: warn,
            observer: observing.observer,
            signal: stop,
          });
          run.result("Stopped.", { stopped: true });
        } finally {
          await store.close();
        }
      });
    });
};

function assertAny(schedules: number): void {
  if (schedules > 0) return;
  throw new SluiceError(
    "E_CONFIG",
    'Expected schedules in sluice.yaml, found none. Write, for example:\nschedules:\n  - name: nightly-gc\n    cron: "0 3 * * *"\n    timeZone: Europe/Berlin\n    run: [gc, --yes]',
  );
}

/** Runs commands with the places that this call was given. */
async function commandRunner(run: Invocation, note: (line: string) => void) {
  const { runCommandProcess } = await import("../../pipelines/schedules/command-process.js");
  const { folder, environment } = run.terminal;
  return (
    { name, run: words }: { readonly name: string; readonly run: readonly string[] },
    signal: AbortSignal,
  ): ReturnType<typeof runCommandProcess> =>
    runCommandProcess({
      // This process has the metrics' port.
      words: [MAIN, ...run.placeWords(), "--set", "metrics.port=0", "--no-progress", ...words],
      folder,
      environment,
      signal,
      onLine: (line) => {
        note(`${name}: ${line}`);
      },
    });
}
