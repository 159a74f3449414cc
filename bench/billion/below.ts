import { readFileSync } from "node:fs";
import type { TopkState } from "../../operators/topk/topk.js";
import { CLASSES, makeCandidates } from "./candidates.js";

const CANDIDATES = 20_000_000;
const ROUNDS = 20;

/**
 * What a candidate costs that is below its class's threshold, in a state that has had its stream: nanoseconds, and clock
 * cycles where the machine says its frequency. The least of twenty rounds: whatever else the machine does only adds to it.
 */
export function costBelow(state: TopkState, refuse: () => never): Record<string, number> {
  state.counts();
  const full = state.thresholds.findIndex((key) => key > -Infinity);
  if (full < 0) throw new Error("no class is full: there is no threshold to be below");
  const [made] = makeCandidates(0, 512);
  const batch = made!;
  for (let row = 0; row < batch.count; row++) {
    if (state.thresholds[batch.classes[row]!] === -Infinity) batch.classes[row] = full;
    batch.keys[row] = state.thresholds[batch.classes[row]!]! - 1 - row / CLASSES;
  }
  const out = { emit: refuse, reject: refuse };
  const costs = Array.from({ length: ROUNDS }, () => {
    const start = performance.now();
    let done = 0;
    for (; done < CANDIDATES / ROUNDS; done += batch.count) state.onBatch(batch, out);
    return ((performance.now() - start) * 1e6) / done;
  });
  const belowNs = Math.min(...costs);
  const megahertz = clockMegahertz();
  return megahertz === null ? { belowNs } : { belowNs, belowCycles: (belowNs * megahertz) / 1000 };
}

/** The processor's clock; null where the machine does not say. */
function clockMegahertz(): number | null {
  try {
    const [, found] = /^cpu MHz\s*:\s*([\d.]+)$/m.exec(readFileSync("/proc/cpuinfo", "utf8")) ?? [];
    return found === undefined ? null : Number(found);
  } catch {
    return null;
  }
}
