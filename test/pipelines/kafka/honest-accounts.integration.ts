import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { describe, test } from "node:test";
import kafkajs from "kafkajs";
import { getIfThere } from "../../../connectors/store/store.js";
import type { Frontier } from "../../../schemas/frontier.js";
import { keys } from "../../../schemas/keys.js";
import { decodePublished, type Published } from "../../../schemas/wire/published.js";
import { cannotStart } from "../../deploy/local/require-service.js";
import { imageRecord, jpeg, KafkaSite, MAIN, RunProcess } from "../../fixtures/kafka-site.js";
import { startedServices } from "../../fixtures/started-services.js";
import { administered, alterTopic } from "../../fixtures/topic-settings.js";

const seeds = (from: number, count: number): number[] => Array.from({ length: count }, (_, at) => from + at);

interface Status {
  readonly teachers: readonly {
    readonly waiting: number;
    readonly records: { readonly in: number; readonly lost: number };
    readonly emptyOffsets: number;
    readonly unreadOffsets: number;
    readonly datasets: readonly { readonly isCheckpointed: boolean }[];
  }[];
  readonly kafka: {
    readonly groups: readonly { readonly group: string; readonly topic: string; readonly lag: number }[];
    readonly retention: readonly { readonly message: string }[];
  };
}

describe(
  "accounts of what a topic has and has not",
  { skip: (await cannotStart("kafka")) || (await cannotStart("minio")) },
  () => {
    const services = startedServices();

    const status = async (site: KafkaSite): Promise<Status> => {
      const { code, stdout, stderr } = await site.sluice("status", "--json");
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout) as Status;
    };

    test("what was removed before the first read is neither in nor lost, and is said by the run, by status and by the version", async (t) => {
      const site = await KafkaSite.open(t, services, { partitions: 1, settings: { SLUICE_KAFKA__SHARDS: "2" } });
      await site.put(0, seeds(1, 30));
      await administered(services.kafka.address, async (admin) => {
        // The client does not ask for the topic by itself.
        await admin.fetchTopicOffsets(site.stream);
        await admin.deleteTopicRecords({ topic: site.stream, partitions: [{ partition: 0, offset: "20" }] });
      });
      const scorer = site.scorer("scorer-1");
      await site.scored();
      await site.committed();
      assert.equal(await scorer.end("SIGINT"), 0);
      assert.match(
        scorer.said,
        /\/0 starts at offset 20: what lay before was removed before this teacher first read it/,
      );
      const text = (await site.sluice("status")).stdout;
      assert.match(text, /archived +10 records(?!, .* of them lost)/);
      assert.match(text, /never read +20 offsets before/);
      // Nothing has written a checkpoint: nobody knows how full the classes are.
      assert.match(text, /dataset best: how full its classes are is not known, since nothing has written a checkpoint/);
      assert.doesNotMatch(text, /classes full/);
      const [teacher] = (await status(site)).teachers;
      assert.deepEqual([teacher!.records.in, teacher!.records.lost, teacher!.unreadOffsets], [10, 0, 20]);
      assert.equal(teacher!.datasets[0]!.isCheckpointed, false);

      const made = await site.sluice("rebuild");
      assert.equal(made.code, 0, made.stderr);
      assert.match((await site.sluice("versions", "show", "latest")).stdout, /never read +20 offsets before/);
      const { provenance } = JSON.parse((await site.sluice("versions", "show", "latest", "--json")).stdout) as {
        provenance: { frontier: Frontier };
      };
      assert.deepEqual(
        provenance.frontier.map(({ origin, end }) => [origin, end]),
        [[20, 30]],
      );

      // A publisher reads the first partition of the candidates topic alone: what lies in the other one is no lag of its.
      const publisher = site.run(["publish", "--data", "publisher"]);
      await site.until("the publisher to have judged what there is", async () => {
        const { groups } = (await status(site)).kafka;
        const own = groups.find(({ group }) => group.includes("-publish-"));
        return own?.lag === 0 ? true : null;
      });
      const ends = (await site.log.ends(site.topic("candidates"))).map(({ end }) => end);
      assert.ok(ends[1]! > 0, "the other partition has messages");
      assert.equal(await publisher.end("SIGINT"), 0, publisher.said);
    });

    test("a topic that was compacted stops `run` and `ingest` alike; what it took is empty, not lost, and the numbers add up", async (t) => {
      const site = await KafkaSite.open(t, services, { partitions: 1 });
      const { address } = services.kafka;
      const changed = ["cleanup.policy=compact", "segment.ms=100", "min.cleanable.dirty.ratio=0.001"];
      await alterTopic(address, site.stream, ...changed, "max.compaction.lag.ms=100");
      const pictures = await Promise.all(seeds(1, 40).map((seed) => jpeg(seed)));
      for (const [at, bytes] of pictures.entries())
        await site.append(0, [{ ...imageRecord(bytes), key: Buffer.from(`camera ${at % 4}`) }]);
      const left = await site.until(
        "compaction to take what has a later record of its key",
        async () => {
          // A segment is closed by what comes after its time.
          await site.append(0, [{ ...imageRecord(pictures[0]!), key: Buffer.from("tick") }]);
          const records = await site.everything(site.stream, 0);
          return records.length < 30 ? records : null;
        },
        240_000,
      );
      assert.ok(left.length > 0);
      const refused = await site.sluice("ingest", "--json");
      const scorer = site.scorer("scorer-1");
      assert.equal(await scorer.exit(), 1);
      for (const said of [refused.stdout + refused.stderr, scorer.said]) {
        assert.match(said, /E_LOG_IO/);
        assert.match(said, /expected cleanup\.policy=delete, found compact/);
      }
      assert.equal(refused.code, 1);

      await alterTopic(address, site.stream, "cleanup.policy=delete", "max.message.bytes=4194304");
      const ingested = await site.sluice("ingest", "--json");
      assert.equal(ingested.code, 0, ingested.stderr);
      const { end } = (await site.log.ends(site.stream))[0]!;
      const [teacher] = (await status(site)).teachers;
      const { records, emptyOffsets, unreadOffsets, waiting } = teacher!;
      const held = (await site.everything(site.stream, 0)).length;
      assert.deepEqual([records.lost, unreadOffsets, waiting], [0, 0, 0]);
      assert.equal(records.in + emptyOffsets, end);
      assert.ok(records.in >= held && emptyOffsets > 0, `${records.in} in, ${emptyOffsets} empty, ${held} held`);
      assert.match(
        (await site.sluice("status")).stdout,
        /empty +[\d,]+ offsets? without a record: taken by the topic's compaction/,
      );
      assert.match((await site.sluice("versions", "show", "latest")).stdout, /empty +[\d,]+ offsets? without a record/);
      assert.equal((await site.sluice("versions", "verify", "latest")).code, 0);
    });

    test("a transaction that is not finished holds readers back, which status and check say, and whose end is empty", async (t) => {
      const site = await KafkaSite.open(t, services, { partitions: 1 });
      await site.put(0, seeds(1, 4));
      const client = new kafkajs.Kafka({ brokers: [services.kafka.address], logLevel: kafkajs.logLevel.NOTHING });
      const producer = client.producer({
        transactionalId: `open-${site.stream}`,
        idempotent: true,
        maxInFlightRequests: 1,
      });
      await producer.connect();
      t.after(() => producer.disconnect());
      const transaction = await producer.transaction();
      await transaction.send({ topic: site.stream, messages: [{ partition: 0, value: await jpeg(900) }] });
      await site.put(0, seeds(11, 3));
      const checked = await site.sluice("topics", "check");
      assert.equal(checked.code, 0, checked.stdout);
      const words = /\/0: a transaction that is not finished holds readers back: 4 offsets behind it are not read/;
      assert.match(checked.stdout, words);
      const ingested = await site.sluice("ingest", "--no-publish", "--json");
      assert.equal(ingested.code, 0, ingested.stderr);
      assert.equal((JSON.parse(ingested.stdout) as { counts: { scored: number } }).counts.scored, 4);
      assert.match((await site.sluice("status")).stdout, words);

      await transaction.abort();
      await site.until("readers to be let on", async () => {
        const { stdout } = await site.sluice("status");
        return words.test(stdout) ? null : true;
      });
      // What comes behind the mark of its end.
      await site.put(0, seeds(21, 1));
      await site.sluice("ingest", "--no-publish");
      const [teacher] = (await status(site)).teachers;
      const { records, emptyOffsets } = teacher!;
      // The record that was taken back, and the mark of that.
      assert.deepEqual([records.in, records.lost, emptyOffsets], [8, 0, 2]);
    });

    test("a version whose maker was killed between publishing and telling is told by the next one, in order; repeats are identical", async (t) => {
      const site = await KafkaSite.open(t, services, { partitions: 1 });
      await site.put(0, seeds(1, 12));
      const score = async (): Promise<void> => {
        const scored = await site.sluice("ingest", "--no-publish");
        assert.equal(scored.code, 0, scored.stderr);
      };
      await score();
      // Brokers that take a connection and say nothing: what is published waits to be told.
      const silent = createServer(() => undefined).listen(0, "127.0.0.1");
      await once(silent, "listening");
      t.after(() => silent.close());
      const { port } = silent.address() as AddressInfo;
      const brokers = { SLUICE_KAFKA__BROKERS: `127.0.0.1:${port}` };
      const killed = new RunProcess([MAIN, "rebuild"], site.folder, { ...site.environment, ...brokers });
      t.after(() => killed.end("SIGKILL"));
      await site.until("the version to be published", async () =>
        (await getIfThere(site.store, keys.manifest("best", 1))) === null ? null : true,
      );
      assert.equal(killed.ended, null, "it has not told yet");
      await killed.end("SIGKILL");
      const told = async (): Promise<Published[]> => {
        const place = { topic: site.topic("versions"), partition: 0 };
        return (await site.everything(place.topic, 0)).map((record) => decodePublished(record, place));
      };
      assert.deepEqual(await told(), []);

      await site.put(0, seeds(101, 12));
      await score();
      // Two makers at once: each tells of what it finds untold.
      const made = await Promise.all([site.sluice("rebuild"), site.sluice("rebuild")]);
      assert.ok(
        made.some(({ code }) => code === 0),
        made.map(({ stderr }) => stderr).join("\n"),
      );
      const all = await told();
      const first = all.filter(({ number }, at) => all.findIndex((one) => one.number === number) === at);
      assert.deepEqual(
        first.map(({ dataset, number }) => `${dataset}/${number}`),
        ["best/1", "best/2"],
      );
      for (const one of all)
        assert.deepEqual(
          one,
          first.find(({ number }) => number === one.number),
        );
      for (const { number, id } of first) {
        const shown = await site.sluice("versions", "show", `best/${number}`, "--json");
        assert.equal((JSON.parse(shown.stdout) as { id: string }).id, id);
      }
    });
  },
);
