import { isSluiceError } from "../../schemas/errors.js";
import { cronAfter } from "../../schemas/trigger.js";
import { rebuild, type RebuildOptions } from "../rebuild.js";
import type { PublishedCut } from "./cut-and-publish.js";

export interface ScheduleOptions extends Omit<RebuildOptions, "at" | "untilMs" | "windowMs"> {
  /** A cron line, in UTC */
  readonly schedule: string;
  readonly nowMs: () => number;
  /** Waits until a time, ms, or until the signal aborts */
  readonly waitUntil: (timeMs: number) => Promise<void>;
  readonly onWaiting?: (untilMs: number) => void;
  readonly signal: AbortSignal;
}

/**
 * Rebuilds at each firing of a cron line until stopped; a firing that passes during a rebuild is left out. Of a windowed
 * dataset the newest window that has ended by the firing is cut. What may succeed another time (I/O) is reported as a
 * warning, and waits for the next firing; everything else is thrown.
 */
export async function* rebuildOnSchedule(options: ScheduleOptions): AsyncGenerator<PublishedCut, void, undefined> {
  const { schedule, nowMs, waitUntil, signal, dataset } = options;
  const stopped = (): boolean => signal.aborted;
  while (!stopped()) {
    const firesMs = cronAfter(schedule, nowMs());
    if (firesMs === null) return;
    options.onWaiting?.(firesMs);
    await waitUntil(firesMs);
    if (stopped()) return;
    try {
      const aim = dataset.window.kind === "global" ? {} : { untilMs: firesMs };
      yield await rebuild({ ...options, ...aim, trigger: `schedule ${schedule}` });
    } catch (error) {
      if (isSluiceError(error, "E_CANCELLED")) return;
      if (!isSluiceError(error) || !error.retryable) throw error;
      options.onWarning?.(`${error.message} The next firing tries again.`);
    }
  }
}
