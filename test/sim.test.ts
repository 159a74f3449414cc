import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "./architecture/repository.js";
import { BUGS } from "./sim/bugs.js";
import { drawScenario } from "./sim/scenario.js";
import { simulate } from "./sim/simulate.js";

test("every invariant holds under twelve seeds, of both sides", async () => {
  assert.equal(new Set([...Array(12).keys()].map((seed) => drawScenario(seed).side)).size, 2);
  for (let seed = 0; seed < 12; seed++) {
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

// The others are `npm run sim -- --bugs`'s to catch: their seeds are not known, and searching takes long.
for (const bug of BUGS.filter(({ likelySeed }) => likelySeed !== undefined)) {
  test(`a bug is caught: ${bug.name}`, async () => {
    assert.notEqual(
      (await simulate(bug.likelySeed!, bug)).violation,
      null,
      `${bug.what}: seed ${bug.likelySeed} is clean`,
    );
  });
}
