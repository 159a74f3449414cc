import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import type { Assignment } from "../../connectors/log/log.js";
import type { Store } from "../../connectors/store/store.js";
import { liveChain } from "../../operators/archive/chain.js";
import { writeSegment } from "../../operators/archive/segment-objects.js";
import { currentFrontier } from "../../operators/archive/archive-reader.js";
import { cut } from "../../operators/state/cut.js";
import type { Downstream } from "../../pipelines/flow/downstream.js";
import { datasetSchema, type Dataset } from "../../schemas/dataset.js";
import type { Frontier } from "../../schemas/frontier.js";
import type { ChainName } from "../../schemas/keys.js";
import { teacherDigest } from "../../schemas/model-card.js";
import type { Segment } from "../../schemas/segment.js";
import { testCard, testSegment, type TestRecord } from "../fixtures/archive.js";
import { openMemoryStore } from "../fixtures/memory-store.js";
import { sortedRows, tiedLogits } from "../fixtures/sorted-rows.js";

export const CLASSES = 5;
export const CARD = testCard(CLASSES);
const TEACHER = teacherDigest(CARD);
const TOP_M = 4;

/** Where downstreams are tried: a store, and what stands behind them. */
export interface DownstreamSite {
  readonly stream: string;
  open(frontier: Frontier): Promise<Downstream>;
  /** Settles when what was taken is durable, and the downstream knows. */
  settle(downstream: Downstream): Promise<void>;
  close(): Promise<void>;
}

export interface DownstreamUnderTest {
  readonly name: string;
  /** Why it cannot run here, or false */
  readonly skip?: string | false;
  readonly site: (store: Store, datasets: readonly Dataset[]) => Promise<DownstreamSite>;
  readonly afterwards?: () => Promise<void>;
}

/** A partition that was given to a scorer whose group had committed so far; commits are noted. */
export function givenAt(
  committed: number | null,
  commits: number[] = [],
  signal = new AbortController().signal,
): Assignment {
  return {
    partition: 0,
    signal,
    read: () => assert.fail("what is archived is read from the archive, not from the log"),
    committed: () => Promise.resolve(committed),
    commit: (offset) => {
      commits.push(offset);
      return Promise.resolve();
    },
  };
}

/** Images of a partition that many tie, repeat, and now and then are none. */
const recordsOf = (partition: number, count: number): TestRecord[] =>
  Array.from({ length: count }, (_, at) => {
    const image = (at * 13 + partition * 7) % 40;
    return at % 11 === 10 ? { refused: "no image" } : { image, logits: tiedLogits(image, CLASSES) };
  });

interface Written {
  readonly chain: ChainName;
  readonly segment: Segment;
}

/** What follows scoring keeps, however it does so. */
export function downstreamConformance({ name, skip = false, site: openSite, afterwards }: DownstreamUnderTest): void {
  describe(`downstream ${name}`, { skip }, () => {
    after(() => afterwards?.());

    /** Runs `body` over a site with an archive that grows as it says. */
    async function over(
      datasets: readonly Dataset[],
      body: (tried: {
        readonly site: DownstreamSite;
        readonly store: Store;
        readonly archive: (partition: number, records: readonly TestRecord[]) => Promise<Written>;
        readonly frontier: () => Promise<Frontier>;
      }) => Promise<void>,
    ): Promise<void> {
      const store = openMemoryStore();
      const site = await openSite(store, datasets);
      const { stream } = site;
      const ends = new Map<number, number>();
      try {
        await body({
          site,
          store,
          archive: async (partition, records) => {
            const chain = await liveChain(store, { teacher: TEACHER, stream, partition }, 0);
            const segment = testSegment(chain, ends.get(partition) ?? 0, records, TOP_M);
            ends.set(partition, segment.header.end);
            assert.equal(await writeSegment(store, chain, segment), "created");
            return { chain, segment };
          },
          frontier: () => currentFrontier(store, { teacher: TEACHER, stream }),
        });
      } finally {
        await site.close();
      }
    }

    const GLOBAL = datasetSchema.parse({ name: "d", select: { k: 3, p: 2 }, reserve: 1 });
    const partitions = [recordsOf(0, 30), recordsOf(1, 23)];
    const parts = (records: readonly TestRecord[], length: number): TestRecord[][] =>
      Array.from({ length: Math.ceil(records.length / length) }, (_, at) =>
        records.slice(at * length, (at + 1) * length),
      );

    /** The K + R best rank keys of each class are above what is left out, and the last of them is the threshold. */
    function assertThresholds(found: ArrayLike<number> | null, rows: readonly { readonly key: number }[][]): void {
      assert.notEqual(found, null);
      rows.forEach((best, index) => {
        const least = best.length < 4 ? Number.NEGATIVE_INFINITY : best.at(-1)!.key;
        assert.ok(
          found![index] === least || Math.abs(found![index]! - least) < 1e-5,
          `class ${index}: ${found![index]}, expected ${least}`,
        );
      });
    }

    test("before anything is durable, everything is wanted", async () => {
      await over([GLOBAL], async ({ site, archive }) => {
        const downstream = await site.open([]);
        const wantsAll = (): void => {
          const [keeper] = downstream.keepers();
          assert.equal(keeper!.dataset, "d");
          assert.equal(keeper!.thresholdsAt, null);
          assert.equal(keeper!.thresholdsFor(1_000), null);
        };
        wantsAll();
        assert.deepEqual(downstream.fill(), { kept: 0, fill: undefined });
        await downstream.take((await archive(0, recordsOf(0, 3))).segment);
        wantsAll();
      });
    });

    test("what is taken becomes durable: thresholds, fill and checkpoints are those of sorting everything", async () => {
      await over([GLOBAL], async ({ site, store, archive, frontier }) => {
        const downstream = await site.open([]);
        for (const [partition, records] of partitions.entries()) {
          for (const part of parts(records, 7)) await downstream.take((await archive(partition, part)).segment);
        }
        await site.settle(downstream);
        const [keeper] = downstream.keepers();
        assert.equal(keeper!.thresholdsAt, 53);
        assertThresholds(keeper!.thresholdsFor(1_000), sortedRows(partitions, CLASSES, 4, 2));
        const best = sortedRows(partitions, CLASSES, 3, 2);
        const full = best.filter((rows) => rows.length === 3).length;
        assert.deepEqual(downstream.fill(), {
          kept: best.reduce((sum, rows) => sum + rows.length, 0),
          fill: { full, starving: CLASSES - full, classes: CLASSES },
        });
        let read = 0;
        const { stream } = site;
        const options = { store, dataset: GLOBAL, card: CARD, stream, frontier: await frontier(), trigger: "test" };
        const made = await cut({ ...options, onSegment: () => read++ });
        const rows: { partition: number; offset: number }[][] = [];
        for await (const one of made.classes) {
          rows.push(
            Array.from({ length: one.count }, (_, row) => ({
              partition: one.partition[row]!,
              offset: one.offset[row]!,
            })),
          );
        }
        assert.deepEqual(
          rows,
          best.map((of) => of.map(({ partition, offset }) => ({ partition, offset }))),
        );
        assert.equal(read, 0, "segments that the checkpoints do not cover");
      });
    });

    test("what is taken twice, or caught up with and taken, counts once", async () => {
      await over([GLOBAL], async ({ site, archive }) => {
        const downstream = await site.open([]);
        const written: Written[] = [];
        for (const part of parts(partitions[0]!, 9)) written.push(await archive(0, part));
        const [first, second, ...rest] = written;
        await downstream.take(first!.segment);
        await downstream.take(first!.segment);
        await downstream.catchUp(second!.chain, second!.segment.header.end, givenAt(0));
        for (const { segment } of [second!, ...rest]) await downstream.take(segment);
        await site.settle(downstream);
        const [keeper] = downstream.keepers();
        assert.equal(keeper!.thresholdsAt, 30);
        assertThresholds(keeper!.thresholdsFor(1_000), sortedRows([partitions[0]!], CLASSES, 4, 2));
      });
    });

    test("what another scorer has archived is caught up with", async () => {
      await over([GLOBAL], async ({ site, archive }) => {
        const downstream = await site.open([]);
        const [first, second, third] = parts(partitions[0]!, 10);
        await downstream.take((await archive(0, first!)).segment);
        const { chain, segment } = await archive(0, second!);
        await downstream.catchUp(chain, segment.header.end, givenAt(10));
        await downstream.take((await archive(0, third!)).segment);
        await site.settle(downstream);
        const [keeper] = downstream.keepers();
        assert.equal(keeper!.thresholdsAt, 30);
        assertThresholds(keeper!.thresholdsFor(1_000), sortedRows([partitions[0]!], CLASSES, 4, 2));
      });
    });

    test("one that is opened anew stands where the one before was closed", async () => {
      await over([GLOBAL], async ({ site, archive, frontier }) => {
        const before = await site.open([]);
        for (const part of parts(partitions[0]!, 8)) await before.take((await archive(0, part)).segment);
        await before.close();
        await site.settle(before);
        const anew = await site.open(await frontier());
        await site.settle(anew);
        const keys = (of: Downstream): number[][] =>
          of.keepers().map((keeper) => [...(keeper.thresholdsFor(1_000) ?? [])]);
        assert.deepEqual(keys(anew), keys(before));
        assert.deepEqual(anew.keepers()[0]!.thresholdsAt, 30);
        assert.deepEqual(anew.fill(), before.fill());
      });
    });

    test("panes and datasets are apart, and what lies before a window's start is wanted by nobody", async () => {
      const panes = datasetSchema.parse({
        name: "panes",
        select: { k: 3, p: 2 },
        reserve: 1,
        window: { kind: "tumbling", sizeMs: 10 },
        // Or the panes that have ended would have left memory.
        allowedLatenessMs: 1_000,
      });
      const later = datasetSchema.parse({
        name: "later",
        select: { k: 1, p: 1 },
        window: { kind: "global", startMs: 1_010 },
      });
      await over([panes, later], async ({ site, archive }) => {
        const downstream = await site.open([]);
        for (const part of parts(partitions[0]!, 7)) await downstream.take((await archive(0, part)).segment);
        await site.settle(downstream);
        const [byPane, since] = downstream.keepers();
        // Event time is 1000 ms and the offset.
        for (const startMs of [1_000, 1_010, 1_020]) {
          const inPane = partitions[0]!.map((record, offset) =>
            offset >= startMs - 1_000 && offset < startMs - 990 ? record : { refused: "another pane's" },
          );
          assertThresholds(byPane!.thresholdsFor(startMs + 5), sortedRows([inPane], CLASSES, 4, 2));
        }
        assert.equal(byPane!.thresholdsFor(9_000), null);
        assert.equal(since!.thresholdsFor(1_009)!.length, 0);
        assert.equal(since!.thresholdsFor(1_010)!.length, CLASSES);
      });
    });
  });
}
