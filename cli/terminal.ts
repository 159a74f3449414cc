import { constants, setPriority } from "node:os";
import type { SignalSource } from "./stop.js";

export interface OutputStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  /** Of a terminal, in letters */
  readonly columns?: number;
  readonly rows?: number;
}

export interface InputStream extends NodeJS.ReadableStream {
  readonly isTTY?: boolean;
  /** Of a terminal: each key at once, and none of them a signal */
  setRawMode?(isRaw: boolean): unknown;
}

/** What a command touches of its process, so that a test can give it another. */
export interface Terminal {
  /** What a program that has started this one says to it, or a person's keys */
  readonly stdin: InputStream;
  /** Results, and nothing else */
  readonly stdout: OutputStream;
  /** Progress, notes and errors */
  readonly stderr: OutputStream;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Where relative paths begin */
  readonly folder: string;
  /** ms since the epoch */
  readonly nowMs: () => number;
  readonly signals: SignalSource;
  readonly exit: (code: number) => void;
  /** Leaves the machine to other processes where they want it */
  readonly stepBack?: () => void;
}

export function processTerminal(): Terminal {
  return {
    // Opened only where it is read: it would keep the process.
    get stdin() {
      return process.stdin;
    },
    stdout: process.stdout,
    stderr: process.stderr,
    environment: process.env,
    folder: process.cwd(),
    nowMs: Date.now,
    signals: process,
    exit: (code) => process.exit(code),
    stepBack: () => {
      setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
    },
  };
}
