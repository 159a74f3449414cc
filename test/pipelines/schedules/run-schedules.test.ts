import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { runSchedules, type RanCommand } from "../../../pipelines/schedules/run-schedules.js";
import { RunBook } from "../../../pipelines/schedules/run-book.js";
import { SeededRandom } from "../../../operators/training/seeded-random.js";
import { scheduleSchema, type ClaimedRun } from "../../../schemas/schedule.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { keys } from "../../../schemas/keys.js";
import { openMemoryStore, type MemoryStore } from "../../fixtures/memory-store.js";

const MINUTE = 60_000;
const START = Date.parse("2026-11-30T00:05:00Z");
const schedule = scheduleSchema.parse({ name: "nightly", cron: "*/10 * * * *", run: ["gc", "--yes"] });

/** Time that passes when everybody waits. */
class MadeTime {
  nowMs = START;
  readonly #waiting = new Set<{ atMs: number; wake: () => void }>();

  sleep = (delayMs: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      if (signal.aborted) {
        resolve();
        return;
      }
      const one = {
        atMs: this.nowMs + delayMs,
        wake: () => {
          this.#waiting.delete(one);
          signal.removeEventListener("abort", one.wake);
          resolve();
        },
      };
      this.#waiting.add(one);
      signal.addEventListener("abort", one.wake, { once: true });
    });

  async passTo(endMs: number): Promise<void> {
    for (;;) {
      for (let turns = 0; turns < 15; turns++) await turn();
      const next = [...this.#waiting].sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > endMs) break;
      this.nowMs = next.atMs;
      next.wake();
    }
    this.nowMs = endMs;
  }
}

interface Run {
  readonly by: string;
  readonly fromMs: number;
  toMs: number | null;
}

/** One process that works by the schedule. A dead one does nothing any more, whatever it was about to do. */
class Process {
  readonly #stop = new AbortController();
  readonly #time: MadeTime;
  readonly ended: Promise<void>;
  isDead = false;

  constructor(
    by: string,
    store: MemoryStore,
    time: MadeTime,
    runs: Run[],
    tookMs: () => number,
    exitCode = 0,
    schedules = [schedule],
  ) {
    this.#time = time;
    const mortal = <Result>(act: () => Promise<Result>): Promise<Result> =>
      this.isDead ? new Promise<never>(() => undefined) : act();
    const guarded: MemoryStore = {
      ...store,
      put: (key, bytes) => mortal(() => store.put(key, bytes)),
      putIfAbsent: (key, bytes) => mortal(() => store.putIfAbsent(key, bytes)),
      delete: (key) => mortal(() => store.delete(key)),
      get: (key) => mortal(() => store.get(key)),
      head: (key) => mortal(() => store.head(key)),
    };
    const runCommand = async (_: unknown, signal: AbortSignal): Promise<RanCommand> => {
      const run: Run = { by, fromMs: time.nowMs, toMs: null };
      runs.push(run);
      await mortal(() => time.sleep(tookMs(), signal));
      // Its command died with it.
      if (this.isDead) return new Promise<never>(() => undefined);
      run.toMs = time.nowMs;
      return signal.aborted
        ? { exitCode: 130, said: "", stopped: true }
        : { exitCode, said: "done it", stopped: false };
    };
    this.ended = runSchedules({
      store: guarded,
      stream: "images",
      schedules,
      runCommand,
      by,
      nowMs: () => time.nowMs,
      sleep: time.sleep,
      signal: this.#stop.signal,
    });
  }

  /** kill -9 */
  die(): void {
    this.isDead = true;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#time.passTo(this.#time.nowMs);
    await this.ended;
  }
}

async function claims(store: MemoryStore): Promise<ClaimedRun[]> {
  const found = [];
  for await (const { key } of store.list("schedules/images/nightly/")) {
    if (/\/\d{20}\.json$/.test(key)) found.push(JSON.parse(Buffer.from(await store.get(key)).toString()) as ClaimedRun);
  }
  return found;
}

test("of three processes one runs each firing, at its time", async () => {
  const [store, time, runs] = [openMemoryStore(), new MadeTime(), [] as Run[]];
  const processes = ["a", "b", "c"].map((by) => new Process(by, store, time, runs, () => 2 * MINUTE));
  await time.passTo(START + 60 * MINUTE);
  assert.deepEqual(
    runs.map(({ fromMs }) => (fromMs - START) / MINUTE),
    [5, 15, 25, 35, 45, 55],
  );
  assert.ok(runs.slice(0, 5).every(({ toMs }) => toMs !== null));
  for (const process of processes) await process.stop();
});

test("what was missed is made up for by one run, and what lies before the schedule was seen is not missed", async () => {
  const [store, time, runs] = [openMemoryStore(), new MadeTime(), [] as Run[]];
  const first = new Process("a", store, time, runs, () => MINUTE);
  await time.passTo(START + MINUTE);
  assert.equal(runs.length, 0, "a firing of before it was seen");
  await first.stop();
  await time.passTo(START + 47 * MINUTE);
  const second = new Process("b", store, time, runs, () => MINUTE);
  await time.passTo(START + 48 * MINUTE);
  assert.deepEqual(
    runs.map(({ fromMs }) => (fromMs - START) / MINUTE),
    [47],
  );
  const [, made] = await claims(store);
  assert.deepEqual([made!.firesMs, made!.missed], [START + 45 * MINUTE, 4]);
  await time.passTo(START + 56 * MINUTE);
  assert.equal(runs.length, 2, "and then it goes on");
  await second.stop();
});

test("a long run leaves out what passes meanwhile but the last, which follows it", async () => {
  const [store, time, runs] = [openMemoryStore(), new MadeTime(), [] as Run[]];
  const only = new Process("a", store, time, runs, () => 25 * MINUTE);
  await time.passTo(START + 70 * MINUTE);
  assert.deepEqual(
    runs.map(({ fromMs }) => (fromMs - START) / MINUTE),
    [5, 30, 55],
  );
  assert.deepEqual(
    (await claims(store)).map(({ missed }) => missed),
    [0, 0, 1, 2],
  );
  await only.stop();
});

test("a firing whose process died is taken over once it is no longer held, one that was stopped in order at once", async () => {
  const [store, time, runs] = [openMemoryStore(), new MadeTime(), [] as Run[]];
  const dying = new Process("a", store, time, runs, () => 8 * MINUTE);
  await time.passTo(START + 7 * MINUTE);
  dying.die();
  const other = new Process("b", store, time, runs, () => 8 * MINUTE);
  await time.passTo(START + 12 * MINUTE);
  assert.deepEqual(
    runs.map(({ by }) => by),
    ["a", "b"],
  );
  const tookOverMs = runs[1]!.fromMs - (START + 7 * MINUTE);
  assert.ok(tookOverMs > MINUTE && tookOverMs <= 2 * MINUTE + 1000, `${tookOverMs} ms after it died`);
  await other.stop();
  const third = new Process("c", store, time, runs, () => MINUTE);
  await time.passTo(START + 12 * MINUTE + 2000);
  assert.deepEqual(
    runs.map(({ by }) => by),
    ["a", "b", "c"],
  );
  assert.equal(runs[2]!.fromMs, START + 12 * MINUTE);
  assert.deepEqual(
    (await claims(store)).map(({ again }) => again),
    [false, false, true, true],
  );
  await third.stop();
});

test("a command that fails is told of, and its next firing runs it again", async () => {
  const [store, time, runs] = [openMemoryStore(), new MadeTime(), [] as Run[]];
  const failing = new Process("a", store, time, runs, () => MINUTE, 3);
  await time.passTo(START + 18 * MINUTE);
  assert.equal(runs.length, 2);
  const newest = (await new RunBook(store, "images", "nightly").newest())!;
  assert.deepEqual([newest.end?.exitCode, newest.end?.said], [3, "done it"]);
  await failing.stop();
});

test("with processes that come, die and stop at any moment no two run at once, and every firing is run or counted", async () => {
  for (let seed = 1; seed <= 3; seed++) {
    const random = new SeededRandom(seed);
    const [store, time, runs] = [openMemoryStore(), new MadeTime(), [] as Run[]];
    const living: Process[] = [];
    const deaths = new Map<string, number>();
    const tookMs = (): number => Math.ceil(random.next() * 14 * MINUTE);
    for (let step = 0; step < 30; step++) {
      const what = random.next();
      if (living.length < 3 && what < 0.5)
        living.push(new Process(`${living.length}-${step}`, store, time, runs, tookMs));
      else if (living.length > 0 && what < 0.7) {
        const one = living.splice(Math.floor(random.next() * living.length), 1)[0]!;
        one.die();
        for (const run of runs) if (run.toMs === null && !deaths.has(run.by)) deaths.set(run.by, time.nowMs);
      } else if (living.length > 0 && what < 0.8) await living.pop()!.stop();
      await time.passTo(time.nowMs + Math.floor(random.next() * 9 * MINUTE));
    }
    // Somebody is there at the end for long enough.
    living.push(new Process("last", store, time, runs, () => MINUTE));
    await time.passTo(time.nowMs + 40 * MINUTE);
    const sorted = runs.toSorted((a, b) => a.fromMs - b.fromMs);
    for (const [at, run] of sorted.entries()) {
      const next = sorted[at + 1];
      if (next === undefined || run.toMs === null) continue;
      assert.ok(run.toMs <= next.fromMs, `seed ${seed}: ${run.by} and ${next.by} ran at once`);
    }
    const all = await claims(store);
    assert.deepEqual(
      all.map(({ number }) => number),
      all.map((_, at) => at),
    );
    const fresh = all.filter(({ number, again }) => number > 0 && !again);
    const passed =
      Math.floor((all.at(-1)!.firesMs - (START - 5 * MINUTE)) / (10 * MINUTE)) -
      Math.floor((all[0]!.firesMs - (START - 5 * MINUTE)) / (10 * MINUTE));
    assert.equal(
      fresh.reduce((sum, { missed }) => sum + 1 + missed, 0),
      passed,
      `seed ${seed}: each firing once`,
    );
    assert.ok(time.nowMs - all.at(-1)!.firesMs < 25 * MINUTE, `seed ${seed}: it still goes on`);
    for (const one of living) await one.stop();
  }
});

test("a line that fires once ends nothing, and a clock that was far ahead silences nothing", async () => {
  const [store, time, runs] = [openMemoryStore(), new MadeTime(), [] as Run[]];
  const once = scheduleSchema.parse({ ...schedule, name: "once", cron: "2026-11-30T00:07:00" });
  const first = new Process("a", store, time, runs, () => MINUTE, 0, [once, schedule]);
  await time.passTo(START + 26 * MINUTE);
  assert.deepEqual(
    runs.map(({ fromMs }) => (fromMs - START) / MINUTE),
    [2, 5, 15, 25],
  );
  await first.stop();
  const claim = { ...(await claims(store)).at(-1)!, number: 4, firesMs: START + 1e9 };
  const book = new RunBook(store, "images", "nightly");
  await book.claim(claim);
  await book.end(4, { schemaVersion: 1, endedMs: START, exitCode: 0, said: "" });
  const second = new Process("b", store, time, runs, () => MINUTE);
  await time.passTo(START + 36 * MINUTE);
  assert.equal(runs.length, 5, "the next firing after it began");
  await second.stop();
});

test("a record that was damaged is named with what to do", async () => {
  const [store, time, runs] = [openMemoryStore(), new MadeTime(), [] as Run[]];
  const first = new Process("a", store, time, runs, () => MINUTE);
  await time.passTo(START + 7 * MINUTE);
  await first.stop();
  const key = keys.scheduled("images", "nightly", 1);
  const bytes = Buffer.from(await store.get(key));
  bytes[20]! ^= 1;
  await store.put(key, bytes);
  await assert.rejects(
    new RunBook(store, "images", "nightly").newest(),
    (error) => isSluiceError(error, "E_STORE_CORRUPT") && error.message.includes(key),
  );
});
