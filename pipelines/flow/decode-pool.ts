import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { PixelRoom } from "../../connectors/decoder/pixel-room.js";
import { fromPlainError } from "../../connectors/engine/pool/worker-protocol.js";
import {
  decodingHere,
  type DecodedBytes,
  type DecodingOptions,
  type ImageDecoding,
  type RefusedBytes,
} from "../../operators/image/decode.js";
import { SluiceError } from "../../schemas/errors.js";
import { pixelBytes } from "../../schemas/pixels.js";
import {
  END,
  HASH_BYTES,
  LOADED,
  type DecodeAnswer,
  type DecodeRequest,
  type DecodeThreadSetup,
} from "./decode-protocol.js";

/** So many images are decoded in the caller's thread before others are started: a thread costs as much as a hundred images. */
const BEFORE_THREADS = 200;
/** Images in one message at most, and messages that a thread has at once: one that it works on, and the next */
const GROUP = 8;
const GROUPS_A_THREAD = 2;
/** Memory of images is kept in blocks of powers of two from this on, bytes; of larger images than the largest it is not kept. */
const LEAST_BLOCK = 64 * 1024;
const MOST_BLOCK = 4 * 1024 * 1024;
const PROGRAM = new URL("./decode-worker.js", import.meta.url);

export interface DecodePoolOptions extends DecodingOptions {
  /** By default `config.concurrency`, else as many as there are cores */
  readonly threads?: number;
  readonly beforeThreads?: number;
}

interface Waiting {
  readonly bytes: Uint8Array;
  readonly uri: string;
  readonly resolve: (answer: DecodedBytes | RefusedBytes) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Decodes, scales and hashes images in threads of their own, by the same code, and to the same pixels, as in the caller's. Images travel in groups: a message
 * and waking a thread cost as much as a small image.
 */
export class DecodePool implements ImageDecoding {
  readonly parallelism: number;
  readonly #options: DecodePoolOptions;
  readonly #here: ImageDecoding;
  readonly #memory = new ImageMemory();
  readonly #threadCount: number;
  #threads: readonly DecodeThread[] | null = null;
  #waiting: Waiting[] = [];
  #isDue = false;
  #isClosed = false;
  #begun = 0;

  constructor(options: DecodePoolOptions) {
    this.#options = options;
    this.#here = decodingHere(options);
    this.#threadCount = options.threads ?? options.config.concurrency ?? availableParallelism();
    this.parallelism = this.#threadCount * GROUP * GROUPS_A_THREAD;
  }

  decode(bytes: Uint8Array, uri: string): Promise<DecodedBytes | RefusedBytes> {
    const { beforeThreads = BEFORE_THREADS } = this.#options;
    if (this.#begun++ < beforeThreads) return this.#here.decode(bytes, uri);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ bytes, uri, resolve, reject });
      if (this.#isDue) return;
      // The pool gives what else it is asked for in this turn in the same message.
      this.#isDue = true;
      setImmediate(() => {
        this.#isDue = false;
        this.#give();
      });
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all((this.#threads ?? []).map((thread) => thread.close()));
    this.#give();
  }

  #give(): void {
    if (this.#isClosed) for (const { reject } of this.#waiting.splice(0)) reject(closed());
    if (this.#waiting.length === 0) return;
    this.#threads ??= this.#start();
    const most = Math.min(GROUP, Math.ceil(this.#waiting.length / this.#threadCount));
    for (const thread of [...this.#threads].sort((a, b) => a.groups - b.groups)) {
      if (this.#waiting.length === 0) return;
      if (thread.groups >= GROUPS_A_THREAD) continue;
      // One that has failed takes nothing, and answers all that it is given.
      thread.decode(this.#waiting.splice(0, thread.failed ? this.#waiting.length : most));
    }
  }

  #start(): DecodeThread[] {
    const { card, config } = this.#options;
    const { input, resize } = card;
    const setup: DecodeThreadSetup = { card: { input, resize }, config, room: PixelRoom.memory() };
    return Array.from(
      { length: this.#threadCount },
      () =>
        new DecodeThread(setup, this.#memory, () => {
          this.#give();
        }),
    );
  }
}

class DecodeThread {
  readonly #worker: Worker;
  readonly #memory: ImageMemory;
  readonly #size: number;
  /** In the order in which they are answered */
  readonly #groups: (readonly Waiting[])[] = [];
  readonly #loaded: Promise<void>;
  readonly #gone: Promise<void>;
  #failure: SluiceError | null = null;

  constructor(setup: DecodeThreadSetup, memory: ImageMemory, onAnswer: () => void) {
    this.#memory = memory;
    this.#size = pixelBytes(setup.card.input);
    this.#worker = new Worker(PROGRAM, {
      name: "sluice-decode",
      workerData: setup,
      resourceLimits: { maxYoungGenerationSizeMb: 4 },
    });
    this.#gone = new Promise((resolve) => {
      this.#worker.once("exit", (code) => {
        this.#fail(`exited with code ${code}`);
        resolve();
        onAnswer();
      });
    });
    this.#loaded = new Promise((resolve) => {
      this.#worker.on("message", (answer: DecodeAnswer | typeof LOADED) => {
        if (answer === LOADED) resolve();
        else {
          this.#take(answer);
          onAnswer();
        }
      });
    });
    this.#worker.on("error", (error) => {
      this.#fail(`failed: ${error.message}`, error);
    });
    // A thread that has nothing to do keeps no process.
    this.#worker.unref();
  }

  get groups(): number {
    return this.#groups.length;
  }

  get failed(): boolean {
    return this.#failure !== null;
  }

  decode(group: readonly Waiting[]): void {
    if (this.#failure !== null) {
      for (const { reject } of group) reject(this.#failure);
      return;
    }
    if (this.#groups.length === 0) this.#worker.ref();
    this.#groups.push(group);
    const memory = this.#memory.take(group.reduce((sum, { bytes }) => sum + bytes.length, 0));
    const all = new Uint8Array(memory);
    let start = 0;
    for (const { bytes } of group) {
      all.set(bytes, start);
      start += bytes.length;
    }
    const images = group.map(({ uri, bytes }) => ({ uri, sizeBytes: bytes.length }));
    const request: DecodeRequest = { memory, images };
    this.#worker.postMessage(request, [memory]);
  }

  async close(): Promise<void> {
    this.#fail("was closed", closed());
    this.#worker.ref();
    await Promise.race([this.#loaded, this.#gone]);
    this.#worker.postMessage(END);
    await this.#gone;
  }

  #take({ memory, pixels, hashes, images }: DecodeAnswer): void {
    this.#memory.give(memory);
    const group = this.#groups.shift();
    // Of a pool that was closed nobody waits any more.
    if (group === undefined) return;
    if (this.#groups.length === 0) this.#worker.unref();
    for (const [at, { resolve, reject }] of group.entries()) {
      const image = images[at]!;
      if ("error" in image) reject(fromPlainError(image.error));
      else if ("code" in image) resolve(image);
      else {
        const { quality, ...rest } = image;
        const hash = new Uint8Array(hashes, at * HASH_BYTES, HASH_BYTES);
        resolve({ ...rest, pixels: new Uint8Array(pixels, at * this.#size, this.#size), pdq: { hash, quality } });
      }
    }
  }

  #fail(how: string, cause?: Error): void {
    this.#failure ??=
      cause instanceof SluiceError
        ? cause
        : new SluiceError("E_INTERNAL", `Expected a decoding thread to go on, found that it ${how}.`, { cause });
    for (const { reject } of this.#groups.splice(0).flat()) reject(this.#failure);
  }
}

function closed(): SluiceError {
  return new SluiceError("E_CANCELLED", "The decoding threads were closed.");
}

/** Memory that images travel in, used again and again: what is given to a thread comes back with its answer. */
class ImageMemory {
  readonly #free = new Map<number, ArrayBuffer[]>();

  take(sizeBytes: number): ArrayBuffer {
    if (sizeBytes > MOST_BLOCK) return new ArrayBuffer(sizeBytes);
    let block = LEAST_BLOCK;
    while (block < sizeBytes) block *= 2;
    return this.#free.get(block)?.pop() ?? new ArrayBuffer(block);
  }

  give(memory: ArrayBuffer): void {
    if (memory.byteLength > MOST_BLOCK) return;
    const free = this.#free.get(memory.byteLength);
    if (free === undefined) this.#free.set(memory.byteLength, [memory]);
    else free.push(memory);
  }
}
