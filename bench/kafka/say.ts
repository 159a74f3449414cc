/** What a member of the bench says of itself: one JSON object a line of its standard output. */
export interface Said {
  readonly event: string;
  /** Since the epoch, with fractions: the same clock in all processes of a machine */
  readonly ms: number;
  /** Spent by the process so far, on all its threads */
  readonly cpuSeconds: number;
  readonly [detail: string]: unknown;
}

export function say(event: string, details: Readonly<Record<string, unknown>> = {}): void {
  const { user, system } = process.cpuUsage();
  const said: Said = { event, ms: nowMs(), cpuSeconds: (user + system) / 1e6, ...details };
  process.stdout.write(`${JSON.stringify(said)}\n`);
}

export function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

/** Aborts when the parent process closes its standard input. */
export function untilInputEnds(): AbortSignal {
  const stop = new AbortController();
  process.stdin.once("end", () => {
    stop.abort();
  });
  process.stdin.resume();
  return stop.signal;
}
