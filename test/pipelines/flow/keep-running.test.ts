import assert from "node:assert/strict";
import { test } from "node:test";
import { keepRunning } from "../../../pipelines/flow/keep-running.js";
import { SluiceError } from "../../../schemas/errors.js";

const away = (): SluiceError => new SluiceError("E_STORE_IO", "The store is away.", { retryable: true });

test("work begins anew after what may pass, and the person is told; it ends when it is done", async () => {
  const said: string[] = [];
  let runs = 0;
  await keepRunning(
    async () => {
      if (++runs < 3) throw away();
      await Promise.resolve();
    },
    { signal: new AbortController().signal, onWarning: (line) => said.push(line), nowMs: () => 0 },
  );
  assert.equal(runs, 3);
  assert.deepEqual(
    said.map((line) => /away\. .* in (.*) s\.$/.exec(line)?.[1]),
    ["0.5", "1"],
  );
});

test("what no waiting mends is thrown at once, and after a stop everything is", async () => {
  const stop = new AbortController();
  const warned: string[] = [];
  const options = { signal: stop.signal, onWarning: (line: string) => warned.push(line), nowMs: () => 0 };
  const lasting = new SluiceError("E_LOG_RECREATED", "Made anew.");
  await assert.rejects(
    keepRunning(() => Promise.reject(lasting), options),
    lasting,
  );
  const passing = away();
  const stopped = keepRunning(() => {
    stop.abort();
    return Promise.reject(passing);
  }, options);
  await assert.rejects(stopped, passing);
  // Stopped before it began, there is nothing to run.
  await keepRunning(() => Promise.reject(lasting), options);
  assert.deepEqual(warned, []);
});

test("work that the group took away begins anew; work that this process was told to stop does not", async () => {
  const stop = new AbortController();
  const options = { signal: stop.signal, onWarning: () => undefined, nowMs: () => 0 };
  const taken = new SluiceError("E_CANCELLED", "images/3 is no longer this member's.");
  let runs = 0;
  await keepRunning(() => (++runs === 1 ? Promise.reject(taken) : Promise.resolve()), options);
  assert.equal(runs, 2);
  const stopped = keepRunning(() => {
    stop.abort();
    return Promise.reject(taken);
  }, options);
  await assert.rejects(stopped, taken);
});
