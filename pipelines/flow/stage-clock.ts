import type { StageTotals } from "../../schemas/observed.js";
import { STAGES, type Stage, type StageQueues, type StageShares } from "../../schemas/stage-shares.js";

/** A long run reports on its last one to two such spans: what limits at night says nothing of the day. ms */
const SPAN_MS = 600_000;

/** Time that passed in a span. `busyMs` of a stage: summed over its places, divided by their number. */
interface Span {
  readonly fromMs: number;
  readonly busyMs: Record<Stage, number>;
  /** The time in which all its places were taken */
  readonly fullMs: Record<Stage, number>;
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
  readonly #busyMs: Record<Stage, number> = { fetch: 0, decode: 0, score: 0, archive: 0 };
  readonly #fullMs: Record<Stage, number> = { fetch: 0, decode: 0, score: 0, archive: 0 };
  #waitingMs = 0;
  #movedMs: number;
  #before: Span | null = null;
  #span: Span;
  #lastMs: number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#lastMs = nowMs();
    this.#movedMs = this.#lastMs;
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
    this.#movedMs = this.#lastMs;
    this.#atWork[stage]++;
  }

  end(stage: Stage): void {
    this.#advance();
    this.#movedMs = this.#lastMs;
    this.#atWork[stage]--;
  }

  /** Since the clock was made */
  totals(): StageTotals {
    this.#advance();
    return {
      busyMs: { ...this.#busyMs },
      fullMs: { ...this.#fullMs },
      waitingMs: this.#waitingMs,
      atWork: { ...this.#atWork },
      places: { ...this.#places },
      movedMs: this.#movedMs,
    };
  }

  /** What waits at each stage now, and how long each took no more, over the span of its shares */
  queues(): StageQueues {
    const { of } = this.#recent();
    const queueOf = (stage: Stage): StageQueues[Stage] => {
      return { items: this.#atWork[stage], places: this.#places[stage], full: of(({ fullMs }) => fullMs[stage]) };
    };
    return { fetch: queueOf("fetch"), decode: queueOf("decode"), score: queueOf("score"), archive: queueOf("archive") };
  }

  shares(): StageShares {
    const { fromMs, wallMs, of } = this.#recent();
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

  /** The last one or two spans: `of` gives the share of their time that something took. */
  #recent(): { readonly fromMs: number; readonly wallMs: number; readonly of: (ms: (span: Span) => number) => number } {
    this.#advance();
    const spans = this.#before === null ? [this.#span] : [this.#before, this.#span];
    const { fromMs } = spans[0]!;
    const wallMs = this.#lastMs - fromMs;
    const of = (ms: (span: Span) => number): number =>
      wallMs === 0 ? 0 : Math.min(1, spans.reduce((sum, span) => sum + ms(span), 0) / wallMs);
    return { fromMs, wallMs, of };
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
      const busyMs = (passedMs * Math.min(atWork, this.#places[stage])) / this.#places[stage];
      this.#span.busyMs[stage] += busyMs;
      this.#busyMs[stage] += busyMs;
      if (atWork < this.#places[stage]) continue;
      this.#span.fullMs[stage] += passedMs;
      this.#fullMs[stage] += passedMs;
    }
    if (isIdle) {
      this.#span.waitingMs += passedMs;
      this.#waitingMs += passedMs;
    }
    this.#lastMs = nowMs;
    if (nowMs - this.#span.fromMs < SPAN_MS) return;
    this.#before = this.#span;
    this.#span = emptySpan(nowMs);
  }
}

function emptySpan(fromMs: number): Span {
  const none = { fetch: 0, decode: 0, score: 0, archive: 0 };
  return { fromMs, busyMs: { ...none }, fullMs: { ...none }, waitingMs: 0 };
}
