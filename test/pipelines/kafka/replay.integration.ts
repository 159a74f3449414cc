import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import kafkajs from "kafkajs";
import { archivedChains } from "../../../operators/archive/chain.js";
import { ChainReader } from "../../../operators/archive/chain-reader.js";
import { readClaims } from "../../../operators/archive/chain-claims.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { cannotStart } from "../../deploy/local/require-service.js";
import { jpeg, KafkaSite, RunProcess } from "../../fixtures/kafka-site.js";
import { startedServices } from "../../fixtures/started-services.js";
import { writeSmallTeacher } from "../../fixtures/models.js";

const MAIN = join(import.meta.dirname, "../../../cli/main.js");
const PARTITIONS = 4;
/** Images of each partition that are there when the replay is asked for */
const BEFORE = 60;
const seeds = (from: number, count: number): number[] => Array.from({ length: count }, (_, at) => from + at);

describe("replays on kafka and minio", { skip: (await cannotStart("kafka")) || (await cannotStart("minio")) }, () => {
  const services = startedServices();

  function replaying(t: TestContext, site: KafkaSite, name: string, ...args: string[]): RunProcess {
    const line = [MAIN, "replay", "--teacher", "b", "--data", name, "--progress", "lines", ...args];
    const started = new RunProcess(line, site.folder, site.environment);
    t.after(() => started.end("SIGKILL"));
    return started;
  }

  async function totalsOf(site: KafkaSite, teacher: string) {
    const totals = { in: 0, scored: 0, copied: 0, quarantined: 0, lost: 0 };
    for (const chain of await archivedChains(site.store, { teacher, stream: site.stream })) {
      for await (const { counts } of new ChainReader(site.store, chain).headers(chain.origin)) {
        for (const name of Object.keys(totals) as (keyof typeof totals)[]) totals[name] += counts[name];
      }
    }
    return totals;
  }

  test("two processes share a replay by time and outlive a kill, beside a live scorer; then its teacher goes live", async (t) => {
    const site = await KafkaSite.open(t, services, { partitions: PARTITIONS, settings: { SLUICE_BYTES: "refer" } });
    const { card } = await writeSmallTeacher(join(site.folder, "b"), "onnx", { seed: 4711 });
    const b = { teacher: teacherDigest(card), stream: site.stream };
    for (let partition = 0; partition < PARTITIONS; partition++) await site.put(partition, seeds(partition * 1000, 5));
    await sleep(20);
    const from = Date.now();
    await sleep(20);
    for (let partition = 0; partition < PARTITIONS; partition++)
      await site.put(partition, seeds(partition * 1000 + 100, BEFORE));
    const scorer = site.scorer("scorer-1");
    await site.scored();
    const until = Date.now() + 1;
    await sleep(20);

    const range = ["--from", String(from), "--until", String(until), "--rate", "20"];
    const first = replaying(t, site, "replay-1", ...range);
    const second = replaying(t, site, "replay-2", ...range);
    const archivedSome = async (): Promise<true | null> => ((await totalsOf(site, b.teacher)).in > 20 ? true : null);
    await site.until("a part to be replayed", archivedSome);
    // Live images go on, and are scored by the live teacher alone.
    for (let partition = 0; partition < PARTITIONS; partition++)
      await site.put(partition, seeds(partition * 1000 + 500, 10));
    await first.end("SIGKILL");
    assert.equal(await second.exit(), 0, second.said);
    assert.match(second.said, /Replayed 240 of 240 offsets/);
    await site.scored();

    const claimed = await readClaims(site.store, b);
    assert.deepEqual(
      claimed.map(({ partition, origin, end }) => [partition, origin, end]),
      seeds(0, PARTITIONS).map((partition) => [partition, 5, 5 + BEFORE]),
    );
    const replayed = await totalsOf(site, b.teacher);
    const asked = PARTITIONS * BEFORE;
    assert.deepEqual(replayed, { in: asked, scored: asked, copied: 0, quarantined: 0, lost: 0 });
    const again = JSON.parse(
      (await site.sluice("replay", "--teacher", "b", "--data", "replay-1", ...range, "--json")).stdout,
    ) as {
      chains: unknown[];
      offsets: object;
    };
    assert.deepEqual([again.chains, again.offsets], [[], { asked, archived: asked, live: 0 }]);

    // Nothing of it was told or published.
    const told = JSON.stringify(await site.told());
    const versions = await site.everything(site.topic("versions"), 0);
    assert.deepEqual([versions.length, told.includes(b.teacher)], [0, false]);

    // What came before and after is the teacher's own as it goes live, from where the replay ends.
    const live = site.run(["score", "--teacher", "b", "--data", "scorer-b"]);
    await site.until("the teacher to go live", async () => {
      const totals = await totalsOf(site, b.teacher);
      return totals.in === asked + PARTITIONS * 10 ? true : null;
    });
    const chains = await readClaims(site.store, b);
    assert.deepEqual(
      chains.filter(({ end }) => end === null).map(({ origin }) => origin),
      seeds(0, PARTITIONS).map(() => 5 + BEFORE),
    );
    for (const process of [live, scorer]) assert.equal(await process.end("SIGINT"), 0, process.said);
  });

  test("a replay waits while a live scorer is behind, and goes on when it has caught up", async (t) => {
    const site = await KafkaSite.open(t, services, { partitions: 1, settings: { SLUICE_BYTES: "refer" } });
    const { card } = await writeSmallTeacher(join(site.folder, "b"), "onnx", { seed: 4712 });
    await site.put(0, seeds(1, 10));
    const scorer = site.scorer("scorer-1");
    await site.scored();
    await site.committed();
    // Stands still, and is a member all the same: its session lasts 10 s.
    scorer.signal("SIGSTOP");
    await site.put(0, seeds(100, 60));
    await sleep(1500);
    const replay = replaying(t, site, "replay-1", "--yield-to-lag", "20");
    await site.until("the replay to wait", async () => (/waiting: \S*score-/.test(replay.said) ? true : null));
    assert.equal((await totalsOf(site, teacherDigest(card))).in, 0);
    scorer.signal("SIGCONT");
    assert.equal(await replay.exit(), 0, replay.said);
    assert.match(replay.said, /Replayed 70 of 70 offsets/);
    assert.equal(await scorer.end("SIGINT"), 0, scorer.said);
  });

  test("processes that were asked for different ranges do not wait for each other for ever", async (t) => {
    const site = await KafkaSite.open(t, services, { partitions: 2, settings: { SLUICE_BYTES: "refer" } });
    const { card } = await writeSmallTeacher(join(site.folder, "b"), "onnx", { seed: 4714 });
    for (const partition of [0, 1]) await site.put(partition, seeds(partition * 1000, 60));
    const early = replaying(t, site, "replay-1", "--until-offset", "30", "--rate", "5");
    const some = async (): Promise<true | null> => ((await totalsOf(site, teacherDigest(card))).in > 0 ? true : null);
    await site.until("a part to be replayed", some);
    const late = replaying(t, site, "replay-2", "--from-offset", "30");
    assert.deepEqual([await early.exit(), await late.exit()], [0, 0], early.said + late.said);
    assert.equal((await totalsOf(site, teacherDigest(card))).in, 120);
  });

  test("offsets without records, such as the end of a transaction, are no loss", async (t) => {
    const site = await KafkaSite.open(t, services, { partitions: 1, settings: { SLUICE_BYTES: "refer" } });
    const { card } = await writeSmallTeacher(join(site.folder, "b"), "onnx", { seed: 4715 });
    await site.put(0, seeds(1, 10));
    const kafka = new kafkajs.Kafka({ brokers: [services.kafka.address], logLevel: kafkajs.logLevel.NOTHING });
    const createPartitioner = kafkajs.Partitioners.DefaultPartitioner;
    const producer = kafka.producer({
      createPartitioner,
      transactionalId: "t",
      idempotent: true,
      maxInFlightRequests: 1,
    });
    await producer.connect();
    t.after(() => producer.disconnect());
    const transaction = await producer.transaction();
    await transaction.send({ topic: site.stream, messages: [{ partition: 0, value: await jpeg(11) }] });
    await transaction.commit();
    // The broker writes the transaction's end after it has promised to.
    await site.until("the transaction's end", async () =>
      (await site.log.ends(site.stream))[0]!.end === 12 ? true : null,
    );
    const done = await site.sluice("replay", "--teacher", "b", "--data", "replay-1", "--json");
    assert.equal(done.code, 0, done.stderr);
    assert.equal((JSON.parse(done.stdout) as { left: number }).left, 0);
    const totals = { in: 11, scored: 11, copied: 0, quarantined: 0, lost: 0 };
    assert.deepEqual(await totalsOf(site, teacherDigest(card)), totals);
    const again = await site.sluice("replay", "--teacher", "b", "--data", "replay-1", "--json");
    assert.deepEqual((JSON.parse(again.stdout) as { chains: unknown[] }).chains, []);
  });

  test("Ctrl-C ends a replay in order, with 130; retried records of the quarantine are the live scorers'", async (t) => {
    const settings = { SLUICE_SOURCES__ALLOW__ROOTS: "[/nowhere]" };
    const site = await KafkaSite.open(t, services, { partitions: 1, settings });
    const { card } = await writeSmallTeacher(join(site.folder, "b"), "onnx", { seed: 4713 });
    await site.put(0, seeds(1, 50));
    await site.append(0, [
      { key: null, value: Buffer.from("no image"), headers: { "sluice-schema": "1" }, timestampMs: Date.now() },
      { key: null, value: null, headers: { "sluice-uri": "file:///nowhere/at-all.jpg" }, timestampMs: Date.now() },
    ]);
    const scorer = site.scorer("scorer-1");
    await site.scored();
    const replay = replaying(t, site, "replay-1", "--rate", "10");
    const some = async (): Promise<true | null> => ((await totalsOf(site, teacherDigest(card))).in > 0 ? true : null);
    await site.until("a part to be replayed", some);
    assert.equal(await replay.end("SIGINT"), 130, replay.said);
    const rest = await site.sluice("replay", "--teacher", "b", "--data", "replay-1", "--json");
    assert.equal(rest.code, 0, rest.stderr);
    const { in: records, quarantined } = await totalsOf(site, teacherDigest(card));
    assert.deepEqual([records, quarantined], [52, 2]);

    const args = ["quarantine", "retry", "--teacher-digest", site.teacher.slice(0, 12), "--code", "E_IMAGE_VANISHED"];
    const retried = await site.sluice(...args, "--json");
    assert.equal(retried.code, 0, retried.stderr);
    assert.equal((JSON.parse(retried.stdout) as { appended: number }).appended, 1);
    const [partition] = await site.scored();
    assert.deepEqual(partition!.rejected, ["50 E_IMAGE_FORMAT", "51 E_IMAGE_VANISHED", "52 E_IMAGE_VANISHED"]);
    assert.equal(await scorer.end("SIGINT"), 0, scorer.said);
  });
});
