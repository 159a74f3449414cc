import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { liveChain } from "../../../operators/archive/chain.js";
import { appendLabels } from "../../../operators/archive/image-labels.js";
import { writeSegment } from "../../../operators/archive/segment-objects.js";
import { saveCard } from "../../../operators/archive/teacher-registry.js";
import { HeldSelection } from "../../../pipelines/console/held-selection.js";
import { HeldSelections, type AskedSelection, type HeldAnswer } from "../../../pipelines/console/held-selections.js";
import { ClassWalls } from "../../../pipelines/console/wall/class-wall.js";
import { IndexGroups } from "../../../pipelines/versions/index-groups.js";
import { rebuildPlace } from "../../../pipelines/versions/rebuild-place.js";
import { datasetSchema, type Dataset } from "../../../schemas/dataset.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { imageDigest, testCard, testSegment, type TestRecord } from "../../fixtures/archive.js";
import { gatedStore, type GatedStore } from "../../fixtures/gated-store.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";
import { tiedLogits } from "../../fixtures/sorted-rows.js";

const CLASSES = 4;
const stream = "images";
const DAY_MS = 86_400_000;
const sha256Of = (image: number): string => Buffer.from(imageDigest(image)).toString("hex");

interface Site extends GatedStore {
  readonly card: AskedSelection["card"];
  readonly held: HeldSelections;
  atMs: number;
  /** Archives images on, a segment of each length */
  archive(from: number, count: number, length: number, eventTimeMs?: (offset: number) => number): Promise<void>;
  ask(dataset: Dataset, k?: number): Promise<HeldAnswer>;
  /** Asks as a page does, until nothing is read */
  settled(dataset: Dataset, k?: number): Promise<HeldAnswer>;
}

async function makeSite(maxStateBytes = 2 ** 30): Promise<Site> {
  const gated = gatedStore(openMemoryStore());
  const { store } = gated;
  const teacher = testCard(CLASSES);
  const { card } = await saveCard(store, teacher);
  const chain = await liveChain(store, { teacher: teacherDigest(teacher), stream, partition: 0 }, 0);
  let end = 0;
  const { signal } = new AbortController();
  const held = new HeldSelections({ store, maxStateBytes, nowMs: () => site.atMs, onChange: () => undefined, signal });
  const site: Site = {
    ...gated,
    card,
    held,
    atMs: 0,
    async archive(from, count, length, eventTimeMs) {
      const records = Array.from({ length: count }, (_, at): TestRecord => ({
        image: from + at,
        logits: tiedLogits(from + at, CLASSES),
      }));
      const options = eventTimeMs === undefined ? {} : { eventTimeMs };
      for (let at = 0; at < count; at += length) {
        const part = records.slice(at, at + length);
        await writeSegment(store, chain, testSegment(chain, end, part, CLASSES, options));
        end += part.length;
      }
    },
    ask: (dataset, k) => held.ask({ dataset, card, stream, k }),
    async settled(dataset, k) {
      for (;;) {
        const answer = await site.ask(dataset, k);
        if (answer.reading === null) return answer;
        await turn();
      }
    },
  };
  return site;
}

const turn = (): Promise<void> => new Promise((done) => setTimeout(done, 2));

/** Waits until something holds, however slow the machine is. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}

const datasetOf = (name: string, more: object = {}): Dataset =>
  datasetSchema.parse({ name, select: { k: 5, p: 2 }, reserve: 100, ...more });

describe("rankings that are held", () => {
  test("answer while they follow, from the rows that have come so far", { timeout: 30_000 }, async () => {
    const site = await makeSite();
    const { store, card } = site;
    await site.archive(0, 14, 7);
    const dataset = datasetOf("d");
    const before = await rebuildPlace(store, { teacher: teacherDigest(card), stream }, dataset, {}, {});
    const options = { store, dataset, card, stream, span: before.span, maxStateBytes: 2 ** 30 };
    const held = await HeldSelection.open(options, before.frontier, [], () => undefined);
    const walls = new ClassWalls(store, new IndexGroups(store), stream, () => 0);
    const page = () =>
      walls.ofArchive(held, 1, null, { from: 0, limit: 100, k: 5, filter: { show: "all", source: "file:///0/" } });
    const first = await page();
    await site.archive(14, 14, 7);
    const after = await rebuildPlace(store, { teacher: teacherDigest(card), stream }, dataset, {}, {});
    site.close(/0*21\b/);
    const following = held.follow(after.frontier);
    await until(() => site.waiting() > 0 && held.records === 21);
    const [half, halfCurve] = [await page(), await held.curve()];
    assert.ok(half.total > first.total);
    assert.equal(half.shown, half.total, "each row has its image");
    site.open();
    await following;
    const whole = await page();
    assert.ok(whole.total > half.total);
    assert.equal(whole.shown, whole.total);
    const curve = await held.curve();
    assert.ok(curve.at(100)!.rows > halfCurve.at(100)!.rows);
    assert.equal(held.records, 28);
  });

  test("are each dataset's own, though their parameters are the same", { timeout: 30_000 }, async () => {
    const site = await makeSite();
    await site.archive(0, 14, 7);
    const [one, other] = [await site.settled(datasetOf("one")), await site.settled(datasetOf("other"))];
    assert.deepEqual([one.held!.dataset.name, other.held!.dataset.name], ["one", "other"]);
  });

  test("follow one at a time, and those who ask meanwhile join", { timeout: 30_000 }, async () => {
    const site = await makeSite();
    await site.archive(0, 14, 7);
    const dataset = datasetOf("d");
    await site.settled(dataset);
    await site.archive(14, 7, 7);
    site.close(/0*14\b/);
    for (let second = 0; second < 5; second++) {
      site.atMs += 2000;
      const { held } = await site.ask(dataset);
      assert.equal(held!.records, 14, "the ranking of a moment ago");
    }
    assert.equal(site.waiting(), 1, "follows pile up");
    site.open();
    site.atMs += 2000;
    for (;;) {
      const { held } = await site.ask(dataset);
      if (held!.records === 21) break;
      site.atMs += 2000;
      await turn();
    }
  });

  test("are read one at a time, and none that is read is let go", { timeout: 30_000 }, async () => {
    const site = await makeSite();
    await site.archive(0, 14, 7);
    const datasets = Array.from({ length: 4 }, (_, at) => datasetOf(`d${at}`));
    site.close(/scores\//);
    let most = 0;
    for (let round = 0; round < 2; round++) {
      for (const dataset of datasets) {
        const { held, reading } = await site.ask(dataset);
        assert.deepEqual([held, reading?.what], [null, `ranking ${dataset.name}`]);
        most = Math.max(most, site.waiting());
      }
    }
    assert.equal(most, 1, "readings at once");
    site.open();
    const first = new Map<string, HeldSelection>();
    for (const dataset of datasets) first.set(dataset.name, (await site.settled(dataset)).held!);
    for (const dataset of datasets) assert.equal((await site.ask(dataset)).held, first.get(dataset.name));
  });

  test(
    "are read no further where nobody asks for them and others wait; what is asked for is read",
    { timeout: 30_000 },
    async () => {
      const site = await makeSite();
      await site.archive(0, 14, 7);
      site.close(/scores\//);
      await site.ask(datasetOf("left"));
      await site.ask(datasetOf("wanted"));
      site.atMs += 60_000;
      const asked = site.ask(datasetOf("wanted"));
      site.open();
      await asked;
      assert.notEqual((await site.settled(datasetOf("wanted"))).held, null);
      const left = await site.ask(datasetOf("left"));
      assert.equal(left.refused, null);
      assert.notEqual((await site.settled(datasetOf("left"))).held, null, "who comes back is answered");
    },
  );

  test("take no more memory together than they may", { timeout: 30_000 }, async () => {
    const site = await makeSite(200_000);
    await site.archive(0, 14, 7);
    const large = await site.settled(datasetOf("large", { reserve: 5000 }));
    assert.match(large.refused!, /Expected a ranking that fits into 100000 bytes/);
    const one = await site.settled(datasetOf("one", { reserve: 300 }));
    await site.settled(datasetOf("two", { reserve: 300 }));
    await site.settled(datasetOf("three", { reserve: 300 }));
    await site.settled(datasetOf("four", { reserve: 300 }));
    assert.notEqual(
      (await site.settled(datasetOf("one", { reserve: 300 }))).held,
      one.held,
      "it was let go, and read again",
    );
  });

  test(
    "heed what was said at once, also while a deeper one is read; a verdict does not wait for that",
    { timeout: 30_000 },
    async () => {
      const site = await makeSite();
      await site.archive(0, 28, 7);
      const dataset = datasetOf("d", { reserve: 2 });
      const { held } = await site.settled(dataset);
      const rows = async (of: HeldSelection): Promise<string[]> => {
        const { retracted, rows: standing } = await of.standing(1);
        return [String(retracted), String(standing.count)];
      };
      assert.equal((await rows(held!))[0], "0");
      site.close(/scores\//);
      const deeper = await site.ask(dataset, 20);
      assert.match(deeper.reading!.what, /down to rank 40/);
      await until(() => site.waiting() > 0);
      const images = Array.from({ length: 28 }, (_, image) => ({
        sha256: sha256Of(image),
        verdict: "not" as const,
        class: "class 1",
        timeMs: 1,
        by: "anna",
      }));
      await appendLabels(site.store, stream, images);
      site.held.refresh();
      const said = await site.ask(dataset, 20);
      assert.equal(said.held, held);
      assert.notEqual((await rows(said.held!))[0], "0", "the image goes");
      site.open();
      const deep = await site.settled(dataset, 20);
      assert.notEqual(deep.held, held);
      assert.notEqual((await rows((await site.ask(dataset, 20)).held!))[0], "0", "of the deeper one, too");
    },
  );

  test("of a windowed dataset go on to the window of now", { timeout: 30_000 }, async () => {
    const site = await makeSite();
    const dataset = datasetOf("daily", { window: { kind: "tumbling", sizeMs: DAY_MS } });
    await site.archive(0, 14, 7, () => 5);
    const first = await site.settled(dataset);
    assert.deepEqual(first.held!.span, { startMs: 0, endMs: DAY_MS });
    await site.archive(14, 7, 7, () => DAY_MS + 5);
    site.atMs += 2000;
    await site.ask(dataset);
    let next = await site.settled(dataset);
    for (; next.held === first.held; next = await site.settled(dataset)) site.atMs += 2000;
    const now = await rebuildPlace(site.store, { teacher: teacherDigest(site.card), stream }, dataset, {}, {});
    assert.deepEqual(next.held!.span, now.span);
    assert.deepEqual(next.held!.span, { startMs: DAY_MS, endMs: 2 * DAY_MS });
  });

  test("are refused so far down alone: those who ask for less are answered", { timeout: 30_000 }, async () => {
    const site = await makeSite(2 ** 20);
    await site.archive(0, 28, 7);
    const dataset = datasetOf("d", { select: { k: 2, p: 2 }, reserve: 0 });
    const much = await site.settled(dataset, 2 ** 29);
    assert.notEqual(much.refused, null);
    assert.notEqual(much.held, null, "and has the dataset's own K meanwhile");
    const { held, refused } = await site.ask(dataset);
    assert.deepEqual([held, refused], [much.held, null]);
  });
});
