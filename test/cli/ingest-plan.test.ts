import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { IngestPlan } from "../../schemas/ingest-plan.js";
import type { Manifest } from "../../schemas/manifest.js";
import { CommandFolder, ENGINE, type Ingested } from "../fixtures/command-folder.js";

test("a plan of a sample that is all of it says the rows that the ingest then gives, and writes nothing", async (t) => {
  const place = await CommandFolder.make({ images: 40, broken: 2 }, t);
  const call = ["pictures", "--teacher", "teacher", "--k", "5", "--p", "2", ...ENGINE];
  const plan = await place.json<IngestPlan>("ingest", ...call, "--plan");
  assert.equal(existsSync(join(place.path, "sluice-data")), false);
  assert.deepEqual([plan.images, plan.sample.scored, plan.sample.quarantined], [42, 40, 2]);
  const { code } = await place.sluice("ingest", ...call);
  assert.equal(code, 0);
  const manifest = await place.json<Manifest>("versions", "show", "latest");
  const [dataset] = plan.datasets;
  assert.deepEqual(
    dataset!.classes.map(({ class: index, label, k, rows }) => [index, label, k, rows]),
    manifest.classes.map(({ class: index, label, k, count }) => [index, label, k, count]),
  );
  assert.deepEqual(
    [dataset!.rows, dataset!.full],
    [manifest.totals.rows, manifest.classes.filter((one) => !one.starving).length],
  );
  const { beginS, aroundS, scoreS, publishS, totalS } = plan.time;
  assert.ok(scoreS > 0 && publishS > 0 && Math.abs(beginS + aroundS + scoreS + publishS - totalS) < 1e-9);
  // What was drawn is all there is: the plan has no less than that took, slow first batches too.
  assert.ok(aroundS + scoreS >= plan.sample.tookS, JSON.stringify(plan));
  assert.ok(plan.bytes.scores > 0 && plan.bytes.kept === 0 && plan.bytes.versions > 0);
  for (const one of dataset!.classes) assert.ok(one.least <= one.rows && one.rows <= one.most, JSON.stringify(one));
});

test("a small sample gives the same plan each time, with ranges; a plan of nothing, or beside --follow, is refused", async (t) => {
  const place = await CommandFolder.make({ images: 40 }, t);
  const call = ["pictures", "--teacher", "teacher", "--k", "5", ...ENGINE, "--plan"];
  const plan = () => place.json<IngestPlan>("ingest", ...call, "--sample", "16");
  const [first, second] = [await plan(), await plan()];
  assert.deepEqual(second.datasets, first.datasets);
  assert.deepEqual([first.images, first.sample.scored], [40, 16]);
  assert.ok(first.datasets[0]!.classes.some(({ least, most }) => least < most));
  const text = await place.sluice("ingest", ...call, "--sample", "16");
  assert.match(
    text.out,
    /^Plan of .*pictures: 40 images, of which 16 were scored\. Nothing was archived or published\.$/m,
  );
  assert.match(text.out, /^Dataset default: \d+ rows expected/m);
  for (const more of [["--follow"], ["--budget", "1h"]])
    assert.equal((await place.sluice("ingest", ...call, ...more)).code, 2);
  assert.equal((await place.sluice("ingest", "--teacher", "teacher", "--plan")).code, 2);
});

test("a plan leaves out conditions on other teachers' scores, and says so", async (t) => {
  const scores = `[{ teacher: "${"ab".repeat(32)}", class: 0, least: 0.5 }]`;
  const datasets = `[{ name: agreed, select: { k: 5, p: 2, where: { scores: ${scores} } } }, { name: other, select: { k: 5, p: 2 } }]`;
  const place = await CommandFolder.make({ images: 20, datasets }, t);
  const plan = await place.json<IngestPlan>("ingest", "pictures", "--plan");
  const [agreed, other] = plan.datasets;
  assert.deepEqual([agreed!.notForeseen, other!.notForeseen], [["select.where.scores"], []]);
  assert.deepEqual(agreed!.classes, other!.classes);
  assert.match((await place.sluice("ingest", "pictures", "--plan")).out, /^ {2}not foreseen: select\.where\.scores/m);
});

test("a budget beyond what a timer holds is refused", async (t) => {
  const place = await CommandFolder.make({ images: 1 }, t);
  for (const budget of ["25d", "4w"]) {
    const { code, err } = await place.sluice("ingest", "pictures", "--teacher", "teacher", "--budget", budget);
    assert.equal(code, 2, err);
    assert.match(err, /E_USAGE.*24d at most/);
  }
});

test("a budget that is used up ends the run in order, with a code of its own; the same command goes on and publishes", async (t) => {
  const place = await CommandFolder.make({ images: 60 }, t);
  const call = ["ingest", "pictures", "--teacher", "teacher", "--k", "5", ...ENGINE];
  const cut = await place.under({ SLUICE_ARCHIVE__SEGMENT_RECORDS: "4" }, ...call, "--budget", "0s");
  assert.equal(cut.code, 5, cut.err);
  assert.match(
    cut.err,
    /E_BUDGET: Stopped after 0 s, as --budget says\. Scored .*nothing was published\. The same command goes on/,
  );
  const rest = await place.json<Ingested>(...call, "--budget", "1h");
  assert.equal(rest.published.length, 1);
  const all = await place.json<Manifest>("versions", "show", "latest");
  assert.equal(all.totals.records.scored, 60);
});
