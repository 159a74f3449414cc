import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import type { Store } from "../../connectors/store/store.js";
import { LineProcess } from "../fixtures/line-process.js";

const WRITERS = 8;
const ROUNDS = 200;

/** The part of a race's writer process: at each line, a key, tries to create that object with this process's pid in it. */
export async function raceForKeys(store: Store): Promise<void> {
  for await (const key of createInterface({ input: process.stdin })) {
    const answer = await store.putIfAbsent(key, Buffer.from(String(process.pid))).catch(String);
    process.stdout.write(`${answer}\n`);
  }
}

/**
 * Races 8 processes of `program`, each of which opens the store and calls `raceForKeys`, over 200 keys below `prefix`:
 * each key is created by exactly one, whose bytes it holds.
 */
export async function assertOneWinnerEach(
  t: TestContext,
  store: Store,
  prefix: string,
  program: string,
  args: readonly string[],
): Promise<void> {
  const writers = Array.from({ length: WRITERS }, () => new LineProcess(t, program, args));
  for (let round = 0; round < ROUNDS; round++) {
    const key = `${prefix}/${round}`;
    for (const writer of writers) writer.say(key);
    const answers = await Promise.all(writers.map((writer) => writer.hear()));
    assert.deepEqual(
      [...answers].sort(),
      ["created", ...Array.from({ length: WRITERS - 1 }, () => "exists")],
      `round ${round}`,
    );
    const winner = writers[answers.indexOf("created")]!;
    assert.equal(Buffer.from(await store.get(key)).toString(), String(winner.pid));
  }
}
