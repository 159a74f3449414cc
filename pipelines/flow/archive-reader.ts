import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import type { Store } from "../../connectors/store/store.js";
import type { SpanReader } from "../../operators/state/cut.js";
import type { Config } from "../../schemas/config.js";
import type { Dataset } from "../../schemas/dataset.js";
import { isSluiceError } from "../../schemas/errors.js";
import type { RankedCard } from "../../schemas/model-card.js";
import { assertFits } from "./memory-estimate.js";
import { parallelReader } from "./parallel-read.js";
import { FOLDERS } from "../open/workspace.js";

/** More read no faster: the disk is shared, and each thread has a state. */
const MOST_THREADS = 4;

/**
 * How a cut of one dataset reads the archive: with so many threads, by default one a core as far as memory goes.
 * Undefined where one thread reads. Throws E_MEMORY where what was asked for cannot fit.
 */
export function archiveReader(
  store: Store,
  config: Config,
  dataset: Dataset,
  card: RankedCard,
  asked?: number,
): SpanReader | undefined {
  const fits = (threads: number): void => {
    const states = threads === 1 ? 1 : 2;
    assertFits({ ...config, datasets: Array.from({ length: states }, () => dataset) }, card);
  };
  let threads = asked ?? Math.min(MOST_THREADS, availableParallelism());
  try {
    fits(threads);
  } catch (error) {
    if (asked !== undefined || threads === 1 || !isSluiceError(error, "E_MEMORY")) throw error;
    threads = 1;
    fits(threads);
  }
  return threads === 1 || config.s3 !== undefined
    ? undefined
    : parallelReader(store, resolve(config.data, FOLDERS.store), threads);
}
