import assert from "node:assert/strict";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import kafkajs from "kafkajs";
import { sha256Hex } from "../../../schemas/canonical.js";
import { decodeQuarantined } from "../../../schemas/wire/quarantined.js";
import { cannotStart } from "../../deploy/local/require-service.js";
import { jpeg, KafkaSite } from "../../fixtures/kafka-site.js";
import { startedServices } from "../../fixtures/started-services.js";

/** What a producer sends, and what becomes of it; null: it is scored. */
interface Sent {
  readonly value: Buffer | null;
  readonly headers?: Readonly<Record<string, string | Buffer>>;
  readonly code: string | null;
}

describe("what nobody can use", { skip: (await cannotStart("kafka")) || (await cannotStart("minio")) }, () => {
  const services = startedServices();

  test("poison on every partition goes to the quarantine with its offset, and the partition moves on", async (t) => {
    const site = await KafkaSite.open(t, services, { settings: { SLUICE_DECODE__MAX_BYTES: "20000" } });
    const producer = new kafkajs.Kafka({
      brokers: [services.kafka.address],
      logLevel: kafkajs.logLevel.NOTHING,
    }).producer();
    await producer.connect();
    t.after(() => producer.disconnect());
    const scorers = [site.scorer("scorer-1"), site.scorer("scorer-2")];

    for (const partition of [0, 1]) {
      const image = (at: number): Promise<Buffer> => jpeg(1 + at + 100 * partition);
      const good = async (at: number): Promise<Sent> => ({ value: await image(at), code: null });
      const bad = async (headers: Sent["headers"]): Promise<Sent> => ({
        value: await image(99),
        headers: headers!,
        code: "E_RECORD_SCHEMA",
      });
      const sent: Sent[] = [
        await good(0),
        await bad({ "sluice-schema": "1", "sluice-event-time": "yesterday" }),
        await bad({ "sluice-schema": "1", "sluice-event-time": "-1" }),
        await bad({ "sluice-schema": "1", "sluice-retry-of": "9".repeat(400) }),
        await bad({ "sluice-schema": "9" }),
        await bad({ "sluice-schema": Buffer.from([0xff, 0x00, 0xfe]) }),
        await good(1),
        { value: Buffer.from("garbage, and nothing else"), code: "E_IMAGE_FORMAT" },
        { value: (await image(2)).subarray(0, 300), code: "E_IMAGE_TRUNCATED" },
        { value: Buffer.alloc(0), code: "E_IMAGE_EMPTY" },
        { value: null, code: "E_RECORD_SCHEMA" },
        { value: Buffer.alloc(0), headers: { "sluice-uri": "nowhere:" }, code: "E_IMAGE_UNREADABLE" },
        { value: Buffer.concat([await image(3), Buffer.alloc(30_000)]), code: "E_IMAGE_SIZE" },
        { value: await image(4), headers: { "sluice-event-time": "99999999999999" }, code: "E_RECORD_FUTURE" },
        // What Sluice does not know is somebody else's affair.
        { value: await image(5), headers: { "x-camera": Buffer.from([0xff]), "sluice-schema": "1" }, code: null },
        await good(6),
      ];
      const messages = sent.map(({ value, headers = {} }) => ({ partition, value, headers: { ...headers } }));
      for (const message of messages) await producer.send({ topic: site.stream, messages: [message] });
      const chain = (await site.scored()).find((one) => one.partition === partition)!;
      assert.deepEqual(
        chain.rejected,
        sent.flatMap(({ code }, offset) => (code === null ? [] : [`${offset} ${code}`])),
      );
      assert.deepEqual(
        chain.rows,
        sent.flatMap(({ value, code }, offset) => (code === null ? [`${offset} ${sha256Hex(value!)}`] : [])),
      );
    }

    await site.committed();
    const place = { topic: site.topic("quarantine"), partition: 0 };
    const told = (await site.everything(place.topic, 0)).map((record) => decodeQuarantined(record, place));
    const chains = await site.archived();
    assert.deepEqual(
      told.map(({ partition, offset, code }) => `${partition} ${offset} ${code}`).sort(),
      chains.flatMap(({ partition, rejected }) => rejected.map((one) => `${partition} ${one}`)).sort(),
    );
    const listed = await site.sluice("quarantine", "list");
    for (const offset of [1, 4, 9, 12]) assert.match(listed.stdout, new RegExp(`${site.stream}/1/${offset}\\b`));
    for (const scorer of scorers) assert.equal(await scorer.end("SIGINT"), 0, scorer.said);
  });

  test("a producer's uris open nothing but what sources.allow names, and no byte of the rest is told", async (t) => {
    const site = await KafkaSite.open(t, services, { partitions: 1 });
    const SECRET = "root:x:0:0";
    const secret = join(site.folder, "secret");
    const allowed = join(site.folder, "allowed");
    await mkdir(allowed);
    await writeFile(secret, SECRET);
    await writeFile(join(allowed, "a.jpg"), await jpeg(1));
    await symlink(secret, join(allowed, "link.jpg"));
    const sent: [uri: string, code: string | null][] = [
      [`file://${secret}`, "E_IMAGE_REFUSED"],
      [`tar:${secret}#member`, "E_IMAGE_REFUSED"],
      [`file://${allowed}/a.jpg`, null],
      [`file://${allowed}/link.jpg`, "E_IMAGE_REFUSED"],
      [`file://${allowed}/../secret`, "E_IMAGE_REFUSED"],
      [`s3://${services.minio.bucket}/${site.stream}/datasets/x`, "E_IMAGE_REFUSED"],
      ["http://169.254.169.254/latest/meta-data/", "E_IMAGE_UNREADABLE"],
    ];
    const records = sent.map(([uri]) => ({
      key: null,
      value: Buffer.alloc(0),
      headers: { "sluice-uri": uri },
      timestampMs: Date.now(),
    }));
    await site.append(0, records);
    const scorer = site.scorer("scorer-1", { SLUICE_SOURCES__ALLOW__ROOTS: JSON.stringify([allowed]) });
    const chain = (await site.scored())[0]!;
    assert.deepEqual(
      chain.rejected,
      sent.flatMap(([, code], offset) => (code === null ? [] : [`${offset} ${code}`])),
    );
    await site.committed();
    const told = await site.everything(site.topic("quarantine"), 0);
    const listed = await site.sluice("quarantine", "list", "--json");
    assert.equal(await scorer.end("SIGINT"), 0, scorer.said);
    const everything = [scorer.said, listed.stdout, ...told.map(({ value }) => Buffer.from(value!).toString())];
    for (const text of everything) assert.doesNotMatch(text, /root:x|726f6f74|72 6f 6f 74/);
    assert.match(listed.stdout, /sources\.allow/);

    // Nobody is allowed anything unless somebody says so.
    await site.append(0, [records[2]!]);
    const second = site.scorer("scorer-2");
    assert.deepEqual((await site.scored())[0]!.rejected.at(-1), `${sent.length} E_IMAGE_REFUSED`);
    assert.equal(await second.end("SIGINT"), 0, second.said);
  });
});
