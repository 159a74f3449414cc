import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ArchiveReader, currentFrontier } from "../../../operators/archive/archive-reader.js";
import { ChainReader } from "../../../operators/archive/chain-reader.js";
import { liveChain } from "../../../operators/archive/chain.js";
import { NO_RECORDS, sumOfCounts } from "../../../operators/archive/run-index.js";
import { writeSegment } from "../../../operators/archive/segment-objects.js";
import { writeCheckpoint } from "../../../operators/state/checkpoint.js";
import { cut } from "../../../operators/state/cut.js";
import { DatasetState } from "../../../operators/topk/dataset-state.js";
import { versionId } from "../../../operators/version/publish.js";
import { declareLost } from "../../../pipelines/declare-lost.js";
import { verifyArchive } from "../../../pipelines/versions/verify-archive.js";
import { isSluiceError } from "../../../schemas/errors.js";
import type { Segment } from "../../../schemas/segment.js";
import { noRows } from "../../../schemas/run-columns.js";
import { archivedStream, type ArchivedStream } from "../../fixtures/archived-stream.js";
import { allSegments, compactAt, DATASET } from "../../fixtures/compacting.js";
import { openMemoryStore, type MemoryStore } from "../../fixtures/memory-store.js";

/** Compacted so often before and after the damage, with or without what lies below a run still there. */
const histories = fc.record({
  records: fc.integer({ min: 11, max: 90 }),
  seed: fc.integer({ min: 1, max: 1000 }),
  before: fc.integer({ min: 0, max: 2 }),
  after: fc.integer({ min: 0, max: 2 }),
  hits: fc.array(fc.record({ object: fc.nat(), at: fc.nat(), gone: fc.boolean() }), { minLength: 1, maxLength: 3 }),
});

/** Objects of the archive that chains are read from. */
function archiveKeys(store: MemoryStore): string[] {
  return [...store.objects.keys()].filter((key) => /\.(arrow|parquet|jsonl)$/.test(key)).sort();
}

async function cutOf(store: MemoryStore, { teacher, stream, card }: ArchivedStream, checkpoints: boolean) {
  const frontier = await currentFrontier(store, { teacher, stream });
  const made = await cut({ store, dataset: DATASET, card, stream, frontier, trigger: "test", checkpoints });
  return { id: await versionId(made), records: made.records };
}

/** The slow model: a new archive of the same segments, those of lost offsets without rows. */
async function modelOf(archive: ArchivedStream, segments: readonly Segment[]): Promise<MemoryStore> {
  const store = openMemoryStore();
  const [chain] = archive.chains;
  await liveChain(store, chain!, 0);
  for (const segment of segments) await writeSegment(store, chain!, segment);
  return store;
}

test("damage anything, declare it lost: every reader agrees with an archive that never had those rows", async () => {
  await fc.assert(
    fc.asyncProperty(histories, async ({ records, seed, before, after, hits }) => {
      const archive = await archivedStream({ records: [records], length: 6, seed });
      const { store, chains, teacher, stream, card } = archive;
      const [chain] = chains;
      const whole = await allSegments(store, chains);
      const live = new DatasetState({ dataset: DATASET, teacher, stream, card });
      for (const segment of whole) live.apply(segment);
      await writeCheckpoint(store, live, new Map(), new Map());
      for (let day = 0; day < before; day++) await compactAt(store, archive, day);

      for (const { object, at, gone } of hits) {
        const all = archiveKeys(store);
        if (all.length === 0) break;
        const key = all[object % all.length]!;
        const bytes = Buffer.from(store.objects.get(key)!);
        bytes[at % bytes.length]! ^= 4;
        if (gone && key.endsWith(".arrow")) store.objects.delete(key);
        else store.objects.set(key, bytes);
      }
      for (let round = 0; round < 8; round++) {
        const report = await verifyArchive({ store, stream, teachers: [teacher], datasets: [] });
        const targetsNow = report.damaged.filter(({ range }) => range !== null).map(({ key }) => key!);
        if (targetsNow.length === 0) break;
        const key = targetsNow[0]!;
        const options = { store, stream, teachers: [teacher], datasets: [], target: key, reason: "flipped" };
        const said = { author: "a test", nowMs: 0 };
        await declareLost({ ...options, ...said, dryRun: true });
        const [one] = await declareLost({ ...options, ...said, dryRun: false });
        assert.ok(one!.end > one!.start && one!.records <= one!.end - one!.start);
      }
      for (let day = 0; day < after; day++) await compactAt(store, archive, before + day);

      const lost = await new ArchiveReader(store, archive).lostRanges();
      const reader = new ChainReader(store, chain!);
      const read = await allSegments(store, chains);
      const isLost = (offset: number): boolean => lost.some(({ start, end }) => start <= offset && offset < end);
      // What is not lost is as it was; what is lost has no rows.
      const rest = whole.filter(({ header }) => !isLost(header.start) && header.start < (read.at(-1)?.header.end ?? 0));
      assert.deepEqual(
        read.filter(({ header }) => !isLost(header.start)).map(({ header }) => header),
        rest.map(({ header }) => header),
      );
      for (const { header, batch } of read) {
        const { counts } = header;
        assert.equal(counts.in, counts.scored + counts.copied + counts.quarantined + counts.lost);
        if (isLost(header.start)) assert.equal(batch.count + counts.scored + counts.copied, 0);
      }
      const end = await reader.end();
      const sum = read.reduce((counts, { header }) => sumOfCounts(counts, header.counts), NO_RECORDS);
      assert.deepEqual((await reader.totalsAt(end)).counts, sum);
      const quarantined = Object.values((await reader.quarantined()).open).reduce((all, count) => all + count, 0);
      assert.equal(quarantined, sum.quarantined);
      for (const { batch } of whole) {
        for (const offset of [...batch.offset].map(Number)) {
          if (offset >= (await reader.runs.end())) continue;
          const row = await reader.runRow(offset).catch((error: unknown) => {
            if (isSluiceError(error, "E_SEGMENT_CORRUPT")) return "damaged";
            throw error;
          });
          assert.equal(row === null, isLost(offset), `row ${offset}`);
        }
      }
      const model = await modelOf(
        archive,
        read.map(({ header, batch }) => ({
          header,
          batch: isLost(header.start)
            ? noRows(5)
            : (whole.find((one) => one.header.start === header.start)?.batch ?? batch),
        })),
      );
      const expected = await cutOf(model, archive, false);
      assert.deepEqual(await cutOf(store, archive, false), expected);
      assert.deepEqual(await cutOf(store, archive, true), expected, "no checkpoint with lost rows is used");
    }),
    {
      numRuns: Number(process.env["LOST_RUNS"] ?? 12),
      endOnFailure: true,
      // The offset in one row's record
      examples: [
        [{ records: 19, seed: 212, before: 1, after: 0, hits: [{ object: 253136554, at: 1080560405, gone: false }] }],
      ],
    },
  );
});
