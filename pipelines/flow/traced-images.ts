import type { Frontier } from "../../schemas/frontier.js";
import type { Observer } from "../../schemas/observed.js";
import type { TraceContext, TracedImage } from "../../schemas/trace.js";

/** Images that are remembered until a version has them: the newest */
const MOST = 1000;

interface Ranked {
  readonly image: TracedImage;
  /** Datasets that have gone on with it */
  readonly datasets: Set<string>;
}

/** Where a traced image stands in a version; null where the version does not have it. */
export type PlaceInVersion = { readonly label: number; readonly rank: number } | null;

/** Traced images between their rank and the version that they come into, or not. */
export class TracedImages {
  readonly #observer: Observer | undefined;
  readonly #nowMs: () => number;
  readonly #ranked = new Map<string, Ranked>();

  constructor(observer: Observer | undefined, nowMs: () => number) {
    this.#observer = observer;
    this.#nowMs = nowMs;
  }

  /** Ends the span `rank` of each, and remembers it. */
  rank(images: readonly TracedImage[], startMs: number): void {
    this.add(
      images.flatMap((image) => {
        const { partition, offset, trace } = image;
        const ranked = this.#end("rank", trace, startMs, {
          "sluice.partition": partition,
          "sluice.offset": offset,
        });
        return ranked === null ? [] : [{ ...image, trace: ranked }];
      }),
    );
  }

  /** Remembers images that another process has ranked. */
  add(images: readonly TracedImage[]): void {
    if (this.#observer?.tracer === undefined) return;
    for (const image of images) {
      const { partition, offset, trace } = image;
      // Workers of several class shards rank an image; its version comes once.
      const name = `${trace.traceId}/${partition}/${offset}`;
      if (!this.#ranked.has(name)) this.#ranked.set(name, { image, datasets: new Set() });
    }
    for (const oldest of this.#ranked.keys()) {
      if (this.#ranked.size <= MOST) break;
      this.#ranked.delete(oldest);
    }
  }

  /** All of them, for the process that goes on with them; none is left here. */
  take(): TracedImage[] {
    const taken = [...this.#ranked.values()].map(({ image }) => image);
    this.#ranked.clear();
    return taken;
  }

  /** Those below a frontier with which a dataset has not gone on yet; it has from now on. */
  due(dataset: string, frontier: Frontier): TracedImage[] {
    const due: TracedImage[] = [];
    for (const { image, datasets } of this.#ranked.values()) {
      const { partition, offset } = image;
      const isIn = frontier.some((one) => one.partition === partition && one.origin <= offset && offset < one.end);
      if (!isIn || datasets.has(dataset)) continue;
      datasets.add(dataset);
      due.push(image);
    }
    return due;
  }

  /** Ends the span `publish` of each. */
  publish(
    images: readonly { readonly image: TracedImage; readonly place: PlaceInVersion }[],
    version: { readonly dataset: string; readonly number: number; readonly id: string; readonly startMs: number },
  ): void {
    for (const { image, place } of images) {
      this.#end("publish", image.trace, version.startMs, {
        "sluice.dataset": version.dataset,
        "sluice.version": version.number,
        "sluice.version_id": version.id,
        "sluice.chosen": place !== null,
        ...(place === null ? {} : { "sluice.class": place.label, "sluice.rank": place.rank }),
      });
    }
  }

  #end(
    name: "rank" | "publish",
    parent: TraceContext,
    startMs: number,
    attributes: Readonly<Record<string, string | number | boolean>>,
  ): TraceContext | null {
    const trace = this.#observer?.tracer?.next(parent) ?? null;
    if (trace === null) return null;
    this.#observer?.take({ event: "span.ended", name, trace, parent, startMs, endMs: this.#nowMs(), attributes });
    return trace;
  }
}
