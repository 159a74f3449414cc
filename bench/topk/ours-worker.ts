import { parentPort } from "node:worker_threads";
import { candidates } from "../../operators/pure/candidates.js";
import { mayLack, sampleParameters } from "../../operators/pure/sampled-thresholds.js";
import { topk, type TopkParameters, type TopkState } from "../../operators/pure/topk.js";
import type { Found, FromWorker, Handover, Task, ToWorker } from "./ours.js";
import { CLASSES, TOP_M } from "./rows.js";
import { rankedColumns } from "./segment-columns.js";

/** One in so many segments is read for the guess. */
const SAMPLE_EVERY = 32;

const say = (message: FromWorker, moved: ArrayBuffer[] = []): void => parentPort?.postMessage(message, moved);
const refuse = (): never => {
  throw new Error("made rows are finite");
};

/** Ranks all candidates of these segments that are not below `least`. */
function rank(parameters: TopkParameters, files: readonly string[], least: Float64Array | null): TopkState {
  const state = topk(parameters).restore();
  const chosen = candidates({ p: TOP_M, classes: CLASSES, thresholds: least ?? state.thresholds }).restore();
  const take = { emit: refuse, reject: refuse };
  for (const batch of rankedColumns(files)) {
    chosen.onBatch(batch, {
      emit: (made) => {
        state.onBatch(made, take);
      },
      reject: refuse,
    });
  }
  return state;
}

/** One worker's part: guess, rank a run of segments, hand over the classes of others, end with its own. */
class RankWorker {
  readonly #task: Task;
  readonly #parameters: TopkParameters;
  readonly #state: TopkState;
  #awaited: number;

  constructor(task: Task) {
    const { files, k, index, workers, guessed } = task;
    this.#task = task;
    this.#parameters = { classes: CLASSES, k, reserve: 0 };
    this.#awaited = workers - 1;
    const share = Math.ceil(files.length / workers);
    const mine = files.slice(index * share, (index + 1) * share);
    const sampled = mine.filter((_, i) => i % SAMPLE_EVERY === 0);
    const sample = rank(sampleParameters(this.#parameters, sampled.length / files.length), sampled, null);
    sample.counts();
    // Another worker may have guessed higher from its share: neither is certain, both are verified at the end.
    sample.thresholds.forEach((key, i) => (guessed[i] = Math.max(key, guessed[i]!)));
    this.#state = rank(this.#parameters, mine, guessed);
    for (let to = 0; to < workers; to++) if (to !== index) this.#handOver(to);
    this.#endIfWhole();
  }

  takeOver({ entries, lengths }: Handover): void {
    const { index, workers } = this.#task;
    let start = 0;
    for (const [i, classIndex] of classesOf(index, workers).entries()) {
      this.#state.adopt(classIndex, entries.subarray(start, start + lengths[i]!));
      start += lengths[i]!;
    }
    this.#awaited--;
    this.#endIfWhole();
  }

  #handOver(to: number): void {
    const released = classesOf(to, this.#task.workers).map((classIndex) => this.#state.release(classIndex));
    const lengths = released.map(({ length }) => length);
    const entries = new Uint32Array(lengths.reduce((sum, length) => sum + length, 0));
    let start = 0;
    for (const part of released) {
      entries.set(part, start);
      start += part.length;
    }
    say({ handover: { to, entries, lengths } }, [entries.buffer]);
  }

  #endIfWhole(): void {
    if (this.#awaited > 0) return;
    const { files, index, workers, guessed } = this.#task;
    const sums = { rows: 0, imageSum: 0 };
    const short: number[] = [];
    for (const classIndex of classesOf(index, workers)) {
      const { count, offset } = this.#state.rows(classIndex);
      if (mayLack(this.#parameters, this.#state.kept[classIndex]!, count, guessed[classIndex]!)) short.push(classIndex);
      else add(sums, count, offset);
    }
    if (short.length > 0) {
      const least = new Float64Array(CLASSES).fill(Infinity);
      for (const classIndex of short) least[classIndex] = -Infinity;
      const whole = rank(this.#parameters, files, least);
      for (const classIndex of short) {
        const { count, offset } = whole.rows(classIndex);
        add(sums, count, offset);
      }
    }
    say({ found: { ...sums, readAgain: short.length } satisfies Found });
  }
}

function add(sums: { rows: number; imageSum: number }, count: number, offset: Float64Array): void {
  let imageSum = 0;
  for (let i = 0; i < count; i++) imageSum += offset[i]!;
  sums.rows += count;
  sums.imageSum += imageSum;
}

function classesOf(index: number, workers: number): number[] {
  return Array.from({ length: CLASSES }, (_, i) => i).filter((i) => i % workers === index);
}

let worker: RankWorker | undefined;
let early: Handover[] = [];
parentPort?.on("message", (message: ToWorker) => {
  if ("task" in message) {
    worker = undefined;
    worker = new RankWorker(message.task);
    for (const handover of early) worker.takeOver(handover);
    early = [];
  } else if (worker === undefined) early.push(message.handover);
  else worker.takeOver(message.handover);
});
say({ ready: true });
