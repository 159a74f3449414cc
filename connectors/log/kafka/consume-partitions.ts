interface Consumption {
  readonly partitions: number;
  /** Settles when this member may have the partition, with what gives it back; null where the signal aborts before. */
  readonly turn: (partition: number, signal: AbortSignal) => Promise<(() => void) | null>;
  readonly task: (partition: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

/** Runs one task a partition, each once it is this member's turn. The first that throws ends the others and is rethrown. */
export async function consumePartitions({ partitions, turn, task, signal }: Consumption): Promise<void> {
  const stop = new AbortController();
  const abort = (): void => {
    stop.abort(signal.reason);
  };
  if (signal.aborted) return;
  signal.addEventListener("abort", abort, { once: true });
  const failures: unknown[] = [];
  const run = async (partition: number): Promise<void> => {
    const giveBack = await turn(partition, stop.signal);
    if (giveBack === null) return;
    try {
      await task(partition, stop.signal);
    } catch (error) {
      failures.push(error);
      stop.abort(error);
    } finally {
      giveBack();
    }
  };
  await Promise.all(Array.from({ length: partitions }, (_, partition) => run(partition)));
  signal.removeEventListener("abort", abort);
  if (failures.length > 0) throw failures[0];
}
