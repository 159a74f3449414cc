import type { Frontier } from "../../schemas/frontier.js";
import type { OnProgress } from "../../schemas/progress.js";
import type { RunCounts } from "../../schemas/run-record.js";
import type { Segment } from "../../schemas/segment.js";
import type { Downstream } from "./downstream.js";

export type { RunCounts };

/** Turns what the pipeline does into progress events. */
export class IngestProgress {
  readonly counts: RunCounts = { appended: 0, scored: 0, copied: 0, quarantined: 0, lost: 0, sizeBytes: 0 };
  readonly #onProgress: OnProgress | undefined;
  /** Where each partition ends for this run; null while the source has more */
  #ends: readonly number[] | null = null;
  /** Up to where each partition is archived */
  readonly #archived = new Map<number, number>();
  #downstream: Pick<Downstream, "fill"> | undefined;

  constructor(onProgress: OnProgress | undefined) {
    this.#onProgress = onProgress;
  }

  onStart(frontier: Frontier, downstream: Pick<Downstream, "fill">): void {
    this.#downstream = downstream;
    for (const { partition, end } of frontier) this.#archived.set(partition, end);
  }

  onAppended(records: number): void {
    this.counts.appended = records;
    this.#report();
  }

  onEnds(ends: readonly number[]): void {
    this.#ends = ends;
    this.#report();
  }

  onSegment(segment: Segment): void {
    const { counts, partition, end } = segment.header;
    this.#archived.set(partition, end);
    this.counts.scored += counts.scored;
    this.counts.copied += counts.copied;
    this.counts.quarantined += counts.quarantined;
    this.counts.lost += counts.lost;
    for (const sizeBytes of segment.batch.sizeBytes) this.counts.sizeBytes += sizeBytes;
    this.#report();
  }

  /** Records that this run has still to deal with; null while the source has more */
  get waiting(): number | null {
    const waiting = this.#ends?.reduce((sum, end, partition) => sum + end - (this.#archived.get(partition) ?? 0), 0);
    return waiting === undefined ? null : Math.max(0, waiting);
  }

  #report(): void {
    if (this.#onProgress === undefined) return;
    const { scored, copied, quarantined } = this.counts;
    const done = scored + copied + quarantined;
    const { waiting } = this;
    const { kept, fill } = this.#downstream?.fill() ?? { kept: 0, fill: undefined };
    this.#onProgress({
      phase: "score",
      done,
      total: waiting === null ? null : done + waiting,
      scored,
      copied,
      kept,
      quarantined,
      ...(fill === undefined ? {} : { fill }),
    });
  }
}
