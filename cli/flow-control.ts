import type { OpenedStore } from "./existing-store.js";
import type { ControlWord, StandingControl } from "../schemas/flow-control.js";
import { SluiceError } from "../schemas/errors.js";
import type { DeclareCommand } from "./command.js";
import { exampleText } from "./command.js";
import { openDeclared } from "./declared-config.js";
import type { WorkContext } from "./invocation.js";
import { userName } from "./user-name.js";
import { controlText } from "./report/flow-control.js";

/** What is asked of a running process from now on. A pause that stands already is said at once: nobody waits for nothing. */
export async function openControl(
  store: OpenedStore,
  stream: string,
  { note, warn }: Pick<WorkContext, "note" | "warn">,
): ReturnType<typeof import("../pipelines/flow/flow-control.js").FlowControl.open> {
  const { FlowControl } = await import("../pipelines/flow/flow-control.js");
  const control = await FlowControl.open({
    store,
    stream,
    onWarning: warn,
    onChange: (standing) => {
      note(toldText(standing));
    },
  });
  if (control.standing !== null && control.isPaused)
    warn(`${controlText(control.standing)} Nothing is taken or scored until \`sluice resume\`.`);
  return control;
}

function toldText(standing: StandingControl): string {
  if (standing.want === "pause")
    return `${controlText(standing)} What was read is scored and archived; \`sluice resume\` goes on.`;
  return standing.want === "drain"
    ? `${controlText(standing)} What the log has is scored, and then this ends.`
    : controlText(standing);
}

interface Flags {
  readonly reason?: string;
}

const REASON = 1000;

/** A command that asks it: `sluice pause`, `resume`, `drain`. */
export function controlCommand(want: ControlWord, description: string, examples: [string, string][]): DeclareCommand {
  return (command, invocation) => {
    command
      .description(description)
      .option("--reason <text>", "why, for those who look")
      .addHelpText("after", exampleText(examples))
      .action(async (flags: Flags) => {
        const run = invocation();
        if ((flags.reason ?? "").length > REASON)
          throw new SluiceError(
            "E_USAGE",
            `Expected a reason of at most ${REASON} characters, found ${flags.reason?.length ?? 0}.`,
          );
        const { askControl } = await import("../pipelines/flow/flow-control.js");
        const { config, store } = await openDeclared(run, [], { say: true });
        try {
          const standing = await askControl(store, config.stream, {
            want,
            by: userName(),
            reason: flags.reason ?? null,
            nowMs: run.terminal.nowMs(),
          });
          run.result(`${controlText(standing)} ${FOLLOWS[want]}`, { stream: config.stream, control: standing });
        } finally {
          await store.close();
        }
      });
  };
}

const FOLLOWS: Readonly<Record<ControlWord, string>> = {
  pause:
    "Those who score notice within a second or two, archive what they have read, and wait; `sluice resume` lets them go on.",
  run: "Those who score go on within a second or two.",
  drain: "Those who run now take nothing more, score what the log has by now, and end.",
};
