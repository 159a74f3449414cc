import assert from "node:assert/strict";
import { test } from "node:test";
import { openUri } from "../../../connectors/source/open-uri.js";
import { currentFrontier } from "../../../operators/archive/archive-reader.js";
import { liveChain } from "../../../operators/archive/chain.js";
import { CutScheduler, type CutFacts } from "../../../pipelines/flow/cut-scheduler.js";
import { LiveDatasets } from "../../../pipelines/flow/live-datasets.js";
import { DuePublisher } from "../../../pipelines/versions/due-publisher.js";
import { ALL_ALLOWED } from "../../../schemas/allowance.js";
import { datasetSchema } from "../../../schemas/dataset.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { archiveRecords, testCard } from "../../fixtures/archive.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";
import { tiedLogits } from "../../fixtures/sorted-rows.js";

const CLASSES = 4;

test("a version that was cut of more images than are seen here leaves none since then, and never less than none", async () => {
  const store = openMemoryStore();
  const card = testCard(CLASSES);
  const archive = { teacher: teacherDigest(card), stream: "images" };
  const chain = await liveChain(store, { ...archive, partition: 0 }, 0);
  const records = Array.from({ length: 40 }, (_, image) => ({ image, logits: tiedLogits(image, CLASSES) }));
  await archiveRecords(store, chain, records, [7], CLASSES);
  const frontier = await currentFrontier(store, archive);
  const nowMs = (): number => 1_790_000_000_000;
  const of = (trigger: object) =>
    datasetSchema.parse({ name: "best", select: { k: 3, p: 2 }, trigger, leastIntervalMs: 0 });
  const dataset = of({ everyImages: 15 });
  const live = { store, datasets: [dataset], ...archive, card, everySegments: 16, keep: 2, nowMs };
  const facts = await LiveDatasets.open(live, frontier);
  const scheduler = await CutScheduler.open({ store, card, facts, frontier, nowMs: nowMs() });
  let ids = 0;
  const publisher = new DuePublisher({
    store,
    card,
    stream: "images",
    scheduler,
    opener: openUri(),
    sheets: null,
    allow: ALL_ALLOWED,
    nowMs,
    newId: () => `id${ids++}`,
  });
  const { published } = await publisher.publish(scheduler.dueAtEnd(), frontier);
  assert.equal(published[0]!.manifest.totals.records.in, 40);

  for (const [trigger, why] of [
    [{ everyImages: 15 }, "0 of 15 images since the last version"],
    [{ filled: 0.5 }, "4 of 4 classes full, as in the last version; 0 of 4 images since then"],
  ] as const) {
    const behind = of(trigger);
    const counts = { in: 20, scored: 20, copied: 0, quarantined: 0, lost: 0 };
    const seen: CutFacts = {
      datasets: [behind],
      coverageOf: () => ({ records: counts, lastMs: 1020 }),
      panesOf: () => [0],
      countsOf: () => [3, 3, 3, 3],
    };
    const judging = await CutScheduler.open({ store, card, facts: seen, frontier, nowMs: nowMs() });
    assert.deepEqual(judging.judge(nowMs()), [{ dataset: behind, judgement: { fired: false, why } }]);
  }
});

test("a window's corrected version is due until it is published, however often that is tried", async () => {
  const store = openMemoryStore();
  const card = testCard(CLASSES);
  const archive = { teacher: teacherDigest(card), stream: "images" };
  const chain = await liveChain(store, { ...archive, partition: 0 }, 0);
  const records = Array.from({ length: 40 }, (_, image) => ({ image, logits: tiedLogits(image, CLASSES) }));
  await archiveRecords(store, chain, records, [7], CLASSES);
  const frontier = await currentFrontier(store, archive);
  const nowMs = (): number => 1_790_000_000_000;
  const window = { kind: "tumbling", sizeMs: 10 };
  const dataset = datasetSchema.parse({ name: "late", window, allowedLatenessMs: 10, select: { k: 3, p: 2 } });
  const live = { store, datasets: [dataset], ...archive, card, everySegments: 16, keep: 2, nowMs };
  const facts = await LiveDatasets.open(live, frontier);
  const scheduler = await CutScheduler.open({ store, card, facts, frontier, nowMs: nowMs() });
  let ids = 0;
  const options = { store, card, stream: "images", scheduler, opener: openUri(), sheets: null, allow: ALL_ALLOWED };
  const publisher = new DuePublisher({ ...options, nowMs, newId: () => `id${ids++}` });
  const { published } = await publisher.publish(scheduler.dueAtEnd(), frontier);
  assert.notEqual(published.length, 0);
  const late = () => scheduler.due(nowMs()).filter(({ trigger }) => trigger === "late images");
  scheduler.observe({ partition: 0, watermarkMs: facts.coverageOf(dataset).lastMs! + 1000 }, nowMs());
  const first = late();
  assert.notEqual(first.length, 0, "a window has ended so long ago that what came late is in");
  // A store that was away, a stop, another publisher that was quicker: it is due still.
  assert.deepEqual(late(), first);
  for (const { span } of first) {
    const made = published.find(({ manifest }) => manifest.span.startMs === span.startMs)!;
    scheduler.published(dataset, made.manifest);
  }
  assert.deepEqual(late(), []);
});
