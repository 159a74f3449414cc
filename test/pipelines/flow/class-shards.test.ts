import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SeededRandom } from "../../../operators/training/seeded-random.js";
import { liveChain } from "../../../operators/archive/chain.js";
import { writeSegment } from "../../../operators/archive/segment-objects.js";
import { currentFrontier } from "../../../operators/archive/archive-reader.js";
import { cut } from "../../../operators/state/cut.js";
import { LiveDatasets } from "../../../pipelines/flow/live-datasets.js";
import { publishThresholds } from "../../../pipelines/kafka/publish-thresholds.js";
import { SegmentCandidates } from "../../../pipelines/kafka/segment-candidates.js";
import { ThresholdBoard } from "../../../pipelines/kafka/threshold-board.js";
import { datasetSchema, type Dataset } from "../../../schemas/dataset.js";
import type { LogRecord, StoredRecord } from "../../../schemas/image-record.js";
import type { Frontier } from "../../../schemas/frontier.js";
import { keys, type ChainName } from "../../../schemas/keys.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { decodeCandidates, encodeCandidates } from "../../../schemas/wire/candidates.js";
import { testCard, testSegment, type TestRecord } from "../../fixtures/archive.js";
import { openMemoryStore, type MemoryStore } from "../../fixtures/memory-store.js";
import { sortedRows, tiedLogits } from "../../fixtures/sorted-rows.js";

const CLASSES = 5;
const TOP_M = 4;
const card = testCard(CLASSES);
const teacher = teacherDigest(card);
const stream = "images";

const records: fc.Arbitrary<TestRecord[]> = fc.array(
  fc.integer({ min: 0, max: 300 }).map((image) => ({ image, logits: tiedLogits(image, CLASSES) })),
  { minLength: 20, maxLength: 120 },
);

class Topic {
  readonly records: StoredRecord[] = [];

  append(record: LogRecord): void {
    this.records.push({ ...record, offset: this.records.length });
  }

  /** As far as `ThresholdBoard` reads it */
  get log(): ConstructorParameters<typeof ThresholdBoard>[0]["log"] {
    const { records: all } = this;
    return {
      ends: () => Promise.resolve([{ start: 0, end: all.length }]),
      read: async function* (_topic, _partition, offset, { until }) {
        const end = (await until) ?? all.length;
        yield { records: all.slice(offset, end), end, logEnd: end };
      },
    };
  }
}

/** Scorers that prune, workers that share the classes, die, miss messages and read them twice; in a seeded order. */
class Site {
  readonly store = openMemoryStore();
  /** Panes' candidates that were sent with thresholds */
  prunedParts = 0;
  /** The archive's ends at several moments */
  readonly moments: Frontier[] = [];
  readonly #dataset: Dataset;
  readonly #shards: number;
  readonly #random: SeededRandom;
  readonly #candidates: Topic[];
  readonly #thresholds = new Topic();
  readonly #board: ThresholdBoard;
  readonly #sender: SegmentCandidates;
  readonly #workers = new Map<number, { live: LiveDatasets; position: number }>();
  readonly #committed: number[];
  readonly #left: { readonly chain: ChainName; readonly records: readonly TestRecord[]; at: number }[] = [];

  constructor(dataset: Dataset, shards: number, seed: number) {
    this.#dataset = dataset;
    this.#shards = shards;
    this.#random = new SeededRandom(seed);
    this.#candidates = Array.from({ length: shards }, () => new Topic());
    this.#committed = this.#candidates.map(() => 0);
    const common = { datasets: [dataset], teacher, stream, card, shards };
    let clock = 0;
    this.#board = new ThresholdBoard({
      ...common,
      log: this.#thresholds.log,
      topic: "thresholds",
      onWarning: (message) => assert.fail(message),
      nowMs: () => (clock += 1000),
    });
    this.#sender = new SegmentCandidates({
      ...common,
      thresholdsOf: (parameters, pane) => this.#board.of(parameters, pane),
    });
  }

  /** Any chain up to any segment: a checkpoint that waited for nothing would lack rows at some of them. */
  earlierFrontiers(count: number): Frontier[] {
    return Array.from({ length: count }, () =>
      this.#left.map(({ chain: { partition, origin } }) => ({
        partition,
        origin,
        end: this.#random.pick(this.moments).find((one) => one.partition === partition)?.end ?? origin,
      })),
    );
  }

  async run(partitions: readonly (readonly TestRecord[])[]): Promise<void> {
    for (const [partition, list] of partitions.entries()) {
      const chain = await liveChain(this.store, { teacher, stream, partition }, 0);
      this.#left.push({ chain, records: list, at: 0 });
    }
    while (this.#left.some(({ at, records }) => at < records.length)) await this.#step();
    for (let shard = 0; shard < this.#shards; shard++) while (await this.#take(shard));
  }

  async #step(): Promise<void> {
    const dice = this.#random.below(21);
    const shard = this.#random.below(this.#shards);
    if (dice < 5) await this.#archive();
    else if (dice < 13) await this.#take(shard);
    else if (dice < 16) await this.#checkpoint(shard);
    else if (dice === 16) this.#workers.delete(shard);
    else if (dice < 19) await this.#board.refresh();
    else await this.#loseNewestCheckpoint(shard);
  }

  async #archive(): Promise<void> {
    const left = this.#left.filter(({ at, records }) => at < records.length);
    const one = left[this.#random.below(left.length)];
    if (one === undefined) return;
    const records = one.records.slice(one.at, one.at + 1 + this.#random.below(8));
    const segment = testSegment(one.chain, one.at, records, TOP_M);
    one.at += records.length;
    assert.equal(await writeSegment(this.store, one.chain, segment), "created");
    this.moments.push(await currentFrontier(this.store, { teacher, stream }));
    for (const message of this.#sender.messagesOf(segment)) {
      const { length } = message.datasets[0]!.parts.filter(({ thresholdsAt }) => thresholdsAt !== null);
      this.prunedParts += length;
      this.#candidates[message.shard]!.append(encodeCandidates(message, 0));
    }
  }

  async #worker(shard: number): Promise<{ live: LiveDatasets; position: number }> {
    let worker = this.#workers.get(shard);
    if (worker === undefined) {
      const frontier = await currentFrontier(this.store, { teacher, stream });
      const place = { index: shard, count: this.#shards };
      const log = {
        append: (_topic: string, _partition: number, told: readonly LogRecord[]) => {
          for (const record of told) this.#thresholds.append(record);
          return Promise.resolve(0);
        },
      };
      const live = await LiveDatasets.restore(
        {
          store: this.store,
          datasets: [this.#dataset],
          teacher,
          stream,
          card,
          everySegments: 1_000,
          keep: 100,
          shard: place,
          onDurable: (durable) =>
            publishThresholds(durable, { log, topic: "thresholds", teacher, shard: place, nowMs: () => 0 }),
        },
        frontier,
      );
      worker = { live, position: this.#committed[shard]! };
      this.#workers.set(shard, worker);
    }
    return worker;
  }

  /** Takes the next message, or misses it, or reads some once more. */
  async #take(shard: number): Promise<boolean> {
    const worker = await this.#worker(shard);
    const record = this.#candidates[shard]!.records[worker.position];
    if (record === undefined) return false;
    worker.position++;
    const fate = this.#random.below(5);
    if (fate === 0) return true;
    await worker.live.onCandidates(decodeCandidates(record, { topic: "candidates", partition: shard }));
    if (fate === 1) worker.position = Math.max(0, worker.position - 3);
    return true;
  }

  async #checkpoint(shard: number): Promise<void> {
    const worker = await this.#worker(shard);
    const counts = worker.live.stateOf(this.#dataset).stateOf(0)?.counts() ?? [];
    assert.ok(
      counts.every((count, of) => count === 0 || of % this.#shards === shard),
      "another shard's classes",
    );
    if (await worker.live.checkpointIfComplete()) this.#committed[shard] = worker.position;
  }

  /** As a disk may: whoever restores has an older one, or none, and messages that the newer one had pruned. */
  async #loseNewestCheckpoint(shard: number): Promise<void> {
    const parameters = (await this.#worker(shard)).live.stateOf(this.#dataset).parameters;
    let newest: string | undefined;
    for await (const { key } of this.store.list(keys.checkpoints(parameters, { index: shard, count: this.#shards })))
      newest = key;
    if (newest !== undefined && this.#random.below(3) > 0) await this.store.delete(newest);
    this.#committed[shard] = 0;
    this.#workers.delete(shard);
  }
}

async function rowsOf(site: Site, dataset: Dataset, frontier: Frontier, checkpoints: boolean) {
  const made = await cut({ store: site.store, dataset, card, stream, frontier, trigger: "test", checkpoints });
  const all: { sha256: string; partition: number; offset: number }[][] = [];
  for await (const rows of made.classes) {
    all.push(
      Array.from({ length: rows.count }, (_, row) => ({
        sha256: Buffer.from(rows.digest.subarray(row * 32, row * 32 + 32)).toString("hex"),
        partition: rows.partition[row]!,
        offset: rows.offset[row]!,
      })),
    );
  }
  return { all, records: made.records, engines: made.engines };
}

test("class shards that prune, die and read twice give what sorting everything gives, at any number of them", async () => {
  let prunedParts = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(records, { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: TOP_M }),
      fc.nat(1_000_000),
      async (partitions, shards, k, p, seed) => {
        const dataset = datasetSchema.parse({ name: "d", select: { k, p }, reserve: 1 });
        const site = new Site(dataset, shards, seed);
        await site.run(partitions);
        const end = await currentFrontier(site.store, { teacher, stream });
        const found = await rowsOf(site, dataset, end, true);
        const expected = sortedRows(partitions, CLASSES, k, p).map((rows) =>
          rows.map(({ sha256, partition, offset }) => ({ sha256, partition, offset })),
        );
        assert.deepEqual(found.all, expected);
        for (const frontier of [end, ...site.earlierFrontiers(6)]) {
          const whole = await rowsOf(site, dataset, frontier, false);
          assert.deepEqual(await rowsOf(site, dataset, frontier, true), whole);
        }
        prunedParts += site.prunedParts;
      },
    ),
    { numRuns: 50 },
  );
  // Else the test has not seen what it is about.
  assert.ok(prunedParts > 100, `${prunedParts} parts were pruned`);
});

test("a state whose candidates were pruned by more than it covers is not made durable before it covers that", async () => {
  const store = openMemoryStore();
  const dataset = datasetSchema.parse({ name: "d", select: { k: 2, p: 1 }, reserve: 0 });
  const common = { datasets: [dataset], teacher, stream, card };
  const live = await LiveDatasets.restore({ ...common, store, everySegments: 100, keep: 2 }, []);
  const segments = await Promise.all(
    [0, 1].map(async (partition) => {
      const chain = await liveChain(store, { teacher, stream, partition }, 0);
      const made = Array.from({ length: 3 }, (_, image) => ({ image, logits: tiedLogits(image, CLASSES) }));
      return testSegment(chain, 0, made, TOP_M);
    }),
  );
  const keys = new Float64Array(CLASSES).fill(-Infinity);
  // The checkpoint of another worker, which had taken in all of partition 1.
  const at = [[{ partition: 1, origin: 0, end: 3 }]];
  const pruning = { keys, counts: new Uint32Array(CLASSES), at, records: 3, scored: 3 };
  const [first, second] = segments.map(
    (segment) => new SegmentCandidates({ ...common, shards: 1, thresholdsOf: () => pruning }).messagesOf(segment)[0]!,
  );
  assert.equal(await live.onCandidates(first!), true);
  assert.equal(await live.checkpointIfComplete(), false);
  assert.deepEqual(await listed(store, "checkpoints/"), []);
  assert.equal(await live.onCandidates(second!), true);
  assert.equal(await live.checkpointIfComplete(), true);
  assert.equal((await listed(store, "checkpoints/")).filter((key) => key.includes("/at/")).length, 1);
});

async function listed(store: MemoryStore, prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of store.list(prefix)) found.push(key);
  return found;
}
