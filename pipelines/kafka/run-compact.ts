import { readCards } from "../../operators/archive/teacher-registry.js";
import { compact, type Compacted, type CompactOptions } from "../compact.js";
import { keepRunning } from "../flow/keep-running.js";
import { sleepUntil } from "../flow/sleep-until.js";

export interface RunCompactOptions extends Pick<CompactOptions, "store" | "stream" | "attempt"> {
  /** Between two looks, ms */
  readonly everyMs: number;
  /** All segments are taken whose images are older than this, ms; 0: only what fills a run */
  readonly olderThanMs: number;
  readonly onCompacted?: (teacher: string, compacted: Compacted) => void;
  readonly onWarning: (message: string) => void;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
}

/** Compacts every teacher's scores, again and again until stopped. Two at once do no harm. */
export async function runCompact(options: RunCompactOptions): Promise<void> {
  const { store, everyMs, olderThanMs, onCompacted, signal, onWarning, nowMs } = options;
  const work = async (): Promise<void> => {
    while (!signal.aborted) {
      for (const teacher of (await readCards(store)).keys()) {
        const compacted = await compact({
          ...options,
          teacher,
          dueOnly: olderThanMs === 0,
          beforeMs: olderThanMs === 0 ? null : nowMs() - olderThanMs,
        });
        if (compacted.segments > 0) onCompacted?.(teacher, compacted);
        for (const { chain, start, error } of compacted.refused) {
          onWarning(`${chain.stream}/${chain.partition} from ${start}: ${error.message}`);
        }
        if (compacted.stopped) return;
      }
      await sleepUntil(everyMs, signal);
    }
  };
  await keepRunning(work, { signal, onWarning, nowMs });
}
