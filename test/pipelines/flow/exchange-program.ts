/** A thread of candidate-exchange.test.ts: in each round gives what it is told and says what it was given to rank. */
import { parentPort, workerData } from "node:worker_threads";
import { CandidateExchange, type ExchangeMemory } from "../../../pipelines/flow/candidate-exchange.js";
import { batchOf } from "../../operators/topk/topk-model.js";
import { rowOf } from "./exchange-rows.js";

export interface ExchangeTask {
  readonly memory: ExchangeMemory;
  readonly index: number;
  /** Numbers of the rows to give in each round, in batches of `batch` */
  readonly rounds: readonly (readonly number[])[];
  readonly batch: number;
}

const { memory, index, rounds, batch } = workerData as ExchangeTask;
const exchange = new CandidateExchange(memory, index);
const taken = rounds.map((numbers) => {
  const ranked: { class: number; key: number; identity: number[]; partition: number; offset: number }[] = [];
  exchange.begin((made) => {
    for (let i = 0; i < made.count; i++) {
      ranked.push({
        class: made.classes[i]!,
        key: made.keys[i]!,
        identity: [...made.identity.subarray(4 * i, 4 * i + 4)],
        partition: made.partition[i]!,
        offset: made.offset[i]!,
      });
    }
  });
  for (let start = 0; start < numbers.length; start += batch) {
    exchange.give(batchOf(numbers.slice(start, start + batch).map(rowOf)));
  }
  exchange.end();
  return ranked;
});
parentPort?.postMessage(taken);
