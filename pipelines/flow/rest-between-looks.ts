/** What one look through a followed source found, and how long it took, ms. */
export interface Look {
  readonly found: number;
  readonly tookMs: number;
  /** Looks are wanted this often */
  readonly rescanMs: number;
}

/** Of a source in which nothing is new: looking through a hundred thousand files takes seconds */
const BUSY_AT_MOST = 0.1;

/** How long to wait until the next look, ms: a source in which nothing is new is looked through for a tenth of the time at most. */
export function restMs({ found, tookMs, rescanMs }: Look): number {
  return found > 0 ? rescanMs : Math.max(rescanMs, tookMs * (1 / BUSY_AT_MOST - 1));
}
