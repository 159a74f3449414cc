import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, type WriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { messageOf, orNullNow, SluiceError } from "../../../schemas/errors.js";

/** What a training command says on stdout: one JSON object a line, each member as it likes. */
export interface TrainingMessage {
  readonly phase?: string;
  readonly step?: number;
  readonly steps?: number;
  readonly loss?: number;
  /** [0, 1] */
  readonly accuracy?: number;
  /** For the person */
  readonly note?: string;
}

export interface TrainingCommandOptions {
  /** As a shell takes it */
  readonly command: string;
  /** Where it runs */
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
  /** What it says beside messages, and all of stderr, is appended there */
  readonly logPath: string;
  /** Asks it to stop: SIGTERM, and SIGKILL `killAfterMs` later */
  readonly signal: AbortSignal;
  readonly killAfterMs: number;
  /** Without a line for so long it is taken to hang, and is ended */
  readonly silentMs: number;
  readonly onMessage: (message: TrainingMessage) => void;
  /** Called with the process group's id once it runs */
  readonly onStarted?: ((pid: number) => Promise<void>) | undefined;
}

/** Lines of the log that an error shows */
const TAIL = 12;

/**
 * Runs a training program to its end, in a process group of its own, so that all it started ends with it. Throws E_TRAIN_COMMAND where it
 * fails or hangs, E_CANCELLED at a stop.
 */
export async function runTrainingCommand(options: TrainingCommandOptions): Promise<void> {
  const { command, folder, environment, signal, killAfterMs, silentMs } = options;
  const child = spawn("/bin/sh", ["-c", command], {
    cwd: folder,
    env: environment,
    // Open as long as this process lives: a program can tell from its end that nobody waits for it any more.
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
  });
  const log = createWriteStream(options.logPath, { flags: "a" });
  const tail: string[] = [];
  let heardMs = performance.now();
  let ending: "stopped" | "silent" | null = null;
  const end = (why: "stopped" | "silent"): void => {
    if (ending !== null || child.pid === undefined) return;
    ending = why;
    signalGroup(child.pid, "SIGTERM");
    killing = setTimeout(() => {
      signalGroup(child.pid!, "SIGKILL");
    }, killAfterMs);
  };
  let killing: NodeJS.Timeout | undefined;
  const watch = setInterval(
    () => {
      if (performance.now() - heardMs > silentMs) end("silent");
    },
    Math.min(1000, silentMs),
  );
  const stop = (): void => {
    end("stopped");
  };
  const closed = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  try {
    const hear = (line: string, isMessage: boolean): void => {
      heardMs = performance.now();
      const message = isMessage ? messageIn(line) : null;
      if (message !== null) options.onMessage(message);
      else keep(line, log, tail);
    };
    createInterface({ input: child.stdout }).on("line", (line) => {
      hear(line, true);
    });
    createInterface({ input: child.stderr }).on("line", (line) => {
      hear(line, false);
    });
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
    if (child.pid !== undefined) await options.onStarted?.(child.pid);
    const [code, by] = await closed;
    if (child.pid !== undefined) signalGroup(child.pid, "SIGKILL");
    throwUnlessDone({ code, by, ending, tail, options });
  } catch (error) {
    if (error instanceof SluiceError) throw error;
    throw new SluiceError(
      "E_TRAIN_COMMAND",
      `Expected to run the training command ${command}, found: ${messageOf(error)}.`,
      {
        cause: error,
      },
    );
  } finally {
    clearInterval(watch);
    clearTimeout(killing);
    signal.removeEventListener("abort", stop);
    log.end();
  }
}

interface Ended {
  readonly code: number | null;
  readonly by: NodeJS.Signals | null;
  readonly ending: "stopped" | "silent" | null;
  readonly tail: readonly string[];
  readonly options: TrainingCommandOptions;
}

function throwUnlessDone({ code, by, ending, tail, options }: Ended): void {
  const { command, silentMs, logPath, signal } = options;
  const said = tail.length === 0 ? "It said nothing." : `It said last:\n${tail.join("\n")}`;
  if (ending === "stopped") {
    throw new SluiceError(
      "E_CANCELLED",
      "Stopped on request while a command trained. The same command goes on, where the program can.",
      {
        cause: signal.reason,
      },
    );
  }
  if (ending === "silent") {
    throw new SluiceError(
      "E_TRAIN_COMMAND",
      `Expected a line from the training command ${command} at least every ${silentMs / 1000} s, found none: it was ended. Let it say more often how far it is, or wait longer (--silent-after). ${said}`,
      { logPath },
    );
  }
  if (code === 0) return;
  throw new SluiceError(
    "E_TRAIN_COMMAND",
    `Expected the training command ${command} to end with 0, found ${by === null ? `exit code ${code}` : `that ${by} ended it`}. ${said}\nAll it said is in ${logPath}.`,
    { code, signal: by, logPath },
  );
}

function messageIn(line: string): TrainingMessage | null {
  if (!line.trimStart().startsWith("{")) return null;
  const parsed = parse(line);
  return typeof parsed === "object" && parsed !== null ? plain(parsed as Record<string, unknown>) : null;
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    // Some other line that begins so: it is kept in the log.
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Members of the kinds that they should be. */
function plain(found: Record<string, unknown>): TrainingMessage {
  const text = (name: string): object => (typeof found[name] === "string" ? { [name]: found[name] } : {});
  const number = (name: string): object => (Number.isFinite(found[name]) ? { [name]: found[name] } : {});
  return {
    ...text("phase"),
    ...text("note"),
    ...number("step"),
    ...number("steps"),
    ...number("loss"),
    ...number("accuracy"),
  };
}

function keep(line: string, log: WriteStream, tail: string[]): void {
  log.write(`${line}\n`);
  tail.push(line);
  if (tail.length > TAIL) tail.shift();
}

/** To a process and all that it has started; nothing where all have ended. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  orNullNow(() => process.kill(-pid, signal), "ESRCH");
}
