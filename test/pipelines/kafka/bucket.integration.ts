import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { Client } from "minio";
import { openKafkaLog } from "../../../connectors/log/kafka/kafka-log.js";
import { startKafka, type LocalKafka } from "../../../deploy/local/kafka.js";
import { startMinio, type LocalObjectStore } from "../../../deploy/local/minio.js";
import { decodeImageRecord, type ImageRecord } from "../../../schemas/image-record.js";
import { batchesOf } from "../../conformance/log.js";
import { cannotStart } from "../../deploy/local/require-service.js";
import { picture } from "../../fixtures/make-images.js";
import { writeSmallTeacher } from "../../fixtures/models.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

const MAIN = join(import.meta.dirname, "../../../cli/main.js");
/** Not the store's */
const BUCKET = "crawl";
const COUNT = 30;
const noKafka = await cannotStart("kafka");

interface Shown {
  readonly published: readonly { readonly id: string }[];
  readonly counts: Readonly<Record<string, number>>;
}

describe("images from a bucket, by commands", { skip: await cannotStart("minio") }, () => {
  let server: LocalObjectStore;
  let client: Client;
  before(async () => {
    server = await startMinio();
    const { port, accessKey, secretKey } = server;
    client = new Client({ endPoint: "127.0.0.1", port, useSSL: false, region: "us-east-1", accessKey, secretKey });
    await client.makeBucket(BUCKET);
  });
  after(() => server.stop());

  async function sluice(folder: string, environment: object, ...args: string[]): Promise<string> {
    const env = { ...process.env, ...environment };
    return (await promisify(execFile)(process.execPath, [MAIN, ...args], { cwd: folder, env })).stdout;
  }

  test("they give the version that the same files in a folder give, and stay where they are", async (t) => {
    const folder = await temporaryFolder(t);
    await mkdir(join(folder, "pictures"));
    await writeSmallTeacher(join(folder, "teacher"), "onnx");
    const names = Array.from({ length: COUNT }, (_, i) => `photo ${String(i).padStart(2, "0")}+é%.jpg`);
    for (const [seed, name] of names.entries()) {
      const bytes = await picture(40, 30, seed).jpeg().toBuffer();
      await writeFile(join(folder, "pictures", name), bytes);
      await client.putObject(BUCKET, `photos/${name}`, bytes);
    }
    const common = {
      SLUICE_TEACHER: "teacher",
      SLUICE_BYTES: "refer",
      SLUICE_DATASETS__0__SELECT__K: "5",
      SLUICE_DATASETS__0__SELECT__P: "3",
    };
    const bucket = { ...common, ...server.environment, SLUICE_DATA: "remote" };
    const source = `s3://${BUCKET}/photos/`;
    const remote = JSON.parse(await sluice(folder, bucket, "ingest", source, "--json")) as Shown;
    const local = JSON.parse(
      await sluice(folder, { ...common, SLUICE_DATA: "local" }, "ingest", "pictures", "--json"),
    ) as Shown;
    assert.equal(remote.counts["scored"], COUNT);
    assert.equal(remote.published[0]!.id, local.published[0]!.id);
    await sluice(folder, bucket, "versions", "verify", "latest");

    // The quarantine opens it again by its uri.
    await client.putObject(
      BUCKET,
      "photos/cut.jpg",
      (await readFile(join(folder, "pictures", names[0]!))).subarray(0, 300),
    );
    const bad = JSON.parse(await sluice(folder, bucket, "ingest", source, "--no-publish", "--json")) as Shown;
    assert.deepEqual([bad.counts["scored"], bad.counts["quarantined"]], [0, 1]);
    assert.match(await sluice(folder, bucket, "quarantine", "list"), new RegExp(`s3://${BUCKET}/photos/cut\\.jpg`));
    await client.putObject(BUCKET, "photos/cut.jpg", await picture(40, 30, COUNT).jpeg().toBuffer());
    const retried = await sluice(folder, bucket, "quarantine", "retry", "--no-publish", "--json");
    const mended = JSON.parse(retried) as Shown;
    assert.equal(mended.counts["scored"], 1);

    await assert.rejects(
      sluice(folder, { ...common, SLUICE_DATA: "local" }, "ingest", source),
      /E_CONFIG.*s3\.endpoint/s,
    );
    await assert.rejects(sluice(folder, bucket, "ingest", `s3://${BUCKET}/nothing/`), /E_SOURCE_EMPTY/);
    const wrong = { ...bucket, SLUICE_S3__SECRET_KEY: "another", SLUICE_DATA: "wrong" };
    await assert.rejects(sluice(folder, wrong, "ingest", source), /SignatureDoesNotMatch/);
  });

  describe("produced into Kafka", { skip: noKafka }, () => {
    let broker: LocalKafka;
    before(async () => {
      broker = await startKafka();
    });
    after(() => broker.stop());

    test("small ones travel, large and empty ones and all with --refer stay; what is new or changed comes later", async (t) => {
      const folder = await temporaryFolder(t);
      for (const [name, sizeBytes] of Object.entries({ empty: 0, large: 2_000, small: 1_000 })) {
        await client.putObject(BUCKET, `sized/${name}`, Buffer.alloc(sizeBytes, name));
      }
      const environment = (stream: string) => ({ ...broker.environment, ...server.environment, SLUICE_STREAM: stream });
      const log = await openKafkaLog({ brokers: [broker.address] });
      t.after(() => log.close());
      const imagesIn = async (stream: string): Promise<Record<string, number | null>> => {
        const images: ImageRecord[] = [];
        for (const [partition, { end }] of (await log.ends(stream)).entries()) {
          if (end === 0) continue;
          const reading = { maxRecords: 100, maxBytes: 1e6, until: end };
          for (const { records } of await batchesOf(log, stream, 0, reading, partition)) {
            images.push(...records.map((one) => decodeImageRecord(one, { stream, partition })));
          }
        }
        return Object.fromEntries(
          images.map(({ uri, bytes }) => [uri.slice(`s3://${BUCKET}/sized/`.length), bytes?.length ?? null]),
        );
      };
      const produce = (stream: string, ...args: string[]): Promise<string> =>
        sluice(folder, environment(stream), "produce", `s3://${BUCKET}/sized`, ...args);

      await sluice(folder, environment("sized"), "topics", "create");
      assert.match(await produce("sized", "--set", "kafka.inlineBytes=1500"), /Put 3 images into sized/);
      assert.deepEqual(await imagesIn("sized"), { empty: null, large: null, small: 1_000 });
      await sluice(folder, environment("referred"), "topics", "create");
      assert.match(await produce("referred", "--refer"), /Put 3 images into referred/);
      assert.deepEqual(await imagesIn("referred"), { empty: null, large: null, small: null });

      assert.match(await produce("sized"), /Put 0 images into sized/);
      await client.putObject(BUCKET, "sized/a new one", Buffer.alloc(10, "new"));
      await client.putObject(BUCKET, "sized/large", Buffer.alloc(2_000, "changed"));
      assert.match(await produce("sized"), /Put 2 images into sized/);
      assert.match(await produce("sized"), /Put 0 images into sized/);
    });
  });
});
