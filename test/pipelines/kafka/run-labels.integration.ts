import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { kafkaTool } from "../../../deploy/local/kafka.js";
import { archivedLabels, labelFrontier } from "../../../operators/archive/image-labels.js";
import { groupPrefix } from "../../../schemas/kafka-names.js";
import { decodeQuarantined } from "../../../schemas/wire/quarantined.js";
import { cannotStart } from "../../deploy/local/require-service.js";
import { imageRecord, jpeg, KafkaSite } from "../../fixtures/kafka-site.js";
import { startedServices } from "../../fixtures/started-services.js";
import { pageExample, withConsoleProducer } from "../../fixtures/page-example.js";

const COUNT = 40;
/** When people of these tests said something, ms */
const SAID_MS = Date.UTC(2026, 0, 15);
const seeds = Array.from({ length: COUNT }, (_, at) => 1 + at);

interface Published {
  readonly version: { readonly id: string; readonly number: number };
}

describe("labels through their topic", { skip: (await cannotStart("kafka")) || (await cannotStart("minio")) }, () => {
  const services = startedServices();

  /** As anybody may: with Kafka's own console producer, one record a line. */
  async function produce(site: KafkaSite, lines: readonly string[]): Promise<void> {
    const args = ["--bootstrap-server", services.kafka.address, "--topic", site.topic("labels")];
    const headers = ["--reader-property", "parse.headers=true", "--reader-property", "headers.separator=@@"];
    await kafkaTool(
      "org.apache.kafka.tools.ConsoleProducer",
      [...args, ...headers],
      lines.map((line) => `${line}\n`).join(""),
    );
  }

  async function said(site: KafkaSite): Promise<string[]> {
    const found: string[] = [];
    for await (const label of archivedLabels(site.store, site.stream, await labelFrontier(site.store, site.stream))) {
      found.push(`${label.verdict} ${"class" in label ? label.class : ""} ${label.by ?? "?"}`);
    }
    return found;
  }

  test("what anyone writes there retracts rows, as `sluice label` on one machine does; poison goes to the quarantine", async (t) => {
    const site = await KafkaSite.open(t, services, { partitions: 1 });
    const pictures = await Promise.all(seeds.map((seed) => jpeg(seed)));
    await site.append(
      0,
      pictures.map((bytes) => imageRecord(bytes)),
    );
    const scorer = site.scorer("scorer-1");
    await site.scored();
    assert.equal(await scorer.end("SIGINT"), 0);
    const rebuild = async (): Promise<Published["version"]> => {
      const { code, stdout, stderr } = await site.sluice("rebuild", "--json");
      assert.equal(code, 0, stderr);
      const { id, number } = JSON.parse(stdout) as { id: string; number: number };
      return { id, number };
    };
    const before = await rebuild();
    const [chain] = await site.archived();
    const digests = chain!.rows.map((row) => row.split(" ")[1]!);
    const label = (at: number, more: object): string =>
      `sluice-schema:1\t${JSON.stringify({ sha256: digests[at], timeMs: SAID_MS, by: "anna", ...more })}`;

    const taker = site.run(["publish"]);
    // As the page says, and then whatever else may come
    await writeFile(join(site.folder, "label.sh"), await pageExample("label.sh"));
    const env = { ...process.env, PATH: await withConsoleProducer(site.folder) };
    const args = ["label.sh", services.kafka.address, site.topic("labels"), digests[0]!];
    await promisify(execFile)("sh", args, { cwd: site.folder, env });
    await produce(site, [
      "sluice-schema:1\tno label at all",
      `sluice-schema:2\t${JSON.stringify({ sha256: digests[1], verdict: "none", timeMs: SAID_MS, by: null })}`,
      label(1, { verdict: "maybe" }),
      label(2, { verdict: "is", class: "class-3" }),
    ]);
    await site.until("the labels to be archived", async () => ((await said(site)).length === 2 ? true : null));
    assert.deepEqual(await said(site), ["none  anna", "is class-3 anna"]);
    // Beside the process that takes them in, through the same topic
    const third = await site.sluice("label", "none", digests[3]!, "--by", "ben");
    assert.equal(third.code, 0, third.stderr);
    assert.deepEqual(await said(site), ["none  anna", "is class-3 anna", "none  ben"]);
    assert.equal((await site.log.ends(site.topic("labels")))[0]!.end, 6);

    const place = { topic: site.topic("quarantine"), partition: 0 };
    const refused = (await site.everything(place.topic, 0)).map((record) => decodeQuarantined(record, place));
    assert.deepEqual(
      refused.map(({ teacher, stream, offset, code }) => [teacher, stream, offset, code]),
      [1, 2, 3].map((offset) => ["", site.topic("labels"), offset, "E_RECORD_SCHEMA"]),
    );
    const group = groupPrefix(site, "labels");
    await site.until("all of it to be committed", async () =>
      (await site.log.committed(group, site.topic("labels"), 0)) === 6 ? true : null,
    );
    assert.equal(await taker.end("SIGINT"), 0, taker.said);
    const labelled = await rebuild();
    assert.notEqual(labelled.id, before.id);

    // One machine, the same images and the same labels.
    await mkdir(join(site.folder, "pictures"));
    for (const [at, bytes] of pictures.entries()) {
      await writeFile(join(site.folder, "pictures", `${String(at).padStart(2, "0")}.jpg`), bytes);
    }
    const kept = Object.entries(site.environment).filter(([name]) => !/^SLUICE_(KAFKA|S3)__/.test(name));
    const alone = { ...Object.fromEntries(kept), SLUICE_DATA: "local" };
    const locally = async (...args: string[]): Promise<string> => {
      const main = join(import.meta.dirname, "../../../cli/main.js");
      return (await promisify(execFile)(process.execPath, [main, ...args], { cwd: site.folder, env: alone })).stdout;
    };
    const ingested = JSON.parse(await locally("ingest", "pictures", "--json")) as { published: { id: string }[] };
    assert.equal(ingested.published[0]!.id, before.id);
    await locally("label", "none", digests[0]!, digests[3]!);
    await locally("label", "is", "class-3", digests[2]!);
    assert.equal((JSON.parse(await locally("rebuild", "--json")) as { id: string }).id, labelled.id);
  });

  test("labels that were said on the archive before there was a topic hold until the topic says otherwise", async (t) => {
    const site = await KafkaSite.open(t, services, { partitions: 1 });
    const digests = await site.put(0, seeds);
    const scorer = site.scorer("scorer-1");
    await site.scored();
    assert.equal(await scorer.end("SIGINT"), 0);
    const { appendLabels } = await import("../../../operators/archive/image-labels.js");
    const earlier = { timeMs: SAID_MS - 5, by: "before" };
    await appendLabels(site.store, site.stream, [
      { sha256: digests[0]!, verdict: "none", ...earlier },
      { sha256: digests[1]!, verdict: "none", ...earlier },
    ]);
    assert.equal((await site.sluice("label", "withdraw", digests[1]!, "--by", "after")).code, 0);
    assert.deepEqual(await said(site), ["none  before", "none  before", "withdrawn  after"]);
    assert.deepEqual(await labelFrontier(site.store, site.stream), [
      { partition: 0, end: 2 },
      { partition: 1, end: 1 },
    ]);

    // The topic was made anew below what is archived of it: nobody takes its records for others.
    const { default: kafkajs } = await import("kafkajs");
    const admin = new kafkajs.Kafka({ brokers: [services.kafka.address], logLevel: kafkajs.logLevel.NOTHING }).admin();
    await admin.connect();
    await admin.deleteTopics({ topics: [site.topic("labels")] });
    await site.until("the topic to be gone", async () =>
      (await admin.listTopics()).includes(site.topic("labels")) ? null : true,
    );
    await admin.disconnect();
    assert.equal((await site.sluice("topics", "create")).code, 1);
    const taker = site.run(["publish"]);
    assert.equal(await taker.exit(), 1, taker.said);
    assert.match(taker.said, /E_LOG_RECREATED: [^\n]*labels of stream[^\n]*topics adopt/);
    // Adopted, it goes on where the archive ends.
    assert.match((await site.sluice("topics", "adopt")).stdout, /labels\/0: has nothing of what was archived up to 1/);
    assert.equal((await site.sluice("label", "none", digests[2]!, "--by", "later")).code, 0);
    assert.deepEqual(await said(site), ["none  before", "none  before", "withdrawn  after", "none  later"]);
    assert.deepEqual((await labelFrontier(site.store, site.stream))[1], { partition: 1, end: 2 });
  });
});
