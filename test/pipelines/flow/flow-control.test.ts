import assert from "node:assert/strict";
import { test } from "node:test";
import { askControl, FlowControl, standingControl } from "../../../pipelines/flow/flow-control.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { keys } from "../../../schemas/keys.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";

const asked = { by: "anna", reason: null, nowMs: 7 } as const;

test("of many who ask at once each gets a number of its own, and the highest stands", async () => {
  const store = openMemoryStore();
  assert.equal(await standingControl(store, "s"), null);
  const words = await Promise.all(
    Array.from({ length: 8 }, (_, at) => askControl(store, "s", { ...asked, want: at % 2 === 0 ? "drain" : "pause" })),
  );
  const highest = words.reduce((a, b) => (b.number > a.number ? b : a));
  assert.deepEqual(await standingControl(store, "s"), highest);
  assert.equal(await standingControl(store, "other"), null);
});

test("what stands is not said again, but a drain is; one who looked at something else is told", async () => {
  const store = openMemoryStore();
  const first = await askControl(store, "s", { ...asked, want: "pause" });
  assert.deepEqual(await askControl(store, "s", { ...asked, by: "bert", want: "pause" }), first);
  assert.equal((await askControl(store, "s", { ...asked, want: "drain", seen: 0 })).number, 1);
  assert.equal((await askControl(store, "s", { ...asked, want: "drain" })).number, 2);
  await assert.rejects(askControl(store, "s", { ...asked, want: "run", seen: 1 }), (error: unknown) =>
    isSluiceError(error, "E_DATASET_CONFLICT"),
  );
});

test("a damaged word is refused by those who start, and said anew by resume", async () => {
  const store = openMemoryStore();
  await store.put(keys.control("s", 0), Buffer.from("{}"));
  await assert.rejects(standingControl(store, "s"), (error: unknown) => isSluiceError(error, "E_STORE_CORRUPT"));
  assert.equal((await askControl(store, "s", { ...asked, want: "run" })).number, 1);
  assert.equal((await standingControl(store, "s"))?.want, "run");
});

test("a running process is held, let go and drained by what is asked, and by no drain of before", async () => {
  const store = openMemoryStore();
  await askControl(store, "s", { ...asked, want: "drain" });
  const told: string[] = [];
  const options = { store, stream: "s", lookMs: 5, onChange: ({ want }: { want: string }) => told.push(want) };
  const control = await FlowControl.open({ ...options, onWarning: (message) => assert.fail(message) });
  try {
    const going = new AbortController();
    assert.equal(control.hold(going.signal), null);
    assert.equal(control.drain.aborted, false);
    await askControl(store, "s", { ...asked, want: "pause" });
    while (!control.isPaused) await new Promise((done) => setTimeout(done, 20));
    const [first, second] = [new AbortController(), new AbortController()];
    const held = control.hold(first.signal);
    const other = control.hold(second.signal);
    first.abort();
    assert.equal(await held, false, "who goes does not wait");
    await askControl(store, "s", { ...asked, want: "run" });
    assert.equal(await other, true);
    await askControl(store, "s", { ...asked, want: "drain" });
    while (!control.drain.aborted) await new Promise((done) => setTimeout(done, 20));
    assert.deepEqual(told, ["pause", "run", "drain"]);
  } finally {
    await control.close();
  }
});
