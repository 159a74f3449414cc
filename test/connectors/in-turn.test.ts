import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as later } from "node:timers/promises";
import { InTurn } from "../../connectors/in-turn.js";

test("work of one name runs in the order given, whatever fails; another name does not wait", async () => {
  const turns = new InTurn();
  const ran: string[] = [];
  const work = (name: string, pauses: number) => async (): Promise<string> => {
    ran.push(`${name} begins`);
    for (let pause = 0; pause < pauses; pause++) await later();
    ran.push(`${name} ends`);
    if (name === "first") throw new Error("it failed");
    return name;
  };
  const first = turns.run(work("first", 5));
  const second = turns.run(work("second", 0));
  const other = turns.run(work("other", 0), "other");
  await assert.rejects(first, /it failed/);
  assert.deepEqual(await Promise.all([second, other]), ["second", "other"]);
  assert.deepEqual(ran, ["first begins", "other begins", "other ends", "first ends", "second begins", "second ends"]);
  void turns.run(work("third", 3));
  await turns.idle();
  assert.equal(ran.at(-1), "third ends");
});
