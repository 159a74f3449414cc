import { Worker } from "node:worker_threads";
import { exchangeMemory, type ExchangeMemory } from "./candidate-exchange.js";
import { SharedThresholds } from "./shared-thresholds.js";
import type { CoverageValue } from "../../operators/state/coverage.js";
import type { ReadSpan, SpanReader } from "../../operators/state/cut.js";
import { ChainReader } from "../../operators/archive/chain-reader.js";
import type { Store } from "../../connectors/store/store.js";
import type { ChainName } from "../../schemas/keys.js";

/** Part of a chain, [from, until): both are segment boundaries, by the store's listing. */
export interface ChainPart {
  readonly chain: ChainName;
  readonly from: number;
  readonly until: number;
}

/** What one of several threads reads. */
export interface ReadTask extends Omit<ReadSpan, "ranges"> {
  readonly index: number;
  readonly exchange: ExchangeMemory;
  /** See `SharedThresholds` */
  readonly thresholds: SharedArrayBuffer;
  /** Folder of the object store */
  readonly folder: string;
  readonly parts: readonly ChainPart[];
}

/** From a thread: one for every segment; then what it has covered, null where it cannot read its part; then, asked for them, the chunks of its state, and null. */
export type FromReader =
  | { readonly type: "segment" }
  | { readonly type: "covered"; readonly coverage: CoverageValue | null }
  | { readonly type: "chunk"; readonly chunk: Uint8Array | null };

/** Fewer segments than this a thread are not worth starting it. */
const LEAST_SEGMENTS = 32;

/**
 * Reads an archive with several threads, each a run of consecutive segments, into one state: each thread ranks a part of
 * the classes, and what it reads for the others' it sends them. Where a part of the archive cannot be read, nothing
 * is taken in: a reader that takes one segment after the other meets the same fault, and says which. Takes twice the memory of
 * the state.
 */
export function parallelReader(store: Store, folder: string, threads: number): SpanReader {
  return async (state, span, onSegment) => {
    const listed = await listedParts(store, span.ranges);
    const count = Math.min(threads, Math.floor(listed.length / LEAST_SEGMENTS));
    if (count < 2) return;
    const exchange = exchangeMemory(count);
    const thresholds = SharedThresholds.memory(state.topk.kept.length);
    const workers = Array.from({ length: count }, (_, index) => {
      const share = listed.slice(
        Math.floor((index * listed.length) / count),
        Math.floor(((index + 1) * listed.length) / count),
      );
      const task = { ...withoutRanges(span), index, exchange, thresholds, folder, parts: joined(share) };
      return new ReadThread(task, onSegment);
    });
    try {
      const covered = await allOrNull(workers.map((worker) => worker.covered));
      if (covered === null) return;
      for (const [index, worker] of workers.entries()) {
        await worker.mergeInto(state.topk.merging());
        state.coverage.absorb(covered[index]!, worker.task.parts);
      }
    } finally {
      await Promise.all(workers.map((worker) => worker.close()));
    }
  };
}

/** Null as soon as one is: the others wait for that thread. */
async function allOrNull<T>(promises: readonly Promise<T | null>[]): Promise<T[] | null> {
  const failed = promises.map((one) =>
    one.then((value) => (value === null ? null : new Promise<never>(() => undefined))),
  );
  return Promise.race([Promise.all(promises) as Promise<T[]>, ...failed]);
}

function withoutRanges({ options, span, depth }: ReadSpan): Omit<ReadSpan, "ranges"> {
  return { options, span, depth };
}

/** One entry a segment, as runs' indexes and the listing of the tail say */
async function listedParts(store: Store, ranges: readonly ChainPart[]): Promise<ChainPart[]> {
  const parts: ChainPart[] = [];
  for (const { chain, from, until } of ranges) {
    const starts = (await segmentStarts(new ChainReader(store, chain))).filter(
      (start) => start >= from && start < until,
    );
    starts.forEach((start, index) => {
      parts.push({ chain, from: index === 0 ? from : start, until: starts[index + 1] ?? until });
    });
  }
  return parts;
}

async function segmentStarts(reader: ChainReader): Promise<number[]> {
  const { runs, chain } = reader;
  const end = await runs.end();
  const starts: number[] = [];
  for (let at = chain.origin; at < end;) {
    const index = await runs.indexAt(at);
    for (let segment = 0; segment < index.count; segment++) starts.push(index.startOf(segment));
    at = index.end;
  }
  return [...starts, ...(await reader.tailStarts())];
}

/** Parts that follow on each other as one */
function joined(parts: readonly ChainPart[]): ChainPart[] {
  const whole: ChainPart[] = [];
  for (const part of parts) {
    const last = whole.at(-1);
    if (last?.chain === part.chain) whole[whole.length - 1] = { ...last, until: part.until };
    else whole.push(part);
  }
  return whole;
}

class ReadThread {
  readonly task: ReadTask;
  readonly covered: Promise<CoverageValue | null>;
  readonly #worker: Worker;
  #onChunk: (chunk: Uint8Array | null) => void = () => undefined;
  #fail: (error: unknown) => void = () => undefined;

  constructor(task: ReadTask, onSegment: () => void) {
    this.task = task;
    this.#worker = new Worker(new URL("./parallel-read-worker.js", import.meta.url), { workerData: task });
    this.covered = new Promise((resolve, reject) => {
      this.#fail = reject;
      this.#worker.on("error", (error) => {
        this.#fail(error);
      });
      this.#worker.on("message", (message: FromReader) => {
        if (message.type === "segment") {
          try {
            onSegment();
          } catch (error) {
            reject(error instanceof Error ? error : new Error(String(error)));
          }
        } else if (message.type === "covered") resolve(message.coverage);
        else this.#onChunk(message.chunk);
      });
    });
  }

  async mergeInto(merging: { push(chunk: Uint8Array): void; end(): void }): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#fail = reject;
      this.#onChunk = (chunk) => {
        try {
          if (chunk !== null) {
            merging.push(chunk);
            return;
          }
          merging.end();
          resolve();
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      this.#worker.postMessage("state");
    });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
