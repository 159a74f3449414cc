import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cut } from "../../../operators/state/cut.js";
import { writeSegment } from "../../../operators/archive/segment-objects.js";
import { LiveDatasets } from "../../../pipelines/flow/live-datasets.js";
import { datasetSchema, type Span } from "../../../schemas/dataset.js";
import type { ChainName } from "../../../schemas/keys.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { imageDigest, testCard, testSegment, type TestRecord } from "../../fixtures/archive.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";

const CLASSES = 3;
const card = testCard(CLASSES);
const teacher = teacherDigest(card);
const chain: ChainName = { teacher, stream: "images", partition: 0, origin: 0 };

interface Timed {
  readonly record: TestRecord & { image: number; logits: number[] };
  readonly timeMs: number;
}

const timed: fc.Arbitrary<Timed> = fc.record({
  record: fc.integer({ min: 0, max: 40 }).map((image) => ({
    image,
    logits: Array.from({ length: CLASSES }, (_, index) => ((image * 7 + index * 5) % 9) / 2),
  })),
  timeMs: fc.integer({ min: 0, max: 60 }),
});

/** Best K of a class in a span, by sorting: images by logit margin (the key of a class rises with it here), then digest. */
function model(records: readonly Timed[], span: Span, k: number): string[][] {
  return Array.from({ length: CLASSES }, (_, wanted) => {
    const keys = new Map<string, number>();
    for (const { record, timeMs } of records) {
      if (timeMs < span.startMs! || timeMs >= span.endMs!) continue;
      const top = Math.max(...record.logits);
      if (record.logits.indexOf(top) !== wanted) continue;
      const total = record.logits.reduce((sum, logit) => sum + Math.exp(logit - top), 0);
      keys.set(Buffer.from(imageDigest(record.image)).toString("hex"), -Math.log(total));
    }
    return [...keys]
      .sort(([a, x], [b, y]) => (Math.abs(x - y) > 1e-9 ? y - x : a < b ? -1 : 1))
      .slice(0, k)
      .map(([digest]) => digest);
  });
}

test("hopping windows cut from panes and checkpoints hold what sorting their event times gives, late rows included", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(timed, { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 4 }),
      fc.constantFrom(
        { kind: "hopping" as const, sizeMs: 20, everyMs: 5, offsetMs: 3 },
        { kind: "tumbling" as const, sizeMs: 10, offsetMs: 0 },
      ),
      async (records, length, k, window) => {
        const store = openMemoryStore();
        const dataset = datasetSchema.parse({ name: "d", select: { k, p: 1 }, reserve: 0, window });
        const options = {
          store,
          datasets: [dataset],
          teacher,
          stream: "images",
          card,
          everySegments: 2,
          keep: 2,
        };
        let live = await LiveDatasets.restore(options, []);
        let watermarkMs = 0;
        for (let start = 0; start < records.length; start += length) {
          const part = records.slice(start, start + length);
          const segment = testSegment(
            chain,
            start,
            part.map(({ record }) => record),
            CLASSES,
          );
          part.forEach(({ timeMs }, row) => {
            segment.batch.eventTimeMs[row] = BigInt(timeMs);
            watermarkMs = Math.max(watermarkMs, timeMs);
          });
          await writeSegment(store, chain, segment);
          await live.take(segment);
          // Closed panes leave memory at every checkpoint; later rows for them are late.
          live.closedMs = () => watermarkMs;
          await live.checkpoint();
          if (start % 3 === 0) {
            const frontier = [{ partition: 0, origin: 0, end: segment.header.end }];
            live = await LiveDatasets.restore(options, frontier);
          }
        }
        const frontier = [{ partition: 0, origin: 0, end: records.length }];
        for (let startMs = window.offsetMs - 20; startMs < 60; startMs += 5) {
          if (window.kind === "tumbling" && startMs % 10 !== 0) continue;
          const span = { startMs, endMs: startMs + window.sizeMs };
          const made = await cut({ store, dataset, card, stream: "images", frontier, span, trigger: "test" });
          const found: string[][] = [];
          for await (const rows of made.classes) {
            found.push(
              Array.from({ length: rows.count }, (_, row) =>
                Buffer.from(rows.digest.subarray(row * 32, row * 32 + 32)).toString("hex"),
              ),
            );
          }
          assert.deepEqual(found, model(records, span, k));
          assert.deepEqual(made.span, span);
        }
      },
    ),
    { numRuns: 25 },
  );
});
