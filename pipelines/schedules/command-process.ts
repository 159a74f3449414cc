import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { EXIT } from "../../schemas/errors.js";
import type { RanCommand } from "./run-schedules.js";

export interface CommandProcess {
  /** Of node, the command line's own file first */
  readonly words: readonly string[];
  readonly folder: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Asks it to end in order: SIGINT, as Ctrl-C does */
  readonly signal: AbortSignal;
  readonly onLine: (line: string) => void;
}

/** More of a line is not remembered */
const SAID = 500;

/** Runs a command of sluice in a process, and a process group, of its own: a Ctrl-C at the terminal comes to it once, from here. */
export async function runCommandProcess({
  words,
  folder,
  environment,
  signal,
  onLine,
}: CommandProcess): Promise<RanCommand> {
  const child = spawn(process.execPath, [...words], {
    cwd: folder,
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const stop = (): void => {
    child.kill("SIGINT");
  };
  let told = "";
  let result = "";
  createInterface({ input: child.stderr }).on("line", (line) => {
    told = line;
    onLine(line);
  });
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (result === "") result = line;
    onLine(line);
  });
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop, { once: true });
  try {
    const [code, by] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
    const exitCode = code ?? EXIT.failed;
    const said = exitCode === 0 ? result : by === null ? told || result : `${by} ended it. ${told}`;
    return { exitCode, said: said.trim().slice(0, SAID), stopped: signal.aborted && exitCode !== 0 };
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
