import type { Invocation } from "../invocation.js";
import { Rate } from "../progress/rate.js";
import { FullScreen } from "./full-screen.js";
import { statusFrame, statusLine, type WatchedStatus } from "./status-frame.js";

export interface WatchOptions {
  readonly run: Invocation;
  readonly intervalMs: number;
  readonly look: () => Promise<Omit<WatchedStatus, "perSecond">>;
}

/** Keys that end it: q, and Ctrl-C and Ctrl-D, which a terminal in raw mode gives as letters */
const QUIT: ReadonlySet<string> = new Set(["q", "Q", "\u0003", "\u0004"]);

/** Lines that a key moves the screen by: arrows and pages, as terminals send them */
const MOVES: Readonly<Record<string, number>> = { "\u001b[A": -1, "\u001b[B": 1, "\u001b[5~": -10, "\u001b[6~": 10 };

/**
 * Looks again and again until q, Ctrl-C or SIGTERM: on a terminal the whole screen, which is as it was afterwards; elsewhere a line
 * (with `--json` an object) each time.
 */
export async function watchStatus({ run, intervalMs, look }: WatchOptions): Promise<void> {
  const { stdout, signals } = run.terminal;
  const stop = new AbortController();
  const quit = (): void => {
    stop.abort();
  };
  const screen = stdout.isTTY === true && !run.json ? new FullScreen(stdout) : null;
  const onKey = (key: Buffer | string): void => {
    const by = MOVES[key.toString()];
    if (by !== undefined) screen?.scroll(by);
    if (Array.from(key.toString()).some((letter) => QUIT.has(letter))) quit();
  };
  signals.on("SIGINT", quit);
  signals.on("SIGTERM", quit);
  // Asked for only where there is a screen: it would keep the process.
  const keys = screen !== null && run.terminal.stdin.isTTY === true ? run.terminal.stdin : null;
  keys?.setRawMode?.(true);
  keys?.on("data", onKey);
  const rate = new Rate();
  try {
    while (!stop.signal.aborted) {
      const looked = await look();
      rate.observe(looked.archived, looked.atMs);
      const seen: WatchedStatus = { ...looked, perSecond: rate.perSecond(looked.atMs) };
      if (screen !== null) screen.draw(statusFrame(seen, screen.size.columns));
      else stdout.write(`${run.json ? JSON.stringify(seen) : statusLine(seen)}\n`);
      await waited(intervalMs, stop.signal);
    }
  } finally {
    screen?.close();
    keys?.off("data", onKey);
    keys?.setRawMode?.(false);
    keys?.pause();
    signals.off("SIGINT", quit);
    signals.off("SIGTERM", quit);
  }
}

function waited(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const timer = setTimeout(resolve, delayMs);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
