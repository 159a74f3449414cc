import type { Loop, Observed, ScoringGauges } from "../../schemas/observed.js";
import { STAGES } from "../../schemas/stage-shares.js";

/** A loop that has not turned for so long stands still, ms: a cut and a checkpoint say now and then that they go on. */
export const STILL_MS = 120_000;

/** Loops that turn again and again also where nothing comes */
const TICKING: ReadonlySet<Loop> = new Set(["topk", "publish"]);

export interface LoopHealth {
  readonly loop: Loop;
  readonly ready: boolean;
  /** Since it turned, ms; null where it has nothing to do */
  readonly stillMs: number | null;
}

/** Whether the loops of a process have what they need, and turn. */
export class Health {
  readonly #nowMs: () => number;
  readonly #loops = new Map<Loop, { ready: boolean; turnedMs: number | null }>();
  #gauges: Pick<ScoringGauges, "stages"> | null = null;

  constructor(loops: readonly Loop[], nowMs: () => number) {
    this.#nowMs = nowMs;
    for (const loop of loops) this.#loops.set(loop, { ready: false, turnedMs: null });
  }

  take(event: Observed): void {
    if (!("loop" in event)) return;
    const loop = this.#loops.get(event.loop);
    if (loop === undefined) return;
    loop.turnedMs = event.event === "loop.turned" ? this.#nowMs() : null;
    if (event.event === "loop.ready") loop.ready = true;
    if (event.event === "loop.away") loop.ready = false;
  }

  /** Something of every loop goes on: long work reports its progress. */
  turn(): void {
    for (const loop of this.#loops.values()) loop.turnedMs &&= this.#nowMs();
  }

  watch(gauges: Pick<ScoringGauges, "stages">): void {
    this.#gauges = gauges;
  }

  loops(): LoopHealth[] {
    const nowMs = this.#nowMs();
    return [...this.#loops].map(([loop, { ready, turnedMs }]) => ({
      loop,
      ready,
      stillMs: this.#still(loop, turnedMs, nowMs),
    }));
  }

  get isReady(): boolean {
    return this.loops().every(({ ready }) => ready);
  }

  get isHealthy(): boolean {
    return this.loops().every(({ stillMs }) => stillMs === null || stillMs < STILL_MS);
  }

  /** Scoring turns as its stages begin and end items; without any at work it waits for records, however long that takes. */
  #still(loop: Loop, turnedMs: number | null, nowMs: number): number | null {
    if (loop !== "score") return turnedMs === null || !TICKING.has(loop) ? null : nowMs - turnedMs;
    if (this.#gauges === null) return null;
    const { atWork, movedMs } = this.#gauges.stages();
    return STAGES.every((stage) => atWork[stage] === 0) ? null : nowMs - Math.max(movedMs, turnedMs ?? 0);
  }
}
