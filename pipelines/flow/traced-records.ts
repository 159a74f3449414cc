import type { LogBatch } from "../../connectors/log/log.js";
import type { Observer, Tracer } from "../../schemas/observed.js";
import type { Segment } from "../../schemas/segment.js";
import { parseTraceparent, TRACEPARENT, type TraceContext, type TracedImage } from "../../schemas/trace.js";

/** Records that wait for their segment and are traced; more are not followed further */
const MOST_WAITING = 4096;

interface Place {
  readonly stream: string;
  readonly partition: number;
}

interface Waiting {
  readonly parent: TraceContext;
  readonly startMs: number;
}

/** Notes which records of a partition bring a trace, and ends the span of each, `score`, when its segment is archived. */
export class TracedRecords {
  readonly #observer: Observer;
  readonly #tracer: Tracer;
  readonly #place: Place;
  readonly #nowMs: () => number;
  readonly #waiting = new Map<number, Waiting>();

  private constructor(observer: Observer, tracer: Tracer, place: Place, nowMs: () => number) {
    this.#observer = observer;
    this.#tracer = tracer;
    this.#place = place;
    this.#nowMs = nowMs;
  }

  /** null where nobody collects traces: then headers are not even looked at. */
  static of(observer: Observer | undefined, place: Place, nowMs: () => number): TracedRecords | null {
    const tracer = observer?.tracer;
    return observer === undefined || tracer === undefined ? null : new TracedRecords(observer, tracer, place, nowMs);
  }

  async *noting(batches: AsyncIterable<LogBatch>): AsyncGenerator<LogBatch, void, undefined> {
    for await (const batch of batches) {
      for (const { offset, headers } of batch.records) {
        const parent = parseTraceparent(headers[TRACEPARENT]);
        if (parent !== null && this.#waiting.size < MOST_WAITING)
          this.#waiting.set(offset, { parent, startMs: this.#nowMs() });
      }
      yield batch;
    }
  }

  /** The segment's traced images that have scores, each with the span that has just ended. */
  scored({ header }: Segment): TracedImage[] {
    const { stream, partition } = this.#place;
    const scored: TracedImage[] = [];
    for (const [offset, { parent, startMs }] of this.#waiting) {
      if (offset >= header.end) continue;
      this.#waiting.delete(offset);
      const trace = this.#tracer.next(parent);
      const failure = header.rejected.find((one) => one.offset === offset)?.code;
      this.#observer.take({
        event: "span.ended",
        name: "score",
        trace,
        parent,
        startMs,
        endMs: this.#nowMs(),
        failure,
        attributes: {
          "sluice.stream": stream,
          "sluice.partition": partition,
          "sluice.offset": offset,
          "sluice.teacher": header.teacher,
        },
      });
      if (failure === undefined) scored.push({ partition, offset, trace });
    }
    return scored;
  }
}
