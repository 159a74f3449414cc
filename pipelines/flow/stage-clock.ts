import { STAGES, type Stage, type StageShares } from "../../schemas/stage-shares.js";

/** A long run reports on its last one to two such spans: what limits at night says nothing of the day. ms */
const SPAN_MS = 600_000;

/** Time that passed in a span. `busyMs` of a stage: summed over its places, divided by their number. */
interface Span {
  readonly fromMs: number;
  readonly busyMs: Record<Stage, number>;
  waitingMs: number;
}

/**
 * Counts how long each stage's places are at work, for all partitions of a process together. Costs two readings of
 * the clock an item and stage.
 */
export class StageClock {
  readonly #nowMs: () => number;
  readonly #places: Record<Stage, number> = { fetch: 1, decode: 1, score: 1, archive: 1 };
  readonly #atWork: Record<Stage, number> = { fetch: 0, decode: 0, score: 0, archive: 0 };
  #before: Span | null = null;
  #span: Span;
  #lastMs: number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#lastMs = nowMs();
    this.#span = emptySpan(this.#lastMs);
  }

  /** How many items each stage can work on at once */
  setPlaces(places: Readonly<Record<Stage, number>>): void {
    this.#advance();
    Object.assign(this.#places, places);
  }

  /** The task's own promise comes back: what follows on it runs no later than without the clock. */
  run<Made>(stage: Stage, task: () => Promise<Made>): Promise<Made> {
    this.begin(stage);
    const end = (): void => {
      this.end(stage);
    };
    const made = task();
    made.then(end, end);
    return made;
  }

  begin(stage: Stage): void {
    this.#advance();
    this.#atWork[stage]++;
  }

  end(stage: Stage): void {
    this.#advance();
    this.#atWork[stage]--;
  }

  shares(): StageShares {
    this.#advance();
    const spans = this.#before === null ? [this.#span] : [this.#before, this.#span];
    const fromMs = spans[0]!.fromMs;
    const wallMs = this.#lastMs - fromMs;
    const of = (ms: (span: Span) => number): number =>
      wallMs === 0 ? 0 : Math.min(1, spans.reduce((sum, span) => sum + ms(span), 0) / wallMs);
    const shares = {
      fetch: of(({ busyMs }) => busyMs.fetch),
      decode: of(({ busyMs }) => busyMs.decode),
      score: of(({ busyMs }) => busyMs.score),
      archive: of(({ busyMs }) => busyMs.archive),
      waiting: of(({ waitingMs }) => waitingMs),
    };
    const names = [...STAGES, "waiting"] as const;
    // Of equals the last: what comes before it is full because it does not take more.
    const most = names.reduce((best, name) => (shares[name] >= shares[best] ? name : best));
    return {
      fromMs: Math.trunc(fromMs),
      untilMs: Math.trunc(this.#lastMs),
      shares,
      limits: wallMs === 0 ? null : most,
    };
  }

  #advance(): void {
    const nowMs = this.#nowMs();
    // A clock that is set back counts as one that stands.
    const passedMs = Math.max(0, nowMs - this.#lastMs);
    if (passedMs === 0) return;
    let isIdle = true;
    for (const stage of STAGES) {
      const atWork = this.#atWork[stage];
      if (atWork === 0) continue;
      isIdle = false;
      this.#span.busyMs[stage] += (passedMs * Math.min(atWork, this.#places[stage])) / this.#places[stage];
    }
    if (isIdle) this.#span.waitingMs += passedMs;
    this.#lastMs = nowMs;
    if (nowMs - this.#span.fromMs < SPAN_MS) return;
    this.#before = this.#span;
    this.#span = emptySpan(nowMs);
  }
}

function emptySpan(fromMs: number): Span {
  return { fromMs, busyMs: { fetch: 0, decode: 0, score: 0, archive: 0 }, waitingMs: 0 };
}
