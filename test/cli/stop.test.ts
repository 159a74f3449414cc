import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { Stop } from "../../cli/stop.js";
import { isSluiceError } from "../../schemas/errors.js";

interface Watched {
  readonly stop: Stop;
  readonly signals: EventEmitter;
  readonly said: string[];
  readonly exits: number[];
  readonly sendAt: (signal: "SIGINT" | "SIGTERM", atMs: number) => void;
}

function watched(): Watched {
  const signals = new EventEmitter();
  const said: string[] = [];
  const exits: number[] = [];
  let nowMs = 0;
  const stop = new Stop({
    signals,
    nowMs: () => nowMs,
    say: (line) => said.push(line),
    exit: (code) => exits.push(code),
  });
  const sendAt = (signal: string, atMs: number): void => {
    nowMs = atMs;
    signals.emit(signal);
  };
  return { stop, signals, said, exits, sendAt };
}

test("the first signal asks to stop and says what the second does; the second ends the process with 130", () => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    const { stop, said, exits, sendAt } = watched();
    assert.equal(stop.signal.aborted, false);
    sendAt(signal, 0);
    assert.equal(stop.signal.aborted, true);
    assert.ok(isSluiceError(stop.signal.reason, "E_CANCELLED"));
    assert.match(said[0]!, /Press Ctrl-C again to end at once/);
    assert.deepEqual(exits, []);
    sendAt("SIGINT", 1000);
    assert.deepEqual(exits, [130]);
    assert.equal(said.length, 2);
  }
});

test("one key press that arrives twice, as under npm and npx, is one", () => {
  const { exits, said, sendAt } = watched();
  sendAt("SIGINT", 5000);
  sendAt("SIGINT", 5003);
  sendAt("SIGINT", 5100);
  assert.deepEqual([exits, said.length], [[], 1]);
  sendAt("SIGINT", 5250);
  assert.deepEqual(exits, [130]);
});

test("after its end it listens no more", () => {
  const { stop, signals, said, sendAt } = watched();
  assert.equal(stop.asked, false);
  stop.close();
  sendAt("SIGINT", 0);
  assert.deepEqual(
    [said, stop.asked, signals.listenerCount("SIGINT"), signals.listenerCount("SIGTERM")],
    [[], false, 0, 0],
  );
});
