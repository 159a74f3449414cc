import type { Store } from "../../connectors/store/store.js";
import type { Schedule } from "../../schemas/schedule.js";
import { cronAfter } from "../../schemas/trigger.js";
import { RunBook, type NewestRun } from "./run-book.js";

export interface ListedSchedule extends Schedule {
  /** Its next firing, ms; null: never again */
  readonly nextMs: number | null;
  /** null: no process has seen it yet */
  readonly newest: NewestRun | null;
}

/** The declared schedules with their newest runs and next firings. Reads; never writes. */
export async function listSchedules(
  store: Store,
  stream: string,
  schedules: readonly Schedule[],
  nowMs: number,
): Promise<ListedSchedule[]> {
  const listed = [];
  for (const schedule of schedules) {
    const newest = await new RunBook(store, stream, schedule.name).newest();
    listed.push({ ...schedule, nextMs: cronAfter(schedule.cron, nowMs, schedule.timeZone), newest });
  }
  return listed;
}
