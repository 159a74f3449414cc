import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import kafkajs from "kafkajs";
import { openKafkaLog } from "../../../connectors/log/kafka/kafka-log.js";
import { startKafka, type LocalKafka } from "../../../deploy/local/kafka.js";
import { decodeSegment } from "../../../schemas/segment.js";
import { cannotStart } from "../../deploy/local/require-service.js";
import { picture } from "../../fixtures/make-images.js";
import { writeSmallTeacher } from "../../fixtures/models.js";
import { pageExample, withConsoleProducer } from "../../fixtures/page-example.js";
import { pythonWith } from "../../fixtures/python-with.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";
import { alterTopic } from "../../fixtures/topic-settings.js";

const execute = promisify(execFile);
const MAIN = join(import.meta.dirname, "../../../cli/main.js");
const KAFKA_PYTHON = "3.0.12";

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function ran(
  program: string,
  args: readonly string[],
  environment: Record<string, string>,
  cwd: string,
): Promise<Ran> {
  const env = { ...process.env, ...environment };
  try {
    return { code: 0, ...(await execute(program, args, { env, cwd })) };
  } catch (error) {
    const failed = error as Error & { code: unknown; stdout: string; stderr: string };
    if (typeof failed.code !== "number") throw error;
    return { code: failed.code, stdout: failed.stdout, stderr: failed.stderr };
  }
}

/** What the archive says of each image, one text a row; the event time only where the producer named an origin */
async function archivedRows(folder: string): Promise<string[]> {
  const files = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith(".arrow"));
  const rows: string[] = [];
  for (const file of files) {
    const { batch } = decodeSegment(await readFile(join(folder, file)), file);
    for (let row = 0; row < batch.count; row++) {
      const origin = batch.origin.get(row);
      const time = origin === null ? "" : ` ${batch.eventTimeMs[row]!}`;
      rows.push(`${batch.uri.get(row)!} ${batch.licence.get(row)!} ${origin}${time}`);
    }
  }
  return rows;
}

describe("topics on kafka", { skip: await cannotStart("kafka") }, () => {
  let broker: LocalKafka;
  before(async () => {
    broker = await startKafka();
  });
  after(() => broker.stop());

  /** `sluice …` on a stream and a data folder of its own */
  function sluice(folder: string, stream: string, ...args: string[]): Promise<Ran> {
    const environment = {
      // As the page has it of images by reference, which the console producer sends
      SLUICE_SOURCES__ALLOW__ROOTS: JSON.stringify([folder]),
      SLUICE_KAFKA__BROKERS: broker.address,
      SLUICE_STREAM: stream,
      SLUICE_DATA: join(folder, "data"),
      SLUICE_PARTITIONS: "2",
    };
    return ran(process.execPath, [MAIN, ...args], environment, folder);
  }

  const alter = (topic: string, ...changes: string[]): Promise<void> => alterTopic(broker.address, topic, ...changes);

  async function photographs(folder: string, seeds: readonly number[]): Promise<string[]> {
    await mkdir(folder, { recursive: true });
    return Promise.all(
      seeds.map(async (seed) => {
        const file = join(folder, `${seed}.jpg`);
        await writeFile(file, await picture(40, 30, seed).jpeg().toBuffer());
        return file;
      }),
    );
  }

  test("create makes them, check finds nothing; each deviation is told, with what to do", async (t) => {
    const folder = await temporaryFolder(t);
    const before = await sluice(folder, "checked", "topics", "check", "--json");
    assert.equal(before.code, 1);
    const missing = JSON.parse(before.stdout) as { ok: boolean; deviations: { topic: string; message: string }[] };
    assert.equal(missing.ok, false);
    assert.equal(missing.deviations.length, 8);
    assert.match(missing.deviations[0]!.message, /found none.*sluice topics create/);

    const created = await sluice(folder, "checked", "topics", "create");
    assert.equal(created.code, 0, created.stdout + created.stderr);
    assert.match(created.stdout, /ok {4}checked \(images, created\)\n[^]*Nothing to mend\./);
    const again = await sluice(folder, "checked", "topics", "create", "--json");
    assert.deepEqual((JSON.parse(again.stdout) as { created: string[] }).created, []);

    await alter("sluice-checked-labels", "cleanup.policy=compact", "retention.ms=1000");
    await alter("checked", "max.message.bytes=1000000");
    const found = await sluice(folder, "checked", "topics", "check", "--json");
    assert.equal(found.code, 1);
    const { deviations } = JSON.parse(found.stdout) as { deviations: { topic: string; message: string }[] };
    assert.deepEqual(
      deviations.map(({ topic, message }) => `${topic} ${/found (\S+)/.exec(message)![1]!}`),
      ["checked 1000000:", "sluice-checked-labels compact:", "sluice-checked-labels 1000"],
    );
    // What it says to do is what helps.
    for (const { message } of deviations) {
      const [, topic, setting] = /--entity-name (\S+) --add-config ([^`]+)`/.exec(message)!;
      await alter(topic!, setting!);
    }
    assert.equal((await sluice(folder, "checked", "topics", "check")).code, 0);
  });

  test("images that retention takes before they are scored are told", async (t) => {
    const folder = await temporaryFolder(t);
    await sluice(folder, "old", "topics", "create");
    await alter("old", "retention.ms=3600000");
    const producer = new kafkajs.Kafka({ brokers: [broker.address], logLevel: kafkajs.logLevel.NOTHING }).producer();
    await producer.connect();
    t.after(() => producer.disconnect());
    const bounded = ["topics", "check", "--set", "kafka.imagesRetentionMs=3600000"];
    const send = (topic: string, ageMs: number): Promise<unknown> =>
      producer.send({ topic, messages: [{ partition: 1, value: "x", timestamp: String(Date.now() - ageMs) }] });
    const log = await openKafkaLog({ brokers: [broker.address] });
    t.after(() => log.close());
    // By the time of its append, not by its own
    await log.append("old", 0, [{ key: null, value: Buffer.from("x"), headers: {}, timestampMs: 0 }]);
    assert.match(
      (await sluice(folder, "old", "topics", "check")).stdout,
      /warn {2}old: expected retention.ms=-1, found 3600000/,
    );
    assert.match((await sluice(folder, "old", ...bounded)).stdout, /Nothing to mend\./);
    await send("old", 2_400_000);
    await send("old", 0);
    const halfway = await sluice(folder, "old", ...bounded);
    assert.equal(halfway.code, 0);
    assert.match(halfway.stdout, /warn {2}old: old\/1: 1 offset waiting for longer than half the retention/);
    await sluice(folder, "older", "topics", "create");
    await alter("older", "retention.ms=3600000");
    await send("older", 7_200_000);
    await send("older", 0);
    const going = await sluice(folder, "older", ...bounded);
    assert.equal(going.code, 1);
    assert.match(
      going.stdout,
      /fail {2}older: older\/1: .*found 1 offset not yet scored, which retention removes at any moment/,
    );
    // By the topic's size, while all of it is young
    await sluice(folder, "sized", "topics", "create");
    await alter("sized", "retention.bytes=100000");
    const fill = (): Promise<unknown> =>
      producer.send({ topic: "sized", messages: [{ partition: 0, value: Buffer.alloc(60_000) }] });
    await fill();
    const half = await sluice(folder, "sized", "topics", "check");
    assert.equal(half.code, 0);
    assert.match(
      half.stdout,
      /warn {2}sized: sized\/0: about 0.06 MB wait to be scored, more than half of what the topic/,
    );
    await fill();
    const full = await sluice(folder, "sized", "topics", "check");
    assert.equal(full.code, 1);
    assert.match(
      full.stdout,
      /fail {2}sized: sized\/0: about 0.12 MB wait to be scored, more than the topic keeps: .*any moment/,
    );
  });

  test("without a cluster, and without a broker, it says what to do", async (t) => {
    const folder = await temporaryFolder(t);
    const none = await ran(process.execPath, [MAIN, "topics", "check"], {}, folder);
    assert.equal(none.code, 2);
    assert.match(none.stderr, /E_CONFIG: .*SLUICE_KAFKA__BROKERS/);
    const away = await ran(
      process.execPath,
      [MAIN, "topics", "check"],
      { SLUICE_KAFKA__BROKERS: "127.0.0.1:1" },
      folder,
    );
    assert.equal(away.code, 1);
    assert.match(away.stderr, /E_LOG_IO: Expected to reach a broker in kafka:\/\/127.0.0.1:1/);
  });

  test("images from Python and from the console producer are scored, as the page says", async (t) => {
    const folder = await temporaryFolder(t);
    await writeSmallTeacher(join(folder, "teacher"), "onnx");
    const created = await sluice(folder, "pictures", "topics", "create");
    assert.equal(created.code, 0, created.stdout + created.stderr);

    const byConsole = await photographs(join(folder, "console"), [1, 2, 3]);
    await writeFile(join(folder, "produce.sh"), await pageExample("produce.sh"));
    const path = { PATH: await withConsoleProducer(folder) };
    const said = await ran("sh", ["produce.sh", broker.address, "pictures", ...byConsole], path, folder);
    assert.equal(said.code, 0, said.stderr);

    const python = await pythonWith("kafka-python", KAFKA_PYTHON);
    const byPython = await photographs(join(folder, "python"), [4, 5, 6, 7]);
    if ("reason" in python) process.stderr.write(`\n*** NOT TESTED: the example in Python: ${python.reason} ***\n\n`);
    else {
      await writeFile(join(folder, "produce.py"), await pageExample("produce.py"));
      const sent = await ran(python.python, ["produce.py", broker.address, "pictures", ...byPython], {}, folder);
      assert.equal(sent.code, 0, sent.stderr);
      assert.match(sent.stdout, /4 images are in pictures/);
    }
    const count = "reason" in python ? 3 : 7;

    const ingested = await sluice(
      folder,
      "pictures",
      "ingest",
      "--teacher",
      "teacher",
      "--k",
      "7",
      "--p",
      "3",
      "--json",
    );
    assert.equal(ingested.code, 0, ingested.stdout + ingested.stderr);
    const { counts } = JSON.parse(ingested.stdout) as { counts: Record<string, number> };
    assert.deepEqual([counts["scored"], counts["quarantined"]], [count, 0], ingested.stdout);

    const rows = (await archivedRows(join(folder, "data/store/scores"))).sort();
    const uriOf = (file: string): string => pathToFileURL(file).href;
    const times = await Promise.all(
      byPython.map(async (file) => (await stat(file, { bigint: true })).mtimeNs / 1_000_000n),
    );
    assert.deepEqual(
      rows.filter((row) => row.includes("/console/")),
      byConsole.map((file) => `${uriOf(file)} CC0-1.0 null`),
    );
    if (!("reason" in python)) {
      assert.deepEqual(
        rows.filter((row) => row.includes("/python/")),
        byPython.map((file, at) => `${uriOf(file)} CC-BY-4.0 camera 7 ${times[at]!}`),
      );
    }

    // Nothing is left, and nothing is scored again.
    const status = await sluice(folder, "pictures", "status", "--json");
    const { teachers } = JSON.parse(status.stdout) as { teachers: { waiting: number }[] };
    assert.deepEqual(
      teachers.map(({ waiting }) => waiting),
      [0],
    );
    const again = await sluice(folder, "pictures", "ingest", "--teacher", "teacher", "--json");
    assert.equal((JSON.parse(again.stdout) as { counts: Record<string, number> }).counts["scored"], 0);
    const checked = await sluice(folder, "pictures", "topics", "check");
    assert.equal(checked.code, 0, checked.stdout);
  });
});
