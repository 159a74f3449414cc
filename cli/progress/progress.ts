import { MultiBar, type SingleBar } from "cli-progress";
import type { OnProgress, ProgressEvent } from "../../schemas/progress.js";
import { progressBlock, progressLine, type ProgressView } from "./progress-text.js";
import { Rate } from "./rate.js";

/** `block`: redrawn in place, for terminals; `lines`: one every few seconds; `json`: one object a line, each second. */
export type ProgressMode = "block" | "lines" | "json" | "none";

/** Shows progress on one stream until it is closed. Lines in between go through `note`, so that they stay whole. */
export interface ProgressReporter {
  readonly onProgress: OnProgress;
  note(line: string): void;
  close(): void;
}

export interface ProgressStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
}

const BETWEEN_LINES_MS = 5000;
const BETWEEN_OBJECTS_MS = 1000;

export function openProgress(mode: ProgressMode, stream: ProgressStream, nowMs: () => number): ProgressReporter {
  const write = (line: string): void => {
    stream.write(`${line}\n`);
  };
  switch (mode) {
    case "none":
      return { onProgress: () => undefined, note: write, close: () => undefined };
    case "lines":
      return spaced(BETWEEN_LINES_MS, nowMs, write, (view) => {
        write(progressLine(view));
      });
    case "json":
      return spaced(BETWEEN_OBJECTS_MS, nowMs, write, ({ event, perSecond, remainingMs }) => {
        write(JSON.stringify({ type: "progress", progress: { ...event, perSecond, remainingMs } }));
      });
    case "block":
      return block(stream, nowMs);
  }
}

/** Keeps the newest event of the phase, with its rate. A phase begins when another name comes in. */
class Phase {
  #rate = new Rate();
  event: ProgressEvent | null = null;

  /** Whether this event begins a phase. */
  take(event: ProgressEvent, atMs: number): boolean {
    const begins = this.event?.phase !== event.phase;
    if (begins) this.#rate = new Rate();
    this.#rate.observe(event.done, atMs);
    this.event = event;
    return begins;
  }

  view(event: ProgressEvent, atMs: number): ProgressView {
    return { event, perSecond: this.#rate.perSecond(atMs), remainingMs: this.#rate.remainingMs(event.total, atMs) };
  }
}

/** Shows a phase's first and last event, and in between no more than one every `betweenMs`. */
function spaced(
  betweenMs: number,
  nowMs: () => number,
  note: (line: string) => void,
  show: (view: ProgressView) => void,
): ProgressReporter {
  const phase = new Phase();
  let shownAtMs = -Infinity;
  let pending: ProgressView | null = null;
  let shown = "";
  const flush = (): void => {
    if (pending === null) return;
    // Pipelines may report the same state twice at their end.
    const state = JSON.stringify(pending.event);
    if (state !== shown) show(pending);
    shown = state;
    pending = null;
  };
  return {
    onProgress: (event) => {
      const atMs = nowMs();
      if (phase.event !== null && phase.event.phase !== event.phase) flush();
      const begins = phase.take(event, atMs);
      pending = phase.view(event, atMs);
      if (begins || atMs - shownAtMs >= betweenMs) {
        flush();
        shownAtMs = atMs;
      }
    },
    note,
    close: flush,
  };
}

function block(stream: ProgressStream, nowMs: () => number): ProgressReporter {
  const phase = new Phase();
  // Signals are the command's own business: it stops the work first, and closes this at the end.
  const bars = new MultiBar({
    stream,
    hideCursor: true,
    linewrap: false,
    forceRedraw: true,
    gracefulExit: false,
    fps: 5,
    format: (_options, _params, payload: { line: number }) =>
      phase.event === null ? "" : progressBlock(phase.view(phase.event, nowMs()))[payload.line]!,
  });
  const lines: SingleBar[] = [];
  let closed = false;
  return {
    onProgress: (event) => {
      // An event that comes late must not start the redrawing again.
      if (closed) return;
      const before = phase.event;
      const atMs = nowMs();
      if (before !== null && before.phase !== event.phase) bars.log(`${progressLine(phase.view(before, atMs))}\n`);
      phase.take(event, atMs);
      while (lines.length < 3) lines.push(bars.create(1, 0, { line: lines.length }));
    },
    note: (line) => {
      if (lines.length === 0 || closed) stream.write(`${line}\n`);
      else bars.log(`${line}\n`);
    },
    close: () => {
      if (lines.length > 0 && !closed) {
        // Notes still waiting for a redraw are drawn now; `stop` alone would drop them.
        bars.update();
        bars.stop();
      }
      closed = true;
    },
  };
}
