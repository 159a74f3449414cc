import assert from "node:assert/strict";
import { test } from "node:test";
import { withRetries, type RetryEvent, type RetryPolicy } from "../../connectors/bounded-retry.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";

const away = (): SluiceError => new SluiceError("E_STORE_IO", "The store is away.", { retryable: true, key: "k" });

function policy(changes: Partial<RetryPolicy> = {}): RetryPolicy {
  return {
    patienceMs: 60_000,
    firstDelayMs: 1,
    greatestDelayMs: 4,
    signal: new AbortController().signal,
    ...changes,
  };
}

test("tries again until it works, telling each wait", async () => {
  const events: RetryEvent[] = [];
  let calls = 0;
  const result = await withRetries(policy({ onRetry: (event) => events.push(event) }), "write k", async () => {
    if (++calls < 5) throw away();
    return calls;
  });
  assert.equal(result, 5);
  assert.deepEqual(
    events.map(({ doing, failure, attempt }) => ({ doing, failure, attempt })),
    [1, 2, 3, 4].map((attempt) => ({ doing: "write k", failure: "The store is away.", attempt })),
  );
  for (const [index, { nextDelayMs }] of events.entries()) {
    const full = Math.min(2 ** index, 4);
    assert.ok(nextDelayMs > full / 2 - 1e-9 && nextDelayMs <= full, `delay ${nextDelayMs} of ${full}`);
  }
});

test("gives up when its patience ends, with the failure, how often and retryable", async () => {
  let calls = 0;
  const trying = withRetries(policy({ patienceMs: 30 }), "write k", async () => {
    calls++;
    throw away();
  });
  await assert.rejects(trying, (error) => {
    assert.ok(isSluiceError(error, "E_STORE_IO"));
    assert.equal(error.retryable, true);
    assert.equal(error.context["key"], "k");
    assert.match(error.message, new RegExp(`The store is away\\. Tried ${calls} times`));
    return true;
  });
  assert.ok(calls > 1);
});

test("does not repeat what will not work", async () => {
  for (const failure of [new SluiceError("E_STORE_ACCESS", "No."), new TypeError("a bug")]) {
    let calls = 0;
    await assert.rejects(
      withRetries(policy(), "write k", async () => {
        calls++;
        throw failure;
      }),
      (error) => error === failure,
    );
    assert.equal(calls, 1);
  }
});

test("progress renews the patience", async () => {
  let calls = 0;
  const result = await withRetries(
    policy({ patienceMs: 25, firstDelayMs: 10, greatestDelayMs: 10 }),
    "read k",
    async (progress) => {
      progress();
      if (++calls < 10) throw away();
      return "done";
    },
  );
  assert.equal(result, "done");
});

test("closing ends the waiting with the failure", async () => {
  const closing = new AbortController();
  const failure = away();
  const trying = withRetries(
    policy({
      firstDelayMs: 60_000,
      greatestDelayMs: 60_000,
      patienceMs: 3_600_000,
      signal: closing.signal,
      onRetry: () => {
        closing.abort();
      },
    }),
    "write k",
    () => Promise.reject(failure),
  );
  await assert.rejects(trying, (error) => error === failure);
});

test("settles what had failed as done where the server answers, be it with a refusal, and as given up where it stays away", async () => {
  for (const [last, how] of [
    [new SluiceError("E_STORE_MISSING", "There is none."), "done"],
    [away(), "given up"],
  ] as const) {
    const settled: string[] = [];
    let calls = 0;
    const onSettled = (doing: string, as: string): number => settled.push(`${doing}: ${as}`);
    const trying = withRetries(policy({ patienceMs: 30, onSettled }), "read k", async () => {
      throw ++calls === 1 ? away() : last;
    });
    await assert.rejects(trying, (error) => isSluiceError(error, last.code));
    assert.deepEqual(settled, [`read k: ${how}`]);
  }
});
