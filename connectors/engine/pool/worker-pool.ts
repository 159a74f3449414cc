import { counted } from "../../../schemas/counted.js";
import { messageOf, SluiceError } from "../../../schemas/errors.js";
import type { Isolation } from "../backends.js";
import type { RunnerSetup } from "./model-runner.js";
import { startWorker, WORKER_PROGRAM, type WorkerLink } from "./worker-link.js";
import { fromPlainError, type FromWorker, type RunnerDescription, type RunRequest } from "./worker-protocol.js";

/** One batch runs, one waits at the worker, so that it need not wait for the caller's event loop in between. */
export const BATCHES_A_WORKER = 2;
/** A batch whose worker ended is tried once more, on a fresh worker. */
const MOST_ATTEMPTS = 2;

interface Job {
  readonly id: number;
  readonly request: RunRequest;
  attempts: number;
  resolve(logits: Float32Array): void;
  reject(error: Error): void;
}

/** Workers that each hold the model. Batches are given out in the order in which they came. */
export interface WorkerPool {
  readonly runner: RunnerDescription;
  readonly workers: number;
  run(request: RunRequest): Promise<Float32Array>;
  close(): Promise<void>;
}

export interface WorkerPlan {
  readonly isolation: Isolation;
  readonly workers: number;
  /** GPUs by CUDA's numbers: workers take them in turn. Absent: the library's own choice */
  readonly devices?: readonly number[];
  /** What a worker runs: by default ./worker.js */
  readonly program?: URL;
}

/** Starts one worker and, once it has loaded the model, the others. Throws what the first one says. */
export async function startPool(setup: RunnerSetup, plan: WorkerPlan): Promise<WorkerPool> {
  const pool = new Pool(setup, plan);
  try {
    const first = await pool.start();
    const others = await Promise.all(Array.from({ length: plan.workers - 1 }, () => pool.start()));
    const device = [...new Set([first, ...others].map((worker) => worker.device))].join(", ");
    return {
      runner: { ...first, device },
      workers: plan.workers,
      run: (request) => pool.run(request),
      close: () => pool.close(),
    };
  } catch (error) {
    await pool.close();
    throw error;
  }
}

class Pool {
  readonly #setup: RunnerSetup;
  readonly #plan: WorkerPlan;
  readonly #slots: Slot[] = [];
  readonly #waiting: Job[] = [];
  #nextId = 0;
  #closed = false;

  constructor(setup: RunnerSetup, plan: WorkerPlan) {
    this.#setup = setup;
    this.#plan = plan;
  }

  start(): Promise<RunnerDescription> {
    const { devices } = this.#plan;
    const device = devices?.[this.#slots.length % devices.length];
    const setup = device === undefined ? this.#setup : { ...this.#setup, device };
    const slot = new Slot(setup, this.#plan, {
      onFree: () => {
        this.#giveOut();
      },
      onReturn: (jobs) => {
        this.#waiting.unshift(...jobs);
        this.#giveOut();
      },
    });
    this.#slots.push(slot);
    return slot.load();
  }

  run(request: RunRequest): Promise<Float32Array> {
    if (this.#closed) return Promise.reject(closed());
    return new Promise((resolve, reject) => {
      this.#waiting.push({ id: this.#nextId++, request, attempts: 0, resolve, reject });
      this.#giveOut();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const job of this.#waiting.splice(0)) job.reject(closed());
    await Promise.all(this.#slots.map((slot) => slot.close()));
  }

  #giveOut(): void {
    if (this.#closed) {
      for (const job of this.#waiting.splice(0)) job.reject(closed());
      return;
    }
    for (;;) {
      const first = this.#waiting[0];
      if (first === undefined) return;
      const living = this.#slots.filter((slot) => slot.broken === null);
      if (living.length === 0) {
        const reason = this.#slots[0]?.broken ?? crash("no worker was started", 0);
        for (const job of this.#waiting.splice(0)) job.reject(reason);
        return;
      }
      const free = living.filter((slot) => slot.room > 0).sort((a, b) => b.room - a.room)[0];
      if (free === undefined) return;
      this.#waiting.shift();
      free.take(first);
    }
  }
}

interface SlotEvents {
  onFree(): void;
  /** Batches that waited at a worker that ended through no fault of theirs, in order */
  onReturn(jobs: Job[]): void;
}

/** A place for one worker at a time: where one ends, the next takes its place. */
class Slot {
  readonly #setup: RunnerSetup;
  readonly #plan: WorkerPlan;
  readonly #events: SlotEvents;
  /** At the worker, in its order: the first one runs */
  #jobs: Job[] = [];
  /** The batch that ended the last worker: runs alone on the next */
  #suspect: Job | null = null;
  #link: WorkerLink | null = null;
  #ready = false;
  #closing = false;
  /** Why no worker can be started here any more, or null */
  broken: SluiceError | null = null;

  constructor(setup: RunnerSetup, plan: WorkerPlan, events: SlotEvents) {
    this.#setup = setup;
    this.#plan = plan;
    this.#events = events;
  }

  /** How many more batches it takes now */
  get room(): number {
    return this.#ready && this.#suspect === null ? BATCHES_A_WORKER - this.#jobs.length : 0;
  }

  load(): Promise<RunnerDescription> {
    return new Promise((resolve, reject) => {
      this.#link = startWorker(this.#plan.isolation, this.#plan.program ?? WORKER_PROGRAM, {
        onMessage: (message) => {
          if (message.type === "ready") {
            this.#ready = true;
            resolve(message.runner);
            this.#onReady();
          } else if (message.type === "unready") {
            reject(fromPlainError(message.error));
          } else this.#onAnswer(message);
        },
        onEnd: (reason, said) => {
          this.#link = null;
          // A worker that never got ready: the promise says so; otherwise rejecting has no effect.
          reject(crash(`worker ${reason} while it loaded teacher ${this.#setup.card.name}`, 0, said));
          if (this.#ready) this.#onCrash(reason, said);
        },
      });
      this.#link.post({ type: "load", setup: this.#setup });
    });
  }

  take(job: Job): void {
    this.#jobs.push(job);
    this.#link?.post({ type: "run", id: job.id, ...job.request });
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#link?.end();
  }

  #onReady(): void {
    const suspect = this.#suspect;
    if (suspect === null) this.#events.onFree();
    else if (this.#closing) suspect.reject(closed());
    else this.take(suspect);
  }

  #onAnswer(message: Extract<FromWorker, { id: number }>): void {
    const at = this.#jobs.findIndex((job) => job.id === message.id);
    const job = this.#jobs.splice(at, at < 0 ? 0 : 1)[0];
    if (job === undefined) return;
    if (job === this.#suspect) this.#suspect = null;
    if (message.type === "done") job.resolve(message.logits);
    else job.reject(fromPlainError(message.error));
    this.#events.onFree();
  }

  #onCrash(reason: string, said: string): void {
    this.#ready = false;
    this.#suspect = null;
    const [running, ...innocent] = this.#jobs;
    this.#jobs = [];
    if (running !== undefined && (++running.attempts >= MOST_ATTEMPTS || this.#closing)) {
      running.reject(
        crash(`worker ${reason} while it ran a batch of ${running.request.count}`, running.attempts, said),
      );
    } else if (running !== undefined) this.#suspect = running;
    if (this.#closing) {
      for (const job of innocent) job.reject(closed());
      return;
    }
    this.load().catch((error: unknown) => {
      this.broken = error instanceof SluiceError ? error : crash(messageOf(error), 0);
      this.#suspect?.reject(this.broken);
      this.#suspect = null;
      this.#events.onFree();
    });
    this.#events.onReturn(innocent);
  }
}

function crash(what: string, attempts: number, workerSaid = ""): SluiceError {
  const tries =
    attempts === 0 ? "" : ` (tried ${counted(attempts, "time")}; cut the batch in halves to find the image)`;
  return new SluiceError("E_ENGINE_CRASH", `Expected the engine's worker to go on, found that the ${what}${tries}.`, {
    attempts,
    workerSaid,
  });
}

function closed(): SluiceError {
  return new SluiceError("E_CANCELLED", "Expected an open engine, found that it is closed: the batch was not scored.");
}
