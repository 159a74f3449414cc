import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, type WriteStream } from "node:fs";
import type { Readable } from "node:stream";
import { awaitedLater, messageOf, orNullNow, SluiceError } from "../../../schemas/errors.js";

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

/** Lines of the log that an error shows, and how much of each */
const TAIL = 12;
const TAIL_CHARACTERS = 300;
/** A longer line is cut */
const LINE_BYTES = 64 * 1024;
/** What is said beyond this is not kept in the log: a program may run for days */
const LOG_BYTES = 64 * 1024 * 1024;
/** How long what a program has started may hold its output open once it has ended, ms */
const DRAIN_MS = 2000;

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
  const log = new TrainingLog(options.logPath);
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
  // Not `close`: something that it has left running may hold its output open for ever.
  const exited = awaitedLater(once(child, "exit")) as Promise<[number | null, NodeJS.Signals | null]>;
  const closed = awaitedLater(once(child, "close"));
  try {
    const hear = (line: string, isMessage: boolean): void => {
      heardMs = performance.now();
      const message = isMessage ? messageIn(line) : null;
      if (message !== null) options.onMessage(message);
      else log.keep(line);
    };
    onLines(child.stdout, (line) => {
      hear(line, true);
    });
    onLines(child.stderr, (line) => {
      hear(line, false);
    });
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
    if (child.pid !== undefined) await options.onStarted?.(child.pid);
    const [code, by] = await Promise.race([exited, log.failed]);
    if (child.pid !== undefined) signalGroup(child.pid, "SIGKILL");
    await Promise.race([closed, new Promise((wake) => setTimeout(wake, DRAIN_MS).unref())]);
    throwUnlessDone({ code, by, ending, tail: log.tail, options });
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
    // Where something failed here while it runs: nothing of the program's goes on.
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
      signalGroup(child.pid, "SIGKILL");
    child.stdout.destroy();
    child.stderr.destroy();
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

/** Gives each line of a stream, one that is too long cut into several. */
function onLines(stream: Readable, take: (line: string) => void): void {
  let held = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    const lines = (held + chunk).split("\n");
    held = lines.pop()!;
    lines.forEach(take);
    if (held.length < LINE_BYTES) return;
    take(held);
    held = "";
  });
  stream.on("end", () => {
    if (held !== "") take(held);
  });
}

/** What a program says beside messages: the last lines here, all of them in a file, up to a bound. */
class TrainingLog {
  readonly tail: string[] = [];
  /** Rejects where the file cannot be written */
  readonly failed: Promise<never>;
  readonly #file: WriteStream;
  #sizeBytes = 0;

  constructor(path: string) {
    this.#file = createWriteStream(path, { flags: "a" });
    this.failed = awaitedLater(new Promise((_, reject) => this.#file.on("error", reject)));
  }

  keep(line: string): void {
    this.tail.push(line.slice(0, TAIL_CHARACTERS));
    if (this.tail.length > TAIL) this.tail.shift();
    if (this.#sizeBytes > LOG_BYTES) return;
    this.#sizeBytes += line.length + 1;
    this.#file.write(this.#sizeBytes > LOG_BYTES ? "[what follows is not kept]\n" : `${line}\n`);
  }

  end(): void {
    this.#file.end();
  }
}

/** To a process and all that it has started; nothing where all have ended. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  orNullNow(() => process.kill(-pid, signal), "ESRCH");
}
