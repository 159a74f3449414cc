import { Option } from "commander";
import type { FlowControl } from "../pipelines/flow/flow-control.js";
import type { OpenedIntake } from "../pipelines/gateway/open-intake.js";
import type { Config } from "../schemas/config.js";
import type { Observer } from "../schemas/observed.js";
import type { Invocation } from "./invocation.js";
import { positiveNumber } from "./number-argument.js";
import { controlText } from "./report/flow-control.js";
import { tokenOf } from "./token.js";

export const TOKEN_VARIABLE = "SLUICE_GATEWAY_TOKEN";
const MOST_WAITING = 100_000;

export function mostWaitingOption(): Option {
  return new Option(
    "--most-waiting <n>",
    "answer 429 while so many images wait to be scored, where the log is in the data folder",
  )
    .argParser(positiveNumber)
    .default(MOST_WAITING, "100,000");
}

export interface StartedGateway {
  readonly run: Invocation;
  readonly host: string;
  readonly port: number;
  readonly tokenFile: string | undefined;
  readonly mostWaiting: number;
  readonly config: Pick<Config, "maxInFlightBytes">;
  readonly opened: OpenedIntake;
  /** What is asked of those who take images; null: nothing can be */
  readonly control: Pick<FlowControl, "isPaused" | "drain" | "standing"> | null;
  readonly observer: Observer | undefined;
  readonly warn: (message: string, code?: string) => void;
  readonly signal: AbortSignal;
}

/** Throws E_USAGE where it would be open to others without a token, or the port is taken. */
export async function startGateway(
  start: StartedGateway,
): Promise<{ readonly url: string; readonly ended: Promise<void> }> {
  const { run, host, port, tokenFile, mostWaiting, config, opened, control, observer, warn, signal } = start;
  const { openGateway } = await import("../web/server/gateway/open-gateway.js");
  return openGateway({
    host,
    port,
    token: await tokenOf(run, TOKEN_VARIABLE, tokenFile),
    intake: opened.intake,
    maxInFlightBytes: config.maxInFlightBytes,
    mostWaiting,
    waiting: opened.waiting,
    // A drain that was asked before is of others.
    held: () => (control?.isPaused === true || control?.drain.aborted === true ? heldText(control) : null),
    observer,
    onFault: (message) => {
      warn(message);
    },
    nowMs: run.terminal.nowMs,
    signal,
  });
}

function heldText({ standing }: Pick<FlowControl, "standing">): string {
  return `${standing === null ? "Nothing is taken now." : controlText(standing)} Send it again later.`;
}
