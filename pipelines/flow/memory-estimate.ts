import { totalmem } from "node:os";
import { quota } from "../../operators/select/quota.js";
import { ranking } from "../../operators/select/ranking.js";
import { estimateTopkBytes } from "../../operators/topk/topk-size.js";
import type { Config } from "../../schemas/config.js";
import { reserveOf } from "../../schemas/dataset.js";
import { SluiceError } from "../../schemas/errors.js";
import type { RankedCard } from "../../schemas/model-card.js";

export interface MemoryEstimate {
  /** Of the top-K states when all their classes are full */
  readonly stateBytes: number;
  /** What this process may use: the machine's memory, or its container's limit */
  readonly memoryBytes: number;
  readonly datasets: readonly { readonly name: string; readonly bytes: number }[];
}

/** What the datasets' states need for a teacher. Throws E_SELECTION, also for labels that it does not have. */
export function estimateMemory(config: Config, card: RankedCard): MemoryEstimate {
  const datasets = config.datasets.map((dataset) => {
    const ranked = ranking(dataset.select, card);
    const k = quota(dataset.select.k, ranked, "most");
    return {
      name: dataset.name,
      bytes: estimateTopkBytes({ classes: ranked.labels.length, k, reserve: reserveOf(dataset) }),
    };
  });
  return {
    stateBytes: datasets.reduce((sum, { bytes }) => sum + bytes, 0),
    memoryBytes: memoryLimit(),
    datasets,
  };
}

/** Throws E_MEMORY, with the estimate in bytes, where the states cannot fit. */
export function assertFits(config: Config, card: RankedCard): void {
  const classes = card.labels.length;
  const { stateBytes, memoryBytes, datasets } = estimateMemory(config, card);
  if (stateBytes <= memoryBytes) return;
  const largest = datasets.reduce((most, one) => (one.bytes > most.bytes ? one : most));
  throw new SluiceError(
    "E_MEMORY",
    `Expected top-K states that fit into ${memoryBytes} bytes of memory, found an estimate of ${stateBytes} bytes for ${classes} classes ` +
      `(${largest.bytes} of them for dataset ${largest.name}). Choose a smaller k or reserve.`,
    { stateBytes, memoryBytes, classes },
  );
}

/** What this process may use, bytes. */
export function memoryLimit(): number {
  // 0 where there is no limit, and a number past all memory where a control group has none.
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
