import { spawn, type ChildProcess } from "node:child_process";
import { open, readFile, rm, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SluiceError } from "../../schemas/errors.js";

/** A cold JVM on a busy two-core machine was seen to need 20 s. */
const READY_WITHIN_MS = 120_000;
const STOPPED_WITHIN_MS = 20_000;

export interface ServerPlan {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Working folder; the server's output goes to `server.log` in it. */
  readonly folder: string;
  /** Whether the folder goes when the server stops. */
  readonly temporary: boolean;
  /** Whether the server answers. `log` is what it has written since this start. */
  readonly ready: (log: string) => Promise<boolean>;
}

/** A server as a child process: started until it is ready, killed by pid, started again on the same ports and data. */
export class ServerProcess {
  readonly #plan: ServerPlan;
  #child: ChildProcess | null = null;

  constructor(plan: ServerPlan) {
    this.#plan = plan;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new SluiceError("E_SERVICE", `Expected ${this.#plan.name} to run; it was stopped.`);
    return pid;
  }

  /** Throws E_SERVICE with the server's last words where it ends or stays silent instead of becoming ready. */
  async start(): Promise<void> {
    const { name, program, args, environment, folder, ready } = this.#plan;
    const logPath = join(folder, "server.log");
    const logStart = (await stat(logPath).catch(() => null))?.size ?? 0;
    const log = await open(logPath, "a");
    // In a process group of its own: Ctrl-C in a terminal reaches this process, which then stops the server in order.
    const child = spawn(program, args, {
      cwd: folder,
      env: { ...process.env, ...environment },
      stdio: ["ignore", log.fd, log.fd],
      detached: true,
    });
    const failures: Error[] = [];
    child.once("error", (error) => failures.push(error));
    await log.close();
    this.#child = child;
    if (child.pid !== undefined) {
      const watcher = guard(child.pid, this.#plan.temporary ? folder : "");
      child.once("exit", () => watcher.kill("SIGKILL"));
    }
    child.unref();
    const written = async (): Promise<string> => (await readFile(logPath)).subarray(logStart).toString();
    const deadlineMs = Date.now() + READY_WITHIN_MS;
    for (;;) {
      const said = await written();
      const ended = failures.length > 0 || child.exitCode !== null || child.signalCode !== null;
      if (!ended && (await ready(said).catch(() => false))) return;
      if (ended || Date.now() > deadlineMs) {
        if (!ended) await this.kill("SIGKILL");
        this.#child = null;
        throw new SluiceError(
          "E_SERVICE",
          `Expected ${name} to become ready, found that it ${ended ? "ended" : "did not within 120 s"}; its log ${logPath} ends with:\n${said.trim().split("\n").slice(-15).join("\n")}`,
          { cause: failures[0], portTaken: /address already in use/i.test(said) },
        );
      }
      await sleep(50);
    }
  }

  /** Sends a signal; for one that ends the process, returns when it has ended. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    if (signal === "SIGSTOP" || signal === "SIGCONT") return;
    child.ref();
    const ended = new Promise<void>((resolve) =>
      child.once("exit", () => {
        resolve();
      }),
    );
    const late = new AbortController();
    const inTime = await Promise.race([
      ended.then(() => true),
      sleep(STOPPED_WITHIN_MS, false, { signal: late.signal }).catch(() => true),
    ]);
    late.abort();
    if (!inTime) {
      child.kill("SIGKILL");
      await ended;
    }
  }

  /** On the same ports and data; kills first where the server still runs. */
  async restart(): Promise<void> {
    await this.kill("SIGKILL");
    await this.start();
  }

  async stop(): Promise<void> {
    // A stopped (SIGSTOP) server would not hear SIGTERM.
    this.#child?.kill("SIGCONT");
    await this.kill("SIGTERM");
    this.#child = null;
    if (this.#plan.temporary) await rm(this.#plan.folder, { recursive: true, force: true });
  }
}

/** Ends the server, and removes a temporary folder, should this process die without stopping it. */
function guard(pid: number, folder: string): ChildProcess {
  const script = 'read -r _; kill -KILL "$0" 2>/dev/null; sleep 1; if [ -n "$1" ]; then rm -rf "$1"; fi';
  const child = spawn("sh", ["-c", script, String(pid), folder], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  child.on("error", () => undefined);
  child.unref();
  // The pipe closes when this process ends; until then it must not keep it alive.
  (child.stdin as unknown as { unref?: () => void }).unref?.();
  return child;
}

/**
 * A free loopback port. Below 32768, where no outgoing connection is given its own port, so that a killed server
 * finds its port free again.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once("error", () => {
        resolve(false);
      });
      server.listen(port, "127.0.0.1", () => {
        resolve(true);
      });
    });
    if (free) {
      await new Promise((resolve) => server.close(resolve));
      return port;
    }
  }
}
