import { Watermarks } from "../../operators/select/watermarks.js";
import type { Dataset } from "../../schemas/dataset.js";
import type { SegmentHeader } from "../../schemas/segment.js";

/** How far event time has come for each dataset, by the segments that were archived. */
export class PaneClock {
  readonly #watermarks: ReadonlyMap<string, { readonly dataset: Dataset; readonly of: Watermarks }>;

  /** `partitions` are the numbers of those that exist, `nowMs` the clock's time. */
  constructor(datasets: readonly Dataset[], partitions: readonly number[], nowMs: number) {
    this.#watermarks = new Map(
      datasets.map((dataset) => [
        dataset.name,
        { dataset, of: new Watermarks(partitions, dataset.idleAfterMs, nowMs) },
      ]),
    );
  }

  /** An archived segment tells how far its partition's event time has come. */
  observe({ partition, watermarkMs }: Pick<SegmentHeader, "partition" | "watermarkMs">, nowMs: number): void {
    for (const { of } of this.#watermarks.values()) of.observe(partition, watermarkMs, nowMs);
  }

  /** ms; null while nothing is known */
  watermarkMs({ name }: Dataset, nowMs: number): number | null {
    return this.#watermarks.get(name)?.of.currentMs(nowMs) ?? null;
  }

  /** Event time before which windows count as ended, less the lateness that each allows; for what may leave memory */
  closedMs(nowMs: number): number {
    const closed = [...this.#watermarks.values()].map(({ dataset, of }) => {
      const watermarkMs = of.currentMs(nowMs);
      return watermarkMs === null ? Number.NEGATIVE_INFINITY : watermarkMs - dataset.allowedLatenessMs;
    });
    return Math.min(...closed);
  }
}
