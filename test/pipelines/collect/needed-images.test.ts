import assert from "node:assert/strict";
import { test } from "node:test";
import { writeCheckpoint } from "../../../operators/state/checkpoint.js";
import { DatasetState } from "../../../operators/topk/dataset-state.js";
import { neededImages } from "../../../pipelines/collect/needed-images.js";
import { declareLost } from "../../../pipelines/declare-lost.js";
import { declare, noDeclarations } from "../../../pipelines/open/declare.js";
import { configSchema } from "../../../schemas/config.js";
import { datasetSchema, reserveOf, type Dataset } from "../../../schemas/dataset.js";
import { streamSettingsOf } from "../../../schemas/declaration.js";
import { keys } from "../../../schemas/keys.js";
import type { Segment } from "../../../schemas/segment.js";
import { archivedStream } from "../../fixtures/archived-stream.js";
import { allSegments } from "../../fixtures/compacting.js";

const CLASSES = 5;
const K = 2;

/** An archive of six hundred records, of which those of one segment are declared lost, and a state that was made since. */
async function afterLoss(dataset: Dataset, older: boolean) {
  const archive = await archivedStream({ classes: CLASSES, records: [600] });
  const { store, card, teacher, stream, chains } = archive;
  const settings = streamSettingsOf(configSchema.parse({ datasets: [dataset] }), null, []);
  await declare(store, noDeclarations(stream), { settings, datasets: [dataset] }, { by: "test", nowMs: 0 });
  const options = { dataset, teacher, stream, card };
  const checkpointed = async (segments: readonly Segment[], losses: number): Promise<void> => {
    const state = new DatasetState({ ...options, losses });
    for (const segment of segments) state.apply(segment);
    await writeCheckpoint(store, state, new Map(), new Map());
  };
  if (older) await checkpointed((await allSegments(store, chains)).slice(0, 10), 0);
  const key = keys.segment(chains[0]!, 200);
  store.objects.get(key)![400]! ^= 16;
  const said = { target: key, reason: "flipped", author: "a test", dryRun: false, nowMs: 0 };
  await declareLost({ store, stream, teachers: [teacher], datasets: [], ...said });
  await checkpointed(await allSegments(store, chains), 1);
  return archive;
}

test("once offsets were declared lost, what is needed is what the states since say", async () => {
  const dataset = datasetSchema.parse({ name: "best", select: { k: K, p: 1 }, reserve: 1 });
  const { store, stream } = await afterLoss(dataset, false);
  const { count } = await neededImages(store, stream);
  assert.ok(count > 0 && count <= CLASSES * (K + reserveOf(dataset)), `${count} images are needed`);
});

test("windows that began behind an older state's end are needed, too", async () => {
  const dataset = datasetSchema.parse({
    name: "best",
    select: { k: K, p: 1 },
    reserve: 1,
    window: { kind: "tumbling", sizeMs: 100 },
  });
  const { store, stream, chains } = await afterLoss(dataset, true);
  const needed = await neededImages(store, stream);
  const segments = await allSegments(store, chains);
  const { batch } = segments.at(-1)!;
  const digests = Array.from({ length: batch.count }, (_, row) => batch.digest.subarray(row * 32, (row + 1) * 32));
  assert.ok(digests.some((digest) => needed.has(digest)));
});
