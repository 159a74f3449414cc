import { mkdir, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SluiceError } from "../../schemas/errors.js";
import type { Report } from "./cache.js";
import { missingPrograms } from "./command.js";
import { freePort, ServerProcess, type ServerPlan } from "./server-process.js";

/** A real server on this machine's loopback, for development and for tests. */
export interface LocalService {
  /** host:port */
  readonly address: string;
  readonly port: number;
  /** Data and `server.log` */
  readonly folder: string;
  /** Of the process that runs now */
  readonly pid: number;
  /** What a shell exports so that Sluice finds the server */
  readonly environment: Readonly<Record<string, string>>;
  /** Sends a signal; returns when the process has ended (at once for SIGSTOP and SIGCONT). */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts again on the same ports and data, after `kill` or instead of it. */
  restart(): Promise<void>;
  /** Ends the server and removes its folder, unless the folder was given. */
  stop(): Promise<void>;
}

export interface StartOptions {
  /** Keeps its data here. Default: a temporary folder, removed by `stop`. */
  readonly folder?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** Settings of the server itself, beside those that it is always given */
  readonly environment?: Readonly<Record<string, string>>;
  readonly report?: Report;
}

/** Throws E_SERVICE, naming what is not installed. */
export async function requirePrograms(purpose: string, programs: readonly string[]): Promise<void> {
  const missing = await missingPrograms(programs);
  if (missing.length === 0) return;
  throw new SluiceError(
    "E_SERVICE",
    `Expected ${programs.join(" and ")} on the PATH to ${purpose}, found no ${missing.join(", no ")}. Install ${missing.join(", ")}.`,
    { missing },
  );
}

export async function serviceFolder(name: string, folder?: string): Promise<string> {
  if (folder === undefined) return mkdtemp(join(tmpdir(), `sluice-${name}-`));
  await mkdir(folder, { recursive: true });
  return folder;
}

/**
 * Starts what `plan` describes on a port, and on another one where that was taken between looking and listening
 * (unless the caller named the port).
 */
export async function startService(
  options: StartOptions,
  plan: (port: number) => Promise<Omit<ServerPlan, "temporary">>,
  environment: (address: string) => Record<string, string>,
): Promise<LocalService> {
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    const planned = await plan(port);
    const process = new ServerProcess({ ...planned, temporary: options.folder === undefined });
    try {
      await process.start();
    } catch (error) {
      const taken = error instanceof SluiceError && error.context["portTaken"] === true;
      if (taken && options.port === undefined && attempt < 5) continue;
      await process.stop();
      throw error;
    }
    const address = `127.0.0.1:${port}`;
    return {
      address,
      port,
      folder: planned.folder,
      get pid() {
        return process.pid;
      },
      environment: environment(address),
      kill: (signal) => process.kill(signal),
      restart: () => process.restart(),
      stop: () => process.stop(),
    };
  }
}
