import { createHash } from "node:crypto";
import { SeededRandom } from "../../operators/training/seeded-random.js";
import { SluiceError, type ErrorCode } from "../../schemas/errors.js";

/** Lines of the trace that a failing seed prints. */
const LAST_LINES = 40;

/** Something that must always hold did not. */
export class Violation extends Error {
  override readonly name = "Violation";
  readonly invariant: string;

  constructor(invariant: string, message: string) {
    super(message);
    this.invariant = invariant;
  }
}

/** How a call that reached the outside world ends. `after`: it was done, and the answer was lost. */
type Fate = "done" | "error-before" | "error-after" | "crash-before" | "crash-after";

/** One simulated operating-system process: it acts through calls only, and dies at one of them. */
export class SimProcess {
  readonly name: string;
  readonly startedMs: number;
  alive = true;
  /** Paused: its calls and timers wait, until it goes on as if nothing had happened */
  frozen = false;
  /** By how much its clock is off, ms */
  skewMs = 0;

  constructor(name: string, startedMs: number) {
    this.name = name;
    this.startedMs = startedMs;
  }
}

interface Call {
  readonly process: SimProcess;
  readonly what: string;
  readonly atMs: number;
  readonly sequence: number;
  readonly ready: () => boolean;
  readonly perform: () => void;
}

interface CallOptions {
  /** How much likelier it fails than others */
  readonly risk?: number;
  /** Holds it back beyond its time */
  readonly ready?: () => boolean;
  /** What a failure is called */
  readonly code?: ErrorCode;
  /** What it decides: a squall may meet it. null: nothing */
  readonly decides?: string | null;
}

/** What becomes of a call that a squall meets. `stall`: its process stands still with the call on its way. */
const SQUALLS = ["stall", "stall", "error-before", "error-after", "crash-before", "crash-after"] as const;
type Squall = (typeof SQUALLS)[number];

interface Timer {
  /** Whose code set it; null: the simulation's own */
  readonly process: SimProcess | null;
  readonly atMs: number;
  readonly sequence: number;
  readonly fire: () => void;
}

/**
 * One thread, one clock, one seed. Every call of a process to store, log, table or engine waits here for a drawn time
 * and is then done as a whole; between two of them only the process's own synchronous code and promises run. So a seed
 * gives one order of events, whatever the machine does.
 */
export class World {
  readonly random: SeededRandom;
  nowMs = 1_700_000_000_000;
  /** Shares of calls that end otherwise than well, in a thousand; 0 in the calm at the end */
  faults = { errors: 0, crashes: 0, slow: 0 };
  /** Chance in a thousand that a deciding call meets a squall, in the calm, too, and how many calls of a kind do at most */
  squalls = { chance: 0, most: 0 };
  readonly #squallsOf = new Map<string, number>();
  steps = 0;
  readonly violations: Violation[] = [];
  #sequence = 0;
  #calls: Call[] = [];
  #timers: Timer[] = [];
  readonly #digest = createHash("sha256");
  readonly #lines: string[] = [];
  #ended = false;
  /** Whose code runs now: that which the last step has set going */
  #current: SimProcess | null = null;
  /** Called when a process has died at a call */
  onCrash: (process: SimProcess) => void = () => undefined;
  /** Called when a process is to stand still for so long, ms */
  onStall: (process: SimProcess, forMs: number, what: string) => void = () => undefined;
  /** Apart from the rest: seeds without squalls are what they were */
  readonly #squallRandom: SeededRandom;

  constructor(seed: number) {
    this.random = new SeededRandom(seed, "world");
    this.#squallRandom = new SeededRandom(seed, "squalls");
  }

  log(line: string): void {
    if (this.#ended) return;
    const text = `${this.nowMs - 1_700_000_000_000} ${line}`;
    this.#digest.update(text + "\n");
    this.#lines.push(text);
    if (this.#lines.length > LAST_LINES) this.#lines.shift();
  }

  get lastLines(): readonly string[] {
    return this.#lines;
  }

  /** 64 hexadecimal digits over all lines; ends the trace. */
  traceDigest(): string {
    this.#ended = true;
    return this.#digest.digest("hex");
  }

  violate(invariant: string, message: string): void {
    // Stacks differ by who called.
    this.log(`VIOLATION ${invariant}: ${message.split("\n", 1)[0]!}`);
    this.violations.push(new Violation(invariant, message));
  }

  chance(inThousand: number): boolean {
    return this.random.below(1000) < inThousand;
  }

  /** `effect` does the whole call at once. */
  call<T>(
    process: SimProcess,
    what: string,
    effect: () => Promise<T>,
    { risk = 1, ready = () => true, code = "E_STORE_IO", decides = null }: CallOptions = {},
  ): Promise<T> {
    if (!process.alive) return new Promise(() => undefined);
    const delayMs = this.chance(this.faults.slow) ? 2_000 + this.random.below(8_000) : this.random.below(20);
    const squall = decides === null ? null : this.#squall(decides);
    return new Promise((resolve, reject) => {
      const settle = (fate: Fate): void => {
        if (fate.endsWith("after") || fate === "done") {
          const made = effect();
          if (fate === "done") {
            made.then(resolve, reject);
            return;
          }
          made.catch(() => undefined);
        }
        if (fate.startsWith("crash")) this.kill(process);
        else reject(new SluiceError(code, `Failed on purpose: ${what}.`, { retryable: true }));
      };
      const perform = (): void => {
        const fate = squall === null || squall === "stall" ? this.#fate(risk) : squall;
        this.log(`${process.name} ${what}${fate === "done" ? "" : ` -> ${fate}`}`);
        settle(fate);
      };
      this.#calls.push({ process, what, atMs: this.nowMs + delayMs, sequence: this.#sequence++, ready, perform });
      if (squall === "stall") this.onStall(process, 100 + this.#squallRandom.below(4_000), what);
    });
  }

  #squall(kind: string): Squall | null {
    const { chance, most } = this.squalls;
    const met = this.#squallsOf.get(kind) ?? 0;
    // Of what is decided less often, more calls meet one.
    const often = kind === "segment" || kind === "checkpoint" ? chance : 4 * chance;
    if (met >= most || this.#squallRandom.below(1000) >= often) return null;
    this.#squallsOf.set(kind, met + 1);
    return this.#squallRandom.pick(SQUALLS);
  }

  /** The simulation's own timer. */
  later(delayMs: number, fire: () => void): void {
    this.#timers.push({ process: null, atMs: this.nowMs + delayMs, sequence: this.#sequence++, fire });
  }

  /** Settles `delayMs` later, if the process lives then. */
  async pause(process: SimProcess, delayMs: number): Promise<void> {
    if (!process.alive) return new Promise(() => undefined);
    await new Promise<void>((resolve) => {
      this.#calls.push({
        process,
        what: "pause",
        atMs: this.nowMs + delayMs,
        sequence: this.#sequence++,
        ready: () => true,
        perform: resolve,
      });
    });
  }

  /** What the simulation does to a process at a time of its own: it never fails. */
  tell(process: SimProcess, what: string, effect: () => void): void {
    // A dead process is told nothing: that never settles.
    void this.call(
      process,
      what,
      async () => {
        effect();
      },
      { risk: 0 },
    );
  }

  /** A process loses everything that is not durable: its calls never settle. */
  kill(process: SimProcess): void {
    if (!process.alive) return;
    process.alive = false;
    this.#calls = this.#calls.filter((call) => call.process !== process);
    this.#timers = this.#timers.filter((timer) => timer.process !== process);
    this.log(`${process.name} dies`);
    this.onCrash(process);
  }

  #fate(risk: number): Fate {
    const errors = this.faults.errors * risk;
    const crashes = this.faults.crashes * risk;
    const drawn = this.random.below(1000);
    if (drawn < crashes) return drawn % 2 === 0 ? "crash-before" : "crash-after";
    if (drawn < crashes + errors) return drawn % 2 === 0 ? "error-before" : "error-after";
    return "done";
  }

  /** Does what comes next. False where nothing can. */
  async step(): Promise<boolean> {
    await new Promise((resolve) => setImmediate(resolve));
    this.steps++;
    let next: Call | undefined;
    for (const call of this.#calls) {
      if (call.process.frozen || (next !== undefined && !isBefore(call, next))) continue;
      if (call.ready()) next = call;
    }
    let timer: Timer | undefined;
    for (const one of this.#timers) {
      if (one.process?.frozen === true) continue;
      if (timer === undefined || isBefore(one, timer)) timer = one;
    }
    if (timer !== undefined && (next === undefined || isBefore(timer, next))) {
      this.#timers = this.#timers.filter((one) => one !== timer);
      this.nowMs = Math.max(this.nowMs, timer.atMs);
      this.#current = timer.process;
      timer.fire();
      return true;
    }
    if (next === undefined) return false;
    this.#calls = this.#calls.filter((call) => call !== next);
    this.nowMs = Math.max(this.nowMs, next.atMs);
    this.#current = next.process;
    next.perform();
    return true;
  }

  /** Runs `work` with the process-wide timers taking this world's time; gives them back afterwards. A rejection that
   * nobody handles would end a real process: it is a violation. */
  async withTimers<T>(work: () => Promise<T>): Promise<T> {
    const { setTimeout: realSet, clearTimeout: realClear } = globalThis;
    const set = (fire: () => void, delayMs = 0): Timer => {
      const timer = { process: this.#current, atMs: this.nowMs + delayMs, sequence: this.#sequence++, fire };
      if (timer.process?.alive !== false) this.#timers.push(timer);
      return timer;
    };
    const clear = (timer: unknown): void => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
    const unhandled = (reason: unknown): void => {
      this.violate("unhandled", reason instanceof Error ? (reason.stack ?? reason.message) : String(reason));
    };
    process.on("unhandledRejection", unhandled);
    globalThis.setTimeout = set as unknown as typeof setTimeout;
    globalThis.clearTimeout = clear;
    try {
      return await work();
    } finally {
      process.off("unhandledRejection", unhandled);
      globalThis.setTimeout = realSet;
      globalThis.clearTimeout = realClear;
    }
  }
}

function isBefore(a: { atMs: number; sequence: number }, b: { atMs: number; sequence: number }): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}
