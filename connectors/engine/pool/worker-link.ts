import { fork } from "node:child_process";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import type { Isolation } from "../backends.js";
import { switchOffTelemetry } from "../onnx/vendor-telemetry.js";
import type { FromWorker, ToWorker } from "./worker-protocol.js";

/** The engine's end of one worker. */
export interface WorkerLink {
  post(message: ToWorker): void;
  /** Asks the worker to end, makes it end after a grace time, resolves when it is gone. */
  end(): Promise<void>;
}

export interface WorkerEvents {
  onMessage(message: FromWorker): void;
  /** The worker is gone, for `reason` (words that follow "worker"), having `said` that last on its output. Called once. */
  onEnd(reason: string, said: string): void;
}

export const WORKER_PROGRAM = new URL("./worker.js", import.meta.url);
/** A worker finishes the batch that it runs before it ends; past this it is stopped, ms. */
const GRACE_MS = 30_000;
/** Characters of a worker's output that are kept */
const MOST_SAID = 4000;

export function startWorker(isolation: Isolation, program: URL, events: WorkerEvents): WorkerLink {
  // Before the worker has an environment of its own.
  switchOffTelemetry();
  return isolation === "thread" ? startThread(program, events) : startProcess(program, events);
}

function startThread(program: URL, events: WorkerEvents): WorkerLink {
  const worker = new Worker(program, { name: "sluice-engine", stdout: true, stderr: true });
  const said = tailOf(worker.stdout, worker.stderr);
  const shared = new SharedPixels();
  let failure: string | null = null;
  const gone = new Promise<void>((resolve) => {
    worker.on("message", (message: FromWorker) => {
      if ("id" in message) shared.release(message.id);
      events.onMessage(message);
    });
    worker.on("messageerror", (error) => {
      failure = `sent a message that cannot be read: ${error.message}`;
    });
    worker.on("error", (error) => {
      failure = `failed: ${error instanceof Error ? error.message : String(error)}`;
    });
    worker.on("exit", (code) => {
      events.onEnd(failure ?? `exited with code ${code}`, said());
      resolve();
    });
  });
  const post = (message: ToWorker) => {
    worker.postMessage(
      message.type === "run" ? { ...message, pixels: shared.hold(message.id, message.pixels) } : message,
    );
  };
  return {
    post,
    end: () =>
      endWith(
        gone,
        () => {
          post({ type: "close" });
        },
        () => void worker.terminate(),
      ),
  };
}

/**
 * Memory that a thread reads its batches from. Pixels are copied onto it (0.01 ms for an image of 224 x 224) rather than transferred,
 * so that a batch outlives the worker that fell over it. The same few blocks serve for ever: fresh ones, transferred or
 * shared, would pile up in the worker until its garbage collector ran.
 */
class SharedPixels {
  readonly #free: SharedArrayBuffer[] = [];
  readonly #held = new Map<number, SharedArrayBuffer>();

  hold(id: number, pixels: Uint8Array): Uint8Array {
    const last = this.#free.pop();
    const block = last !== undefined && last.byteLength >= pixels.length ? last : new SharedArrayBuffer(pixels.length);
    this.#held.set(id, block);
    const view = new Uint8Array(block, 0, pixels.length);
    view.set(pixels);
    return view;
  }

  release(id: number): void {
    const block = this.#held.get(id);
    if (block !== undefined && this.#held.delete(id)) this.#free.push(block);
  }
}

function startProcess(program: URL, events: WorkerEvents): WorkerLink {
  // Structured clone over a pipe: pixels are copied once on each side (measured in docs/decisions/006-engines.md).
  const child = fork(fileURLToPath(program), {
    serialization: "advanced",
    execArgv: [],
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  const said = tailOf(child.stdout, child.stderr);
  let ended = false;
  const gone = new Promise<void>((resolve) => {
    const onEnd = (reason: string) => {
      if (ended) return;
      ended = true;
      events.onEnd(reason, said());
      resolve();
    };
    child.on("message", (message) => {
      events.onMessage(message as FromWorker);
    });
    child.on("error", (error) => {
      onEnd(`could not be started or reached: ${error.message}`);
    });
    child.on("close", (code, signal) => {
      onEnd(signal === null ? `exited with code ${code ?? "?"}` : `was ended by ${signal}`);
    });
  });
  const post = (message: ToWorker) => {
    // A write to a child that has just died fails; its exit event tells the rest.
    if (child.connected) child.send(message, () => undefined);
  };
  return {
    post,
    end: () =>
      endWith(
        gone,
        () => {
          post({ type: "close" });
        },
        () => void child.kill("SIGKILL"),
      ),
  };
}

async function endWith(gone: Promise<void>, ask: () => void, force: () => void): Promise<void> {
  ask();
  const timer = setTimeout(force, GRACE_MS);
  await gone;
  clearTimeout(timer);
}

/**
 * The end of what a worker writes, which may explain its crash. The rest is dropped: what libraries print would run
 * through the progress bars and into what other programs read.
 */
function tailOf(...outputs: readonly (Readable | null)[]): () => string {
  let tail = "";
  for (const output of outputs) {
    output?.setEncoding("utf8").on("data", (text: string) => {
      tail = (tail + text).slice(-MOST_SAID);
    });
  }
  return () => tail;
}
