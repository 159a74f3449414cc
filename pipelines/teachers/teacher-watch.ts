import type { Store } from "../../connectors/store/store.js";
import { sleepUntil } from "../flow/sleep-until.js";
import { streamTeachers, type StreamTeachers } from "./change-teacher.js";

/** How often what is declared is looked at, ms: two small requests */
const LOOK_MS = 1000;

/** Waits until `differs` says so of the stream's teachers, and returns them; null once the signal aborts. */
export async function teachersOnceThey(
  differs: (teachers: StreamTeachers) => boolean,
  { store, stream, signal }: { readonly store: Store; readonly stream: string; readonly signal: AbortSignal },
): Promise<StreamTeachers | null> {
  while (!signal.aborted) {
    const teachers = await streamTeachers(store, stream);
    if (differs(teachers)) return teachers;
    await sleepUntil(LOOK_MS, signal);
  }
  return null;
}
