import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import kafkajs from "kafkajs";
import { Coverage } from "../../../operators/state/coverage.js";
import { newestCoverage, writeCheckpoint } from "../../../operators/state/checkpoint.js";
import { ArchiveReader, currentFrontier } from "../../../operators/archive/archive-reader.js";
import { DatasetState } from "../../../operators/topk/dataset-state.js";
import { freePort } from "../../../deploy/local/server-process.js";
import { parametersDigest } from "../../../operators/select/numbered-selection.js";
import { datasetSchema } from "../../../schemas/dataset.js";
import { decodeThresholds, type Thresholds } from "../../../schemas/wire/thresholds.js";
import { cannotStart } from "../../deploy/local/require-service.js";
import { fillState } from "../../fixtures/filled-state.js";
import { KafkaSite } from "../../fixtures/kafka-site.js";
import { startedServices } from "../../fixtures/started-services.js";

const seeds = (from: number, count: number): number[] => Array.from({ length: count }, (_, at) => from + at);
const SHARDS = 2;
const DATASET = { name: "best", select: { k: 5, p: 3 }, reserve: 1 };
const OPTIONS = {
  settings: { SLUICE_KAFKA__SHARDS: String(SHARDS), SLUICE_CHECKPOINT__EVERY_SEGMENTS: "2" },
  dataset: DATASET,
};
const WORKER = ["topk", "--checkpoint-every", "1s"];

/** By hand: SLUICE_TOPK_CLASSES=1000 SLUICE_TOPK_K=16000, on an idle machine, which wants the 10 seconds kept */
const BY_HAND = process.env["SLUICE_TOPK_K"] !== undefined;
const CLASSES = Number(process.env["SLUICE_TOPK_CLASSES"] ?? 20);
const K = Number(process.env["SLUICE_TOPK_K"] ?? 100);
const MOST_MS = 10_000;

describe("top-K workers", { skip: (await cannotStart("kafka")) || (await cannotStart("minio")) }, () => {
  const services = startedServices();

  /** Records that the checkpoints of all shards cover, the furthest of them; 0 while a shard has none */
  async function checkpointed(site: KafkaSite): Promise<number> {
    const place = { teacher: site.teacher, stream: site.stream };
    const parameters = parametersDigest(datasetSchema.parse(DATASET), place.teacher, place.stream, { labels: [] });
    const newest = await newestCoverage(site.store, parameters, await currentFrontier(site.store, place), []);
    return newest === null ? 0 : new Coverage(newest.coverage).records.in;
  }

  /** The newest thresholds of each shard */
  async function thresholds(site: KafkaSite): Promise<Map<number, Thresholds>> {
    const place = { topic: site.topic("thresholds"), partition: 0 };
    const newest = new Map<number, Thresholds>();
    for (const record of await site.everything(place.topic, 0)) {
      const one = decodeThresholds(record, place);
      if (one !== null) newest.set(one.shard, one);
    }
    return newest;
  }

  /** What `versions` says of a version cut now, and of the same frontier cut without any checkpoint */
  async function assertExact(site: KafkaSite): Promise<void> {
    const made = await site.sluice("rebuild", "--json");
    assert.equal(made.code, 0, made.stderr);
    const again = await site.sluice("reproduce", "latest", "--json");
    assert.equal(again.code, 0, again.stdout + again.stderr);
  }

  test("a standby takes over the shards of one that is killed, and prunes what a full class does not need", async (t) => {
    const site = await KafkaSite.open(t, services, OPTIONS);
    site.scorer("scorer-1");
    const first = site.run(WORKER);
    await site.put(0, seeds(0, 60));
    await site.until("a checkpoint of all", async () => ((await checkpointed(site)) === 60 ? true : null));
    const standby = site.run(WORKER);
    await first.end("SIGKILL");
    await site.until("the standby to say so", () =>
      Promise.resolve(/shard 0 of 2: ready after [\d.]+ s, over 60 records/.test(standby.said) ? true : null),
    );
    await site.put(1, seeds(1000, 60));
    await site.until("a checkpoint of all", async () => ((await checkpointed(site)) === 120 ? true : null));
    // The furthest shard has a checkpoint of all; the other one's comes.
    const known = await site.until("both shards' thresholds of all", async () => {
      const found = await thresholds(site);
      return [...found.values()].filter(({ records }) => records === 120).length === SHARDS ? found : null;
    });
    assert.deepEqual([...known.keys()].sort(), [0, 1]);
    for (const { records, counts, keys: least } of known.values()) {
      assert.equal(records, 120);
      assert.equal(counts.length, 5);
      // K + R of them are kept, and such a class has a threshold.
      counts.forEach((count, at) => {
        assert.equal(count === 6, least[at]! > Number.NEGATIVE_INFINITY);
      });
    }
    assert.ok([...known.values()].some(({ counts }) => counts.some((count) => count === 6)));
    await assertExact(site);
    for (const process of site.processes) if (process !== first) assert.equal(await process.end("SIGINT"), 0);
  });

  test("garbage between the candidates, and a candidates topic that was made anew, cost nothing", async (t) => {
    const site = await KafkaSite.open(t, services, OPTIONS);
    site.scorer("scorer-1");
    const worker = site.run(WORKER);
    await site.put(0, seeds(0, 30));
    await site.until("a checkpoint", async () => ((await checkpointed(site)) === 30 ? true : null));
    const candidates = site.topic("candidates");
    const garbage = { key: null, value: Buffer.from("none"), headers: {}, timestampMs: Date.now() };
    for (let shard = 0; shard < SHARDS; shard++) await site.log.append(candidates, shard, [garbage]);
    await site.put(0, seeds(100, 30));
    await site.until("a checkpoint behind it", async () => ((await checkpointed(site)) === 60 ? true : null));
    assert.match(worker.said, /It is passed over, and the archive read instead/);

    const admin = new kafkajs.Kafka({ brokers: [services.kafka.address], logLevel: kafkajs.logLevel.NOTHING }).admin();
    await admin.connect();
    try {
      await admin.deleteTopics({ topics: [candidates] });
      await site.until("its end", async () => ((await admin.listTopics()).includes(candidates) ? null : true));
      assert.equal((await site.sluice("topics", "create")).code, 0);
    } finally {
      await admin.disconnect();
    }
    await site.put(1, seeds(200, 30));
    await site.until("a checkpoint of all", async () => ((await checkpointed(site)) === 90 ? true : null));
    assert.match(worker.said, /was deleted and made anew|Its states are restored from checkpoints and the archive/);
    await assertExact(site);
  });

  test("what a replay archives of the same teacher is in the states, though nobody tells of it", async (t) => {
    const site = await KafkaSite.open(t, services, OPTIONS);
    await site.put(0, seeds(0, 40));
    const worker = site.run([...WORKER, "--teacher", "teacher"]);
    const replayed = await site.sluice(
      "replay",
      "--teacher",
      "teacher",
      "--data",
      "replay-1",
      "--until-offset",
      "0:40",
    );
    assert.equal(replayed.code, 0, replayed.stderr);
    await site.until("a checkpoint of it", async () => ((await checkpointed(site)) === 40 ? true : null));
    assert.equal(await worker.end("SIGINT"), 0);
  });

  test("a `filled` trigger fires by what the workers count", async (t) => {
    const site = await KafkaSite.open(t, services, {
      ...OPTIONS,
      dataset: { ...DATASET, trigger: { filled: 0.5 } },
    });
    for (const args of [["score", "--data", "scorer-1"], WORKER, ["publish"]]) site.run(args);
    for (let round = 0; ; round++) {
      await site.put(round % 2, seeds(round * 100, 50));
      await site.committed();
      const shown = await site.sluice("versions", "show", "latest", "--json");
      if (shown.code === 0) break;
      assert.ok(round < 10, "half of the classes were never full");
    }
    await site.until("the version to be told", async () =>
      (await site.everything(site.topic("versions"), 0)).length > 0 ? true : null,
    );
  });

  test("one that is killed has its shard again soon after its restart, and answers meanwhile", async (t) => {
    const select = { k: K, p: 3 };
    const site = await KafkaSite.open(t, services, {
      partitions: 1,
      classes: CLASSES,
      dataset: { select, reserve: 0 },
    });
    const { store, stream, teacher, card } = site;
    const scorer = site.scorer("scorer-1");
    await site.put(0, [1, 2, 3, 4]);
    await site.scored();
    await scorer.end("SIGTERM");

    const place = { teacher, stream };
    const dataset = datasetSchema.parse({ name: "best", select, reserve: 0 });
    const state = new DatasetState({ ...place, dataset, card, shard: { index: 0, count: 1 } });
    const reader = new ArchiveReader(store, place);
    for (const { end, ...chain } of await currentFrontier(store, place))
      for await (const segment of reader.segments(chain, chain.origin, end)) state.apply(segment);
    fillState(state, CLASSES, K);
    await writeCheckpoint(store, state, new Map(), new Map());

    const port = await freePort();
    const worker = ["topk", "--metrics-port", String(port)];
    const ready = /shard 0 of 1: ready after ([\d.]+ m?s), over 4 records/;
    const isReady = (said: string): Promise<true | null> => Promise.resolve(ready.test(said) ? true : null);
    const first = site.run(worker);
    await site.until("a worker with a shard", () => isReady(first.said));
    await first.end("SIGKILL");
    const begunMs = performance.now();
    const second = site.run(worker);
    let answers = 0;
    let longestMs = 0;
    const looking = (async () => {
      while (!ready.test(second.said)) {
        const askedMs = performance.now();
        try {
          const answer = await fetch(`http://127.0.0.1:${port}/healthz`);
          if (answer.ok) answers++;
          if (answers > 1) longestMs = Math.max(longestMs, performance.now() - askedMs);
        } catch (error) {
          // It does not listen yet.
          assert.equal((error as Error).message, "fetch failed");
          assert.equal(answers, 0, "what has answered once goes on to answer");
        }
        await sleep(50);
      }
    })();
    await site.until("the worker's shard", () => isReady(second.said));
    const tookMs = performance.now() - begunMs;
    await looking;
    const restored = ready.exec(second.said)![1]!;
    t.diagnostic(
      `${CLASSES * K} entries: its shard again ${(tookMs / 1000).toFixed(1)} s after the start, restored in ${restored}; /healthz answered ${answers} times, the slowest in ${longestMs.toFixed(0)} ms`,
    );
    assert.ok(answers > 0);
    if (BY_HAND) assert.ok(tookMs < MOST_MS, `${tookMs} ms`);
  });
});
