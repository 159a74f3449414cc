import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "./architecture/repository.js";
import { BUGS } from "./sim/bugs.js";
import { findBug } from "./sim/find-bug.js";
import { simulate } from "./sim/simulate.js";

test("every invariant holds under twenty seeds", async () => {
  for (let seed = 0; seed < 20; seed++) {
    const { violation, lastLines } = await simulate(seed);
    assert.equal(violation, null, `seed ${seed}\n${lastLines.join("\n")}`);
  }
});

test("a seed gives the same trace each time", async () => {
  const first = await simulate(5);
  const second = await simulate(5);
  assert.equal(second.digest, first.digest);
  assert.notEqual((await simulate(6)).digest, first.digest);
});

test("docs/simulation.md lists every bug", async () => {
  const page = await readFile(join(ROOT, "docs/simulation.md"), "utf8");
  const listed = [...page.matchAll(/^\| `([a-z-]+)` \| (.*) \|$/gm)].map(([, name, what]) => `${name}: ${what}`);
  assert.deepEqual(
    listed.slice(-BUGS.length),
    BUGS.map(({ name, what }) => `${name}: ${what}`),
  );
  assert.ok(BUGS.length >= 40);
});

for (const bug of BUGS) {
  test(`a bug is caught: ${bug.name}`, async () => {
    assert.notEqual(await findBug(bug), null, `${bug.what}: no seed found it`);
  });
}
