import { readCards } from "../../operators/archive/teacher-registry.js";
import type { Observer } from "../../schemas/observed.js";
import { compact, type Compacted, type CompactOptions } from "../compact.js";
import { keepRunning } from "../flow/keep-running.js";
import { sleepUntil } from "../flow/sleep-until.js";

export interface RunCompactOptions extends Pick<CompactOptions, "store" | "stream" | "attempt"> {
  /** Between two looks, ms */
  readonly everyMs: number;
  /** All segments are taken whose images are older than this, ms; 0: only what fills a run */
  readonly olderThanMs: number;
  readonly onCompacted?: (teacher: string, compacted: Compacted) => void;
  readonly onWarning: (message: string, code?: string) => void;
  readonly observer?: Observer | undefined;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
}

/** Compacts every teacher's scores, again and again until stopped. Two at once do no harm. */
export async function runCompact(options: RunCompactOptions): Promise<void> {
  const { store, everyMs, olderThanMs, onCompacted, signal, onWarning, observer, nowMs } = options;
  const work = async (): Promise<void> => {
    while (!signal.aborted) {
      const teachers = [...(await readCards(store)).keys()];
      observer?.take({ event: "loop.ready", loop: "compact" });
      for (const teacher of teachers) {
        const compacted = await compact({
          ...options,
          teacher,
          dueOnly: olderThanMs === 0,
          beforeMs: olderThanMs === 0 ? null : nowMs() - olderThanMs,
        });
        const { segments, bytesAfter } = compacted;
        observer?.take({ event: "archive.compacted", segments, sizeBytes: bytesAfter ?? 0 });
        if (segments > 0) onCompacted?.(teacher, compacted);
        for (const { chain, start, error } of compacted.refused) {
          onWarning(`${chain.stream}/${chain.partition} from ${start}: ${error.message}`);
        }
        if (compacted.stopped) return;
      }
      observer?.take({ event: "loop.turned", loop: "compact" });
      await sleepUntil(everyMs, signal);
    }
  };
  await keepRunning(work, { signal, onWarning, nowMs, loop: "compact", observer });
}
