import { setTimeout as sleep } from "node:timers/promises";

/** Waits for so long, or until the signal aborts. */
export async function sleepUntil(delayMs: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(delayMs, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
