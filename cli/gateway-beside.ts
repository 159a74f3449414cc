import type { Observing } from "../pipelines/observe/observing.js";
import type { Workspace } from "../pipelines/open/workspace.js";
import { counted } from "../schemas/counted.js";
import { SluiceError } from "../schemas/errors.js";
import { startGateway } from "./gateway-flags.js";
import type { Invocation, WorkContext } from "./invocation.js";
import { isTelling, sourceAccountText } from "./report/source-account.js";

interface Flags {
  readonly follow?: boolean;
  readonly gatewayPort?: number;
  readonly gatewayHost: string;
  readonly gatewayTokenFile?: string;
  readonly mostWaiting: number;
}

/** A gateway in the process that scores what it takes. */
export interface GatewayBeside {
  /** Answers what is under way, and says what was taken. */
  close(): Promise<void>;
}

/** Throws E_USAGE where the run would end before anybody had sent anything. */
export function assertGatewayFollows({ follow, gatewayPort }: Pick<Flags, "follow" | "gatewayPort">): void {
  if (gatewayPort === undefined || follow === true) return;
  throw new SluiceError(
    "E_USAGE",
    "Expected --follow with --gateway-port, found none: without it the run ends when all is scored.",
  );
}

/** Throws E_USAGE, also on Kafka, where `sluice gateway` is a process of its own. */
export async function openGatewayBeside({
  run,
  workspace,
  flags,
  port,
  observing,
  note,
  warn,
  stop,
}: Pick<WorkContext, "note" | "warn" | "stop"> & {
  readonly run: Invocation;
  readonly workspace: Workspace;
  readonly flags: Flags;
  readonly port: number;
  readonly observing: Observing;
}): Promise<GatewayBeside> {
  const { config, embedded, store } = workspace;
  if (embedded === null)
    throw new SluiceError(
      "E_USAGE",
      "Expected the log in the data folder with --gateway-port, found a Kafka cluster: run `sluice gateway` beside this.",
    );
  const { openFolderIntake } = await import("../pipelines/gateway/open-intake.js");
  const { FlowControl } = await import("../pipelines/flow/flow-control.js");
  const { observer } = observing;
  const told = { observer, nowMs: run.terminal.nowMs, onAppended: () => undefined };
  const opened = await openFolderIntake(workspace, embedded, told);
  // What is asked of the run is said by the run.
  const control = await FlowControl.open({ store, stream: config.stream, onChange: () => undefined, onWarning: warn });
  const end = new AbortController();
  const signal = AbortSignal.any([stop, control.drain, end.signal]);
  const { gatewayHost: host, gatewayTokenFile: tokenFile, mostWaiting } = flags;
  try {
    const started = { run, host, port, tokenFile, mostWaiting, config, opened, control, observer, warn, signal };
    const gateway = await startGateway(started);
    note(`images are taken at ${gateway.url}`);
    return {
      close: async () => {
        end.abort();
        await gateway.ended;
        await control.close();
        const source = opened.intake.account();
        const accounted = sourceAccountText(source);
        if (accounted !== null) (isTelling(source) ? warn : note)(accounted);
        note(`${counted(opened.intake.appended, "image")} came by HTTP.`);
      },
    };
  } catch (error) {
    await control.close();
    throw error;
  }
}
