import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "./architecture/repository.js";
import { BUGS } from "./sim/bugs.js";
import { drawScenario } from "./sim/scenario.js";
import { simulate } from "./sim/simulate.js";

/** Of them three with erasures, one whose candidates topic is made anew between a look and a read, and one with conditions on rows */
const CLEAN = [0, 1, 2, 3, 4, 5, 6, 7, 253, 279, 352, 1311, 2000];

test("every invariant holds under thirteen seeds, of both sides", async () => {
  const drawn = CLEAN.map((seed) => drawScenario(seed));
  assert.equal(new Set(drawn.map(({ side }) => side)).size, 2);
  assert.equal(drawn.filter(({ upkeep }) => upkeep.erasing > 0).length, 3);
  assert.equal(drawn.filter(({ conditioned }) => conditioned).length, 1);
  for (const seed of CLEAN) {
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
