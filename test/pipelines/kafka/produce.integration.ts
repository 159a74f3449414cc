import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { openKafkaLog, type KafkaLog } from "../../../connectors/log/kafka/kafka-log.js";
import { startKafka, type LocalKafka } from "../../../deploy/local/kafka.js";
import { decodeImageRecord, type ImageRecord } from "../../../schemas/image-record.js";
import { batchesOf } from "../../conformance/log.js";
import { cannotStart } from "../../deploy/local/require-service.js";
import { picture } from "../../fixtures/make-images.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

const MAIN = join(import.meta.dirname, "../../../cli/main.js");

describe("sluice produce", { skip: await cannotStart("kafka") }, () => {
  let broker: LocalKafka;
  let log: KafkaLog;
  before(async () => {
    broker = await startKafka();
    log = await openKafkaLog({ brokers: [broker.address] });
  });
  after(async () => {
    await log.close();
    await broker.stop();
  });

  const environment = (stream: string): NodeJS.ProcessEnv => ({
    ...process.env,
    SLUICE_KAFKA__BROKERS: broker.address,
    SLUICE_STREAM: stream,
    SLUICE_PARTITIONS: "3",
  });

  async function sluice(folder: string, stream: string, ...args: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...args], {
      cwd: folder,
      env: environment(stream),
    });
    return stdout;
  }

  async function imagesIn(stream: string): Promise<ImageRecord[]> {
    const images: ImageRecord[] = [];
    for (const [partition, { end }] of (await log.ends(stream)).entries()) {
      if (end === 0) continue;
      const read = await batchesOf(log, stream, 0, { maxRecords: 100, maxBytes: 1e6, until: end }, partition);
      images.push(
        ...read.flatMap((batch) => batch.records.map((one) => decodeImageRecord(one, { stream, partition }))),
      );
    }
    return images.sort((a, b) => (a.uri < b.uri ? -1 : 1));
  }

  test("killed at any moment and run again it puts every image in once; later only what is new", async (t) => {
    const folder = await temporaryFolder(t);
    const pictures = join(folder, "pictures");
    await mkdir(pictures);
    const count = 200;
    const names = Array.from({ length: count }, (_, i) => `${String(i).padStart(3, "0")}.jpg`);
    const bytes = await Promise.all(names.map((_, seed) => picture(24, 16, seed).jpeg().toBuffer()));
    await Promise.all(names.map((name, i) => writeFile(join(pictures, name), bytes[i]!)));
    await sluice(folder, "slow", "topics", "create");

    const args = [MAIN, "produce", "pictures", "--rate", "20", "--progress", "json"];
    const env = environment("slow");
    for (const killAt of [8, 20]) {
      const child = spawn(process.execPath, args, { cwd: folder, env, stdio: ["ignore", "ignore", "pipe"] });
      for await (const line of createInterface({ input: child.stderr })) {
        const { progress } = line.startsWith("{") ? (JSON.parse(line) as { progress?: { done: number } }) : {};
        if (progress !== undefined && progress.done >= killAt) break;
      }
      child.kill("SIGKILL");
      await once(child, "close");
      const there = (await log.ends("slow")).reduce((sum, { end }) => sum + end, 0);
      assert.ok(there >= killAt && there < count, `${there} images were in the topic when the producer was killed`);
    }
    await sluice(folder, "slow", "produce", "pictures");
    const images = await imagesIn("slow");
    assert.deepEqual(
      images.map(({ uri }) => uri.slice(-7)),
      names,
    );
    assert.deepEqual(
      images.map((image) => Buffer.from(image.bytes ?? [])),
      bytes,
    );

    assert.match(await sluice(folder, "slow", "produce", "pictures"), /Put 0 images into slow/);
    await writeFile(join(pictures, "000-new.jpg"), bytes[3]!);
    assert.match(await sluice(folder, "slow", "produce", "pictures"), /Put 1 image into slow/);
  });

  test("large images, empty files and all with --refer go by reference", async (t) => {
    const folder = await temporaryFolder(t);
    await mkdir(join(folder, "pictures"));
    await writeFile(join(folder, "pictures/empty.jpg"), "");
    await writeFile(join(folder, "pictures/large.jpg"), Buffer.alloc(2_000, 1));
    await writeFile(join(folder, "pictures/small.jpg"), Buffer.alloc(1_000, 2));
    await sluice(folder, "sized", "topics", "create");
    await sluice(folder, "sized", "produce", "pictures", "--set", "kafka.inlineBytes=1500");
    assert.deepEqual(
      (await imagesIn("sized")).map(({ bytes }) => bytes?.length ?? null),
      [null, null, 1_000],
    );
    await sluice(folder, "referred", "topics", "create");
    await sluice(folder, "referred", "produce", "pictures", "--refer");
    assert.deepEqual(
      (await imagesIn("referred")).map(({ bytes }) => bytes),
      [null, null, null],
    );
  });

  test("without the topic it says what to do", async (t) => {
    const folder = await temporaryFolder(t);
    await mkdir(join(folder, "pictures"));
    await writeFile(join(folder, "pictures", "a.png"), await picture(8, 8).png().toBuffer());
    await assert.rejects(sluice(folder, "absent", "produce", "pictures"), /E_LOG_IO: .*`sluice topics create`/);
  });
});
