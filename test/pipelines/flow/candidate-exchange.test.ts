import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { exchangeMemory } from "../../../pipelines/flow/candidate-exchange.js";
import type { Seen } from "../../operators/topk/topk-model.js";
import type { ExchangeTask } from "./exchange-program.js";
import { rowOf } from "./exchange-rows.js";

/** What each thread was given to rank in each round; `given` are the numbers of rows by thread and round. */
async function exchanged(given: readonly (readonly number[][])[], batch: number): Promise<Seen[][][]> {
  const memory = exchangeMemory(given.length);
  const workers = given.map(
    (rounds, index) =>
      new Worker(new URL("./exchange-program.js", import.meta.url), {
        workerData: { memory, index, rounds, batch } satisfies ExchangeTask,
      }),
  );
  const answers = await Promise.all(workers.map(async (worker) => (await once(worker, "message")) as [Seen[][]]));
  await Promise.all(workers.map((worker) => worker.terminate()));
  return answers.map(([taken]) => taken);
}

function assertExchanged(given: readonly (readonly number[][])[], taken: readonly Seen[][][]): void {
  const threads = given.length;
  for (let round = 0; round < given[0]!.length; round++) {
    const all = given.flatMap((rounds) => rounds[round]!).map(rowOf);
    for (let thread = 0; thread < threads; thread++) {
      const expected = all.filter((row) => row.class % threads === thread);
      assert.deepEqual(taken[thread]![round]!.sort(byOffset), expected.sort(byOffset));
    }
  }
}

const byOffset = (a: Seen, b: Seen): number => a.offset - b.offset;
const range = (start: number, end: number): number[] => Array.from({ length: end - start }, (_, i) => start + i);

test("every candidate comes to the thread that ranks its class, once, whole, and in its round", async () => {
  for (const threads of [1, 2, 3]) {
    const given = range(0, threads).map((thread) =>
      range(0, 3).map((round) =>
        range(10_000 * (3 * thread + round), 10_000 * (3 * thread + round) + 100 + 50 * round),
      ),
    );
    assertExchanged(given, await exchanged(given, 33));
  }
});

test("a thread may send far more than a ring holds while the others send nothing, or as much", async () => {
  const many = 60_000;
  const one = [
    [range(0, many), [1]],
    [[], range(many, many + 5)],
  ];
  assertExchanged(one, await exchanged(one, 8192));
  const both = [[range(0, many)], [range(many, 2 * many)]];
  assertExchanged(both, await exchanged(both, 5000));
});
