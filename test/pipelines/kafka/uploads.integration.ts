import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import kafkajs from "kafkajs";
import { Client, NotificationConfig, QueueConfig } from "minio";
import { startKafka, type LocalKafka } from "../../../deploy/local/kafka.js";
import { startMinio, type LocalObjectStore } from "../../../deploy/local/minio.js";
import { decodeImageRecord } from "../../../schemas/image-record.js";
import { cannotStart } from "../../deploy/local/require-service.js";
import { jpeg, KafkaSite, ranSluice, RunProcess } from "../../fixtures/kafka-site.js";

const EVENTS = "bucket-events";
const BUCKET = "crawl";

/** Settles once `words` were said; fails where the process ends before. */
async function said(process: RunProcess, words: RegExp): Promise<string> {
  for (;;) {
    const found = words.exec(process.said);
    if (found !== null) return found[1] ?? found[0];
    assert.equal(process.ended, null, process.said);
    await sleep(50);
  }
}

describe(
  "images that come by themselves, on Kafka and MinIO",
  { skip: (await cannotStart("kafka")) || (await cannotStart("minio")) },
  () => {
    let kafka: LocalKafka;
    let minio: LocalObjectStore;
    let client: Client;
    before(async () => {
      kafka = await startKafka();
      minio = await startMinio({
        environment: {
          MINIO_NOTIFY_KAFKA_ENABLE_SLUICE: "on",
          MINIO_NOTIFY_KAFKA_BROKERS_SLUICE: kafka.address,
          MINIO_NOTIFY_KAFKA_TOPIC_SLUICE: EVENTS,
        },
      });
      const { port, accessKey, secretKey } = minio;
      client = new Client({ endPoint: "127.0.0.1", port, useSSL: false, region: "us-east-1", accessKey, secretKey });
      await client.makeBucket(BUCKET);
    });
    after(() => Promise.all([kafka.stop(), minio.stop()]));

    const uris = async (site: KafkaSite): Promise<string[]> => {
      const all: string[] = [];
      for (const partition of [0, 1]) {
        for (const record of await site.everything(site.stream, partition))
          all.push(decodeImageRecord(record, { stream: site.stream, partition }).uri);
      }
      return all.sort();
    };

    test("what is uploaded while a watcher runs, is killed and runs again is scored, and gives the version of one machine", async (t) => {
      const site = await KafkaSite.open(t, { kafka, minio }, { settings: { SLUICE_BYTES: "refer" } });
      await site.log.ensureTopic(EVENTS, 1);
      const notices = new NotificationConfig();
      const queue = new QueueConfig("arn:minio:sqs::SLUICE:kafka");
      queue.addEvent("s3:ObjectCreated:*");
      queue.addEvent("s3:ObjectRemoved:*");
      notices.add(queue);
      await client.setBucketNotification(BUCKET, notices);
      const environment = {
        ...site.environment,
        SLUICE_SOURCES__ALLOW__BUCKETS: JSON.stringify([`${BUCKET}/2026/`]),
      };
      const watching = ["run", "watch", `s3://${BUCKET}/2026/`, "--events", EVENTS, "--json"];
      const watch = (): RunProcess => {
        const one = new RunProcess(
          [join(import.meta.dirname, "../../../cli/main.js"), ...watching],
          site.folder,
          environment,
        );
        t.after(() => one.end("SIGKILL"));
        return one;
      };
      const pictures = join(site.folder, "pictures");
      await mkdir(pictures);
      const upload = async (seed: number): Promise<string> => {
        const name = `photo ${seed}+é%.jpg`;
        const bytes = await jpeg(seed);
        await writeFile(join(pictures, name), bytes);
        await client.putObject(BUCKET, `2026/${name}`, bytes);
        return `s3://${BUCKET}/2026/photo%20${seed}+%C3%A9%25.jpg`;
      };
      const sent = new Set<string>();
      let watcher = watch();
      for (let seed = 1; seed <= 12; seed++) {
        sent.add(await upload(seed));
        if (seed === 6) {
          await watcher.end("SIGKILL");
          watcher = watch();
        }
      }
      await client.putObject(BUCKET, "2025/elsewhere.jpg", await jpeg(99));
      await client.putObject(BUCKET, "2026/notes.txt", Buffer.from("none"));
      await client.removeObject(BUCKET, "2025/elsewhere.jpg");
      // What is no notice goes to the quarantine, and holds nobody up.
      await site.log.append(EVENTS, 0, [{ key: null, value: Buffer.from("nonsense"), headers: {}, timestampMs: 5 }]);
      await site.until("all that was uploaded in the topic", async () =>
        new Set(await uris(site)).size >= sent.size && watcher.said.includes("E_RECORD_SCHEMA") ? true : null,
      );
      assert.equal(await watcher.end("SIGTERM"), 0, watcher.said);
      const printed = watcher.said.split("\n").find((line) => line.includes('"appended"'));
      assert.ok(printed !== undefined, watcher.said);
      const { source } = JSON.parse(printed) as { source: { passedOver: object } };
      assert.ok("refused" in source.passedOver, watcher.said);
      // At least once: a watcher that is killed may tell of an upload again.
      assert.deepEqual(new Set(await uris(site)), sent);

      const scored = await ranSluice(["ingest", "--json"], { cwd: site.folder, env: environment });
      assert.equal(scored.code, 0, scored.stdout + scored.stderr);
      const { counts, published } = JSON.parse(scored.stdout) as {
        counts: Record<string, number>;
        published: { id: string }[];
      };
      assert.deepEqual([counts["scored"], counts["quarantined"]], [12, 0]);
      assert.equal(published[0]!.id, await idOfOneMachine(site, "pictures"));
      const listed = await site.sluice("quarantine", "list", "--set", `kafka.topics.events=${EVENTS}`, "--json");
      const { count, notices: refused } = JSON.parse(listed.stdout) as { count: number; notices: { code: string }[] };
      assert.deepEqual([count, refused.map(({ code }) => code)], [0, ["E_RECORD_SCHEMA"]]);
    });

    test("a gateway killed between the append and the answer: at least once, none lost, and the version of one machine", async (t) => {
      const site = await KafkaSite.open(t, { kafka, minio });
      const pictures = join(site.folder, "pictures");
      await mkdir(pictures);
      const main = join(import.meta.dirname, "../../../cli/main.js");
      const start = (): RunProcess => {
        const one = new RunProcess([main, "gateway", "--port", "0"], site.folder, site.environment);
        t.after(() => one.end("SIGKILL"));
        return one;
      };
      let gateway = start();
      let isKilling = false;
      const send = async (seed: number): Promise<void> => {
        const body = await jpeg(seed);
        await writeFile(join(pictures, `${seed}.jpg`), body);
        for (;;) {
          const url = await said(gateway, /images are taken at (\S+)/).catch((error: unknown) => {
            // It has ended: below it is told whether it was killed.
            if (!(error instanceof assert.AssertionError)) throw error;
            return null;
          });
          const answer = url === null ? null : await sentTo(url, body, `camera/${seed}`);
          if (answer === 200) return;
          assert.ok(answer === null && isKilling, `answered ${String(answer)}: ${gateway.said}`);
          await sleep(50);
        }
      };
      const seeds = Array.from({ length: 16 }, (_, at) => at + 201);
      const senders = Array.from({ length: 4 }, async (_, first) => {
        for (const seed of seeds.filter((one) => one % 4 === first)) await send(seed);
      });
      isKilling = true;
      const logged = async (): Promise<number> =>
        (await site.log.ends(site.stream)).reduce((sum, { end }) => sum + end, 0);
      await site.until("some images", async () => ((await logged()) > 2 ? true : null));
      await gateway.end("SIGKILL");
      gateway = start();
      await Promise.all(senders);
      // The same again is known, also by the gateway that was started last.
      const url = await said(gateway, /images are taken at (\S+)/);
      const again = await fetch(url, {
        method: "POST",
        body: new Uint8Array(await jpeg(seeds[0]!)),
        headers: { "idempotency-key": `camera/${seeds[0]!}` },
      });
      assert.equal(((await again.json()) as { known: number }).known, 1);
      assert.equal(await gateway.end("SIGTERM"), 0, gateway.said);
      const scored = await site.sluice("ingest", "--json");
      const { counts, published } = JSON.parse(scored.stdout) as {
        counts: Record<string, number>;
        published: { id: string }[];
      };
      assert.equal(counts["scored"], seeds.length, scored.stdout);
      t.diagnostic(`${seeds.length} images, 1 kill: 0 lost, ${counts["copied"]!} in the topic twice and scored once`);
      assert.equal(published[0]!.id, await idOfOneMachine(site, "pictures"));
    });

    test("a topic that is deleted and made anew while a gateway runs is said, and what is answered as taken lies in the new one", async (t) => {
      const site = await KafkaSite.open(t, { kafka, minio });
      const main = join(import.meta.dirname, "../../../cli/main.js");
      const gateway = new RunProcess([main, "gateway", "--port", "0"], site.folder, site.environment);
      t.after(() => gateway.end("SIGKILL"));
      const url = await said(gateway, /images are taken at (\S+)/);
      assert.equal(await sentTo(url, await jpeg(301), "camera/301"), 200);
      const admin = new kafkajs.Kafka({ brokers: [kafka.address], logLevel: kafkajs.logLevel.NOTHING }).admin();
      await admin.connect();
      await admin.deleteTopics({ topics: [site.stream] });
      await site.until("the topic to be gone", async () =>
        (await admin.listTopics()).includes(site.stream) ? null : true,
      );
      await admin.disconnect();
      const made = await site.sluice("topics", "create");
      // Its scorers go on only once it is adopted.
      assert.match(made.stdout, /made anew.*`sluice topics adopt`/);
      const seeds = [301, 302, 303];
      const answered: number[] = [];
      for (const seed of seeds) {
        const body = await jpeg(seed);
        await site.until("an image to be taken", async () => {
          const status = await sentTo(url, body, `camera/${seed}`);
          assert.ok(status === 200 || status === 503, `answered ${String(status)}: ${gateway.said}`);
          answered.push(status);
          return status === 200 ? true : null;
        });
      }
      assert.equal(answered[0], 503, gateway.said);
      assert.match(gateway.said, /Expected topic "images-\d+" to be the one[^\n]*made anew[^\n]*topics adopt/);
      const there = new Set<string>();
      for (const partition of [0, 1])
        for (const { key } of await site.everything(site.stream, partition)) there.add(Buffer.from(key!).toString());
      assert.deepEqual(there, new Set(seeds.map((seed) => `camera/${seed}`)));
      assert.equal(await gateway.end("SIGTERM"), 0, gateway.said);
    });
  },
);

async function sentTo(url: string, body: Buffer, key: string): Promise<number | null> {
  try {
    const response = await fetch(url, {
      method: "POST",
      body: new Uint8Array(body),
      headers: { "idempotency-key": key },
    });
    await response.arrayBuffer();
    return response.status;
  } catch (error) {
    // Nobody answers any more.
    if (error instanceof TypeError) return null;
    throw error;
  }
}

/** The id that a folder with the same pictures gives where there are no services. */
async function idOfOneMachine(site: KafkaSite, pictures: string): Promise<string> {
  const kept = Object.entries(site.environment).filter(([name]) => !/^SLUICE_(KAFKA|S3)__/.test(name));
  const env = { ...Object.fromEntries(kept), SLUICE_DATA: "alone" };
  const { code, stdout, stderr } = await ranSluice(["ingest", pictures, "--json"], { cwd: site.folder, env });
  assert.equal(code, 0, stderr);
  return (JSON.parse(stdout) as { published: { id: string }[] }).published[0]!.id;
}
