import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import kafkajs from "kafkajs";
import { kafkaTool } from "../../../deploy/local/kafka.js";
import { cannotStart } from "../../deploy/local/require-service.js";
import { keys } from "../../../schemas/keys.js";
import { encodeStreamLog } from "../../../schemas/stream-log.js";
import { KafkaSite, type ArchivedPartition } from "../../fixtures/kafka-site.js";
import { startedServices } from "../../fixtures/started-services.js";

const seeds = (from: number, count: number): number[] => Array.from({ length: count }, (_, at) => from + at);
const rowsAt = (digests: readonly string[], from = 0): string[] =>
  digests.map((digest, at) => `${from + at} ${digest}`);

describe(
  "what happens to the images topic",
  { skip: (await cannotStart("kafka")) || (await cannotStart("minio")) },
  () => {
    const services = startedServices();

    async function administer<T>(work: (admin: kafkajs.Admin) => Promise<T>): Promise<T> {
      const brokers = [services.kafka.address];
      const admin = new kafkajs.Kafka({ brokers, logLevel: kafkajs.logLevel.NOTHING }).admin();
      await admin.connect();
      try {
        return await work(admin);
      } finally {
        await admin.disconnect();
      }
    }

    /** `kafka-consumer-groups --reset-offsets …`, as people do it; the group has no members meanwhile. */
    async function reset(site: KafkaSite, ...to: string[]): Promise<void> {
      const group = ["--group", site.group, "--topic", site.stream];
      const args = ["--bootstrap-server", services.kafka.address, "--reset-offsets", "--execute", ...group, ...to];
      await kafkaTool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", args);
    }

    test("partitions that are added while scorers run are scored from their beginning", async (t) => {
      const dataset = { trigger: { everyImages: 60 } };
      const site = await KafkaSite.open(t, services, { partitions: 1, dataset });
      const first = await site.put(0, seeds(1, 20));
      const publisher = site.run(["publish"]);
      const scorers = [site.scorer("scorer-1"), site.scorer("scorer-2")];
      await site.scored();
      await administer((admin) => admin.createPartitions({ topicPartitions: [{ topic: site.stream, count: 3 }] }));
      // At once: whoever looks for new partitions later must not begin at their end.
      const second = await site.put(1, seeds(101, 20));
      const third = await site.put(2, seeds(201, 20));
      const chains = await site.scored();
      await site.committed();
      assert.deepEqual(
        chains.map(({ origin, rows }) => ({ origin, rows })),
        [first, second, third].map((digests) => ({ origin: 0, rows: rowsAt(digests) })),
      );
      // The publisher follows them too: the trigger fires when all 60 images are in.
      await site.until("a version", async () =>
        (await site.sluice("versions", "show", "latest")).code === 0 ? true : null,
      );
      for (const process of [publisher, ...scorers]) assert.equal(await process.end("SIGINT"), 0, process.said);
    });

    test("a topic that was deleted and made anew below its archive ends scorers with E_LOG_RECREATED; nothing is overwritten", async (t) => {
      const site = await KafkaSite.open(t, services, { partitions: 1 });
      await site.put(0, seeds(1, 20));
      const scorer = site.scorer("scorer-1");
      const before = await site.scored();
      await administer((admin) => admin.deleteTopics({ topics: [site.stream] }));
      await site.until("the topic to be gone", async () =>
        (await administer((admin) => admin.listTopics())).includes(site.stream) ? null : true,
      );
      const made = await site.sluice("topics", "create");
      assert.equal(made.code, 1);
      assert.match(made.stdout, /deleted and made anew.*`sluice topics adopt`/);
      await site.put(0, seeds(301, 5));
      assert.equal(await scorer.exit(), 1, scorer.said);
      assert.match(scorer.said, /E_LOG_RECREATED: [^\n]*images-\d+\/0[^\n]*deleted and made anew/);

      // And whoever is started now is told the same, and what to do.
      const another = site.scorer("scorer-2");
      assert.equal(await another.exit(), 1, another.said);
      assert.match(another.said, /E_LOG_RECREATED: [^\n]*made anew[^\n]*another stream name/);
      assert.deepEqual(await site.archived(), before);
    });

    /** The topic deleted and made anew, with records in it. */
    async function makeAnew(site: KafkaSite, topic: string): Promise<void> {
      await administer((admin) => admin.deleteTopics({ topics: [topic] }));
      await site.until("the topic to be gone", async () =>
        (await administer((admin) => admin.listTopics())).includes(topic) ? null : true,
      );
      const made = await site.sluice("topics", "create");
      assert.equal(made.code, 1);
      assert.match(made.stdout, /deleted and made anew.*`sluice topics adopt`/);
    }

    test("a topic that was moved or made anew is refused by id and by content until it is adopted, and goes on where the archive ends", async (t) => {
      const site = await KafkaSite.open(t, services, { partitions: 1 });
      const first = await site.put(0, seeds(1, 20));
      const score = async (): Promise<ArchivedPartition> => {
        const scorer = site.scorer("scorer-1");
        const goal = (await site.log.ends(site.stream))[0]!.end + base;
        const chain = await site.until("all to be archived", async () => {
          const [found] = await site.archived();
          return found?.end === goal ? found : null;
        });
        assert.equal(await scorer.end("SIGINT"), 0, scorer.said);
        return chain;
      };
      const refused = async (why: RegExp): Promise<void> => {
        // A supervisor starts it again and again: it never passes by itself.
        for (let start = 0; start < 2; start++) {
          const scorer = site.scorer("scorer-1");
          assert.equal(await scorer.exit(), 1, scorer.said);
          assert.match(scorer.said, why);
        }
        assert.match((await site.sluice("topics", "check")).stdout, /^fail {2}images-\d+: .*topics adopt/m);
      };
      let base = 0;
      const before = await score();
      assert.deepEqual(before.rows, rowsAt(first));

      // Moved to another cluster: another id, the same records, and more.
      const records = await site.everything(site.stream, 0);
      await makeAnew(site, site.stream);
      await site.append(0, records);
      const second = await site.put(0, seeds(101, 5));
      await refused(/E_LOG_RECREATED: [^\n]*images-\d+\/0\/19 it has what was archived[^\n]*moved[^\n]*topics adopt/);
      assert.match(
        (await site.sluice("topics", "adopt", "--dry-run")).stdout,
        /last archived record at offset 19; would go on/,
      );
      assert.deepEqual(await site.archived(), [before]);
      assert.match((await site.sluice("topics", "adopt")).stdout, /goes on behind it as the archive's offset 20/);
      assert.deepEqual((await score()).rows, rowsAt([...first, ...second]));

      // Made anew with other records beyond the old end, as brokers saw it that told no ids.
      await site.store.putIfAbsent(keys.streamLog(site.stream, 2), encodeStreamLog({ kind: "kafka", id: null }));
      await makeAnew(site, site.stream);
      const third = await site.put(0, seeds(301, 30));
      await refused(/E_LOG_RECREATED: [^\n]*images-\d+\/0\/24 it has another record[^\n]*topics adopt/);
      assert.match(
        (await site.sluice("topics", "adopt")).stdout,
        /nothing of what was archived up to 25; goes on with its first/,
      );
      base = 25;
      assert.deepEqual((await score()).rows, rowsAt([...first, ...second, ...third]));
      assert.match((await site.sluice("topics", "adopt")).stdout, /nothing to adopt/);
      assert.match((await site.sluice("topics", "check")).stdout, /Nothing to mend/);
    });

    test("offsets that were reset by hand: nothing is scored again, nothing is left out, and segments are told again", async (t) => {
      const site = await KafkaSite.open(t, services, { partitions: 1 });
      const images = await site.put(0, seeds(1, 40));
      const score = async (): Promise<ArchivedPartition> => {
        const scorer = site.scorer("scorer-1");
        const [chain] = await site.scored();
        await site.committed();
        assert.equal(await scorer.end("SIGINT"), 0, scorer.said);
        return chain!;
      };
      const first = await score();
      assert.deepEqual(first.rows, rowsAt(images));
      const everySegment = first.segments.map(({ start, end }) => `0 [${start}, ${end})`);
      assert.deepEqual(await site.told(), everySegment);

      await reset(site, "--to-earliest");
      assert.deepEqual(await score(), first);
      assert.deepEqual(await site.told(), [...everySegment, ...everySegment]);

      // To the middle of a segment: that one is told again, and what follows it.
      const middle = first.segments[1]!.start + 1;
      await reset(site, "--to-offset", String(middle));
      const toldBefore = (await site.told()).length;
      assert.deepEqual(await score(), first);
      assert.deepEqual((await site.told()).slice(toldBefore), everySegment.slice(1));

      // Beyond what is scored: the archive says where to go on, not the group.
      const more = await site.put(0, seeds(101, 20));
      await reset(site, "--to-latest");
      const second = await score();
      assert.deepEqual(second.rows, rowsAt([...images, ...more]));
      assert.deepEqual(second.segments.slice(0, first.segments.length), first.segments);
    });

    test("records that retention took before they were scored are counted as lost, with the reason, and totals add up", async (t) => {
      const site = await KafkaSite.open(t, services, { partitions: 1 });
      const remove = (offset: number): Promise<void> =>
        administer(async (admin) => {
          // The client does not ask for the topic by itself.
          await admin.fetchTopicOffsets(site.stream);
          const partitions = [{ partition: 0, offset: String(offset) }];
          await admin.deleteTopicRecords({ topic: site.stream, partitions });
        });
      const first = await site.put(0, seeds(1, 10));
      const scorer = site.scorer("scorer-1");
      await site.scored();
      await site.committed();
      // While a scorer stands still, and while none runs.
      scorer.signal("SIGSTOP");
      // The broker answers a fetch that waits for records after 100 ms; a later one is not sent.
      await sleep(1000);
      const second = await site.put(0, seeds(101, 10));
      await remove(14);
      scorer.signal("SIGCONT");
      await site.scored();
      assert.equal(await scorer.end("SIGINT"), 0, scorer.said);
      const third = await site.put(0, seeds(201, 10));
      await remove(26);
      const warned = await site.sluice("topics", "check");
      assert.equal(warned.code, 1);
      assert.match(warned.stdout, /expected the log to reach back to 20[^\n]*starts at 26[^\n]*removed 6 offsets/);
      assert.match((await site.sluice("status")).stdout, /fail +images-\d+\/0: [^\n]*removed 6 offsets/);
      site.scorer("scorer-1");
      const [chain] = await site.scored();
      assert.deepEqual(chain!.rows, [...rowsAt(first), ...rowsAt(second.slice(4), 14), ...rowsAt(third.slice(6), 26)]);
      const losses = chain!.segments.filter(({ lostReason }) => lostReason !== null);
      assert.deepEqual(
        losses.map(({ start, end }) => [start, end]),
        [
          [10, 14],
          [20, 26],
        ],
      );
      for (const { lostReason } of losses) assert.match(lostReason!, /the log starts at \d+: its retention removed/);
      assert.equal(chain!.lost, 10);
    });
  },
);
