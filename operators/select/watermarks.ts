/** What is known of time in one partition. */
interface PartitionTime {
  /** Greatest event time seen, ms; null before the first record */
  readonly watermarkMs: number | null;
  /** When the last record came, by the clock of this process, ms */
  readonly seenMs: number;
}

/**
 * Event time over partitions: the least watermark of those that are not idle. It never regresses. A partition that has
 * had no record yet holds the rest back until it counts as idle.
 */
export class Watermarks {
  readonly #idleAfterMs: number;
  readonly #partitions = new Map<number, PartitionTime>();
  #currentMs: number | null = null;

  /** `partitions` are the numbers of those that exist, `nowMs` the clock's time. */
  constructor(partitions: Iterable<number>, idleAfterMs: number, nowMs: number) {
    this.#idleAfterMs = idleAfterMs;
    for (const partition of partitions) this.#partitions.set(partition, { watermarkMs: null, seenMs: nowMs });
  }

  /** A segment's header says how far its partition's event time has come. */
  observe(partition: number, watermarkMs: number | null, nowMs: number): void {
    const known = this.#partitions.get(partition)?.watermarkMs ?? null;
    const later = known === null || (watermarkMs !== null && watermarkMs > known) ? watermarkMs : known;
    this.#partitions.set(partition, { watermarkMs: later, seenMs: nowMs });
  }

  /** The combined watermark, ms; null while nothing is known. Where every partition is idle, the greatest one counts. */
  currentMs(nowMs: number): number | null {
    const known = [...this.#partitions.values()];
    const active = known.filter(({ seenMs }) => nowMs - seenMs < this.#idleAfterMs);
    let combined: number | null;
    if (active.length > 0) {
      combined = active.some(({ watermarkMs }) => watermarkMs === null)
        ? null
        : Math.min(...active.map(({ watermarkMs }) => watermarkMs!));
    } else {
      const all = known.flatMap(({ watermarkMs }) => watermarkMs ?? []);
      combined = all.length === 0 ? null : Math.max(...all);
    }
    if (combined !== null && (this.#currentMs === null || combined > this.#currentMs)) this.#currentMs = combined;
    return this.#currentMs;
  }
}
