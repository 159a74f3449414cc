import assert from "node:assert/strict";
import { test } from "node:test";
import { openUri } from "../../../connectors/source/open-uri.js";
import { currentFrontier } from "../../../operators/archive/archive-reader.js";
import { liveChain } from "../../../operators/archive/chain.js";
import { CutScheduler } from "../../../pipelines/flow/cut-scheduler.js";
import { LiveDatasets } from "../../../pipelines/flow/live-datasets.js";
import { DuePublisher } from "../../../pipelines/versions/due-publisher.js";
import { listVersions } from "../../../pipelines/versions/versions.js";
import { ALL_ALLOWED } from "../../../schemas/allowance.js";
import { datasetSchema } from "../../../schemas/dataset.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { archiveRecords, testCard } from "../../fixtures/archive.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";
import { tiedLogits } from "../../fixtures/sorted-rows.js";

const CLASSES = 4;
const DAY_MS = 5;

async function windowsDue() {
  const listed: string[] = [];
  const memory = openMemoryStore();
  const store = {
    ...memory,
    list: (prefix: string, options?: Parameters<typeof memory.list>[1]) => {
      listed.push(prefix);
      return memory.list(prefix, options);
    },
  };
  const card = testCard(CLASSES);
  const archive = { teacher: teacherDigest(card), stream: "images" };
  const chain = await liveChain(store, { ...archive, partition: 0 }, 0);
  const records = Array.from({ length: 40 }, (_, image) => ({ image, logits: tiedLogits(image, CLASSES) }));
  // Event times are 1000 and up, one a millisecond.
  await archiveRecords(store, chain, records, [7], CLASSES);
  const window = { kind: "tumbling", sizeMs: DAY_MS };
  const dataset = datasetSchema.parse({ name: "days", window, select: { k: 3, p: 2 } });
  const frontier = await currentFrontier(store, archive);
  const nowMs = (): number => 1_790_000_000_000;
  const facts = await LiveDatasets.open(
    { store, datasets: [dataset], ...archive, card, everySegments: 16, keep: 2, nowMs },
    frontier,
  );
  const scheduler = await CutScheduler.open({ store, card, facts, frontier, nowMs: nowMs() });
  let ids = 0;
  const newId = (): string => `id${ids++}`;
  const options = { store, card, stream: "images", scheduler, opener: openUri(), sheets: null, allow: ALL_ALLOWED };
  const due = scheduler.dueAtEnd();
  assert.ok(due.length >= 6);
  return { listed, store, options: { ...options, nowMs, newId }, due, frontier };
}

test("windows that are due together are versions one after the other, and each costs no look at all that are there", async () => {
  const { listed, store, options, due, frontier } = await windowsDue();
  const publisher = new DuePublisher(options);
  listed.length = 0;
  const { published, refused, leftDue } = await publisher.publish(due, frontier);
  assert.deepEqual([refused, leftDue], [[], 0]);
  assert.deepEqual(
    published.map(({ manifest }) => [
      manifest.number,
      manifest.span.startMs,
      manifest.provenance.parent?.number ?? null,
    ]),
    due.map(({ span }, index) => [index + 1, span.startMs, index === 0 ? null : index]),
  );
  const all = ["versions/days/", "versions/days/data/"];
  assert.deepEqual(
    listed.filter((prefix) => all.includes(prefix)),
    all,
  );
  const stored: number[] = [];
  for await (const manifest of listVersions(store, "days")) stored.push(manifest.number);
  assert.equal(stored.length, due.length);
});

test("a stop between two versions leaves the rest due, and says how many; the next call makes them", async () => {
  const { options, due, frontier } = await windowsDue();
  const stopping = new AbortController();
  const onPublished = (): void => {
    stopping.abort();
  };
  const made = await new DuePublisher({ ...options, onPublished }).publish(due, frontier, stopping.signal);
  assert.deepEqual([made.published.length, made.leftDue], [1, due.length - 1]);
  const rest = await new DuePublisher(options).publish(due.slice(1), frontier, new AbortController().signal);
  assert.deepEqual([rest.published.length, rest.leftDue], [due.length - 1, 0]);
});
