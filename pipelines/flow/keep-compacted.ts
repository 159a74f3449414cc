import { randomBytes } from "node:crypto";
import type { Store } from "../../connectors/store/store.js";
import type { Observer } from "../../schemas/observed.js";
import { compact } from "../compact.js";
import { Upkeep } from "./upkeep.js";

/** Segments archived between two looks at what is due */
const LOOK_SEGMENTS = 64;

export interface KeepCompactedOptions {
  readonly store: Store;
  readonly teacher: string;
  readonly stream: string;
  /** Is told why compaction stands */
  readonly onWarning: (message: string) => void;
  readonly observer?: Observer | undefined;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
}

/** Compacts what is due beside the scoring. */
export function keepCompacted(options: KeepCompactedOptions): Upkeep {
  const { onWarning, signal } = options;
  const how = { everySegments: LOOK_SEGMENTS, failure: "Compaction is tried again later", onWarning, signal };
  return new Upkeep(how, async () => {
    const done = await compact({ ...options, dueOnly: true, attempt: () => randomBytes(6).toString("hex") });
    options.observer?.take({ event: "loop.turned", loop: "compact" });
    options.observer?.take({ event: "archive.compacted", segments: done.segments, sizeBytes: done.bytesAfter ?? 0 });
    for (const { message } of done.refusedPacks) onWarning(`Kept images are not merged: ${message}`);
    for (const { chain, start, error } of done.refused) {
      onWarning(`Compaction of ${chain.stream}/${chain.partition} stands at ${start}: ${error.message}`);
    }
  });
}
