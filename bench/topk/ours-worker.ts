import { parentPort } from "node:worker_threads";
import { candidates } from "../../operators/topk/candidates.js";
import { mayLack, sampleParameters } from "../../operators/topk/sampled-thresholds.js";
import { topk, type TopkParameters, type TopkState } from "../../operators/topk/topk.js";
import { CandidateExchange } from "../../pipelines/flow/candidate-exchange.js";
import type { Found, FromWorker, Task } from "./ours.js";
import { rankedColumns } from "./segment-columns.js";
import { CLASSES, TOP_M } from "./shape.js";

/** One in so many segments is read for the guess. */
const SAMPLE_EVERY = 16;

const refuse = (): never => {
  throw new Error("made rows are finite");
};
const refused = { emit: refuse, reject: refuse };

/** One worker's part: every so many-th segment for a guess, then all segments; it ends with the rows of its classes. */
class RankWorker {
  readonly #task: Task;
  readonly #exchange: CandidateExchange;
  readonly #owned: readonly number[];

  constructor(task: Task) {
    this.#task = task;
    this.#exchange = new CandidateExchange(task.memory, task.index);
    this.#owned = Array.from({ length: CLASSES }, (_, i) => i).filter((i) => this.#exchange.owns(i));
  }

  run(): Found {
    const { files, k, guessed } = this.#task;
    const parameters: TopkParameters = { classes: CLASSES, k, reserve: 0 };
    const sampled = files.filter((_, i) => i % SAMPLE_EVERY === 0);
    // A guess may be whatever it is: it is verified at the end.
    const publish = (state: TopkState): void => {
      for (const i of this.#owned) guessed[i] = state.thresholds[i]!;
    };
    const sample = this.#rank(sampleParameters(parameters, sampled.length / files.length), sampled, 0, publish);
    sample.counts();
    publish(sample);
    this.#meet();
    const state = this.#rank(parameters, files, 1);
    const found = { rows: 0, imageSum: 0, readAgain: 0 };
    for (const i of this.#owned) {
      const { count, offset } = state.rows(i);
      const again = mayLack(parameters, state.kept[i]!, count, guessed[i]!);
      if (again) found.readAgain++;
      else add(found, offset);
      guessed[i] = again ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    }
    this.#meet();
    if (!guessed.includes(Number.NEGATIVE_INFINITY)) return found;
    const whole = this.#rank(parameters, files, 2);
    for (const i of this.#owned) add(found, whole.rows(i).offset);
    return found;
  }

  /** Ranks what is not below the guess, together with the others, who take files from the same list. */
  #rank(
    parameters: TopkParameters,
    files: readonly string[],
    counter: number,
    onTaken?: (state: TopkState) => void,
  ): TopkState {
    const state = topk(parameters).restore();
    const chosen = candidates({ p: TOP_M, classes: CLASSES, thresholds: this.#task.guessed });
    this.#exchange.begin((batch) => {
      state.onBatch(batch, refused);
      onTaken?.(state);
    });
    const give = {
      emit: this.#exchange.give.bind(this.#exchange),
      reject: refuse,
    };
    for (const batch of rankedColumns(this.#next(files, counter))) {
      chosen.onBatch(batch, give);
      this.#exchange.takeSent();
    }
    this.#exchange.end();
    return state;
  }

  *#next(files: readonly string[], counter: number): Generator<string> {
    for (;;) {
      const file = files[Atomics.add(this.#task.counters, counter, 1)];
      if (file === undefined) return;
      yield file;
    }
  }

  /** Waits until all are here. */
  #meet(): void {
    this.#exchange.begin(refuse);
    this.#exchange.end();
  }
}

function add(found: { rows: number; imageSum: number }, offset: Float64Array): void {
  let imageSum = 0;
  for (let i = 0; i < offset.length; i++) imageSum += offset[i]!;
  found.rows += offset.length;
  found.imageSum += imageSum;
}

parentPort?.on("message", (task: Task) => {
  parentPort?.postMessage({ found: new RankWorker(task).run() } satisfies FromWorker);
});
parentPort?.postMessage({ ready: true } satisfies FromWorker);
