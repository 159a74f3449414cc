/** One size that was tried. */
export interface BatchTrial {
  readonly batch: number;
  readonly imagesPerS: number;
}

export interface FoundBatch {
  readonly batch: number;
  readonly trials: readonly BatchTrial[];
  /** The size for which memory was short, or null */
  readonly tooLarge: number | null;
}

export interface FindBatchOptions {
  /** The greatest size that is tried */
  readonly most: number;
  /** Whether a run failed for its length; every other failure is passed on */
  readonly isTooLarge: (error: unknown) => boolean;
  readonly nowMs: () => number;
}

/** A size must be this much quicker than the best smaller one to be taken: less is the clock's noise, and memory for nothing. */
const GAIN = 1.05;
/** Sizes in a row without such a gain that end the search: one alone may be a size that suits the device badly. */
const MOST_FLAT = 2;
/** Timed runs of a size, after one that is not timed (libraries choose their kernels then): at least, at most, and how long, ms */
const RUNS = { least: 2, most: 20, forMs: 200 } as const;
/** Past this a run is so long that a stop and the last images of a stream wait for it, ms. */
const LONG_RUN_MS = 2000;

/**
 * Doubles the batch from one image on until images a second stop rising, a run takes long, or memory is short. The least size within
 * 5 % of the quickest is taken. `run` runs the model once over that many images.
 */
export async function findBatch(
  run: (count: number) => Promise<unknown>,
  { most, isTooLarge, nowMs }: FindBatchOptions,
): Promise<FoundBatch> {
  const trials: BatchTrial[] = [];
  let best: BatchTrial = { batch: 1, imagesPerS: 0 };
  let flat = 0;
  for (let batch = 1; batch <= most && flat < MOST_FLAT; batch *= 2) {
    let runMs: number;
    try {
      runMs = await quickestRunMs(() => run(batch), nowMs);
    } catch (error) {
      if (batch === 1 || !isTooLarge(error)) throw error;
      return { batch: best.batch, trials, tooLarge: batch };
    }
    const trial = { batch, imagesPerS: (batch * 1000) / Math.max(runMs, 1e-3) };
    trials.push(trial);
    if (trial.imagesPerS >= best.imagesPerS * GAIN) {
      best = trial;
      flat = 0;
    } else flat++;
    if (runMs > LONG_RUN_MS) break;
  }
  return { batch: best.batch, trials, tooLarge: null };
}

/** The quickest of a few runs: whatever else the machine does only makes runs slower. */
async function quickestRunMs(run: () => Promise<unknown>, nowMs: () => number): Promise<number> {
  const startedMs = nowMs();
  await run();
  const firstMs = nowMs() - startedMs;
  if (firstMs > LONG_RUN_MS) return firstMs;
  let quickest = Number.POSITIVE_INFINITY;
  const timedFromMs = nowMs();
  for (let runs = 0; runs < RUNS.most; runs++) {
    const beganMs = nowMs();
    await run();
    const endedMs = nowMs();
    quickest = Math.min(quickest, endedMs - beganMs);
    if (runs + 1 >= RUNS.least && endedMs - timedFromMs >= RUNS.forMs) break;
  }
  return quickest;
}
