import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { openKafkaLog } from "../../../connectors/log/kafka/kafka-log.js";
import { startKafka } from "../../../deploy/local/kafka.js";
import { startMinio } from "../../../deploy/local/minio.js";
import { cannotStart } from "../../deploy/local/require-service.js";
import { ranSluice } from "../../fixtures/kafka-site.js";
import { picture } from "../../fixtures/make-images.js";
import { writeSmallTeacher } from "../../fixtures/models.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

const MAIN = join(import.meta.dirname, "../../../cli/main.js");
const COUNT = 60;

interface Shown {
  readonly published: readonly { readonly id: string; readonly number: number }[];
  readonly counts: Readonly<Record<string, number>>;
}

test(
  "on Kafka and MinIO the same images give the version that they give on one machine, with the bytes in the bucket",
  { skip: (await cannotStart("kafka")) || (await cannotStart("minio")) },
  async (t) => {
    const [kafka, minio] = await Promise.all([startKafka(), startMinio()]);
    t.after(() => Promise.all([kafka.stop(), minio.stop()]));
    const folder = await temporaryFolder(t);
    await mkdir(join(folder, "pictures"));
    await writeSmallTeacher(join(folder, "teacher"), "onnx");
    for (let seed = 0; seed < COUNT; seed++) {
      const name = `${String(seed).padStart(2, "0")}.jpg`;
      await writeFile(join(folder, "pictures", name), await picture(40, 30, seed).jpeg().toBuffer());
    }
    await writeFile(join(folder, "pictures", "broken.jpg"), "no image at all");
    const common = {
      SLUICE_TEACHER: "teacher",
      SLUICE_BYTES: "keep",
      SLUICE_DATASETS__0__SELECT__K: "5",
      SLUICE_DATASETS__0__SELECT__P: "3",
    };
    const sluice = async (environment: object, ...args: string[]): Promise<string> => {
      const env = { ...process.env, ...common, ...environment };
      return (await promisify(execFile)(process.execPath, [MAIN, ...args], { cwd: folder, env })).stdout;
    };

    const services = { ...kafka.environment, ...minio.environment, SLUICE_DATA: "remote", SLUICE_PARTITIONS: "3" };
    const tried = async (environment: object): Promise<string[]> => {
      const env = { ...process.env, ...common, ...services, ...environment };
      const { code, stdout } = await ranSluice(["check", "--json"], { cwd: folder, env });
      const { lines } = JSON.parse(stdout) as { lines: { subject: string; state: string; message: string }[] };
      assert.equal(code, lines.some(({ state }) => state === "fail") ? 1 : 0, stdout);
      return lines
        .filter(({ subject }) => ["broker", "topics", "bucket", "clock", "sources"].includes(subject))
        .map(({ subject, state, message }) => `${state} ${subject}: ${message}`);
    };
    const lacking = await tried({
      SLUICE_S3__BUCKET: "no-such-bucket",
      SLUICE_SOURCES__ALLOW__ROOTS: JSON.stringify([join(folder, "pictures"), join(folder, "gone")]),
    });
    assert.match(lacking[0]!, /^ok broker: 127/);
    assert.equal(lacking.filter((line) => /^fail topics: .*Create it: `sluice topics create`/.test(line)).length, 8);
    assert.match(lacking.join("\n"), /^fail bucket: .*no-such-bucket/m);
    assert.match(lacking.join("\n"), /^ok sources: .*pictures can be read$/m);
    assert.match(lacking.join("\n"), /^warn sources: expected to read .*gone \(sources.allow.roots\), found ENOENT/m);

    await sluice(services, "topics", "create");
    const whole = await tried({});
    assert.deepEqual(
      whole.map((line) => line.split(":")[0]),
      ["ok broker", "ok topics", "ok clock", "ok bucket"],
    );
    assert.match(whole[3]!, /listed, written, read and deleted from; of writers that race for a key one wins/);
    assert.match(await sluice(services, "produce", "pictures"), new RegExp(`Put ${COUNT + 1} images into images`));
    const remote = JSON.parse(await sluice(services, "ingest", "--json")) as Shown;
    const local = JSON.parse(await sluice({ SLUICE_DATA: "local" }, "ingest", "pictures", "--json")) as Shown;
    assert.equal(remote.counts["scored"], COUNT);
    assert.equal(remote.published[0]!.id, local.published[0]!.id);

    // Ends with another code where anything is not as the manifest says.
    await sluice(services, "versions", "verify", "latest");
    const rebuilt = await sluice(services, "rebuild", "--json");
    assert.ok(rebuilt.includes(remote.published[0]!.id), rebuilt);
    assert.match(await sluice(services, "topics", "check"), /Nothing to mend\./);
    // Each command tells of the version that it makes, and `ingest` of what it quarantined: once each, as none died meanwhile.
    await sluice(services, "rebuild", "--set", "datasets.0.select.k=4");
    await sluice(services, "ingest");
    const log = await openKafkaLog({ brokers: [kafka.address] });
    t.after(() => log.close());
    const keysOf = async (topic: string): Promise<string[]> => {
      const end = (await log.ends(topic))[0]!.end;
      const records = await log.fetch(
        topic,
        0,
        Array.from({ length: end }, (_, at) => at),
      );
      return records.map(({ key }) => Buffer.from(key!).toString());
    };
    assert.deepEqual(await keysOf("sluice-images-versions"), ["default/1", "default/2", "default/3"]);
    const refused = await keysOf("sluice-images-quarantine");
    assert.equal(refused.length, 1);
    assert.match(refused[0]!, /^[0-9a-f]{64}\/images\/\d\/\d+$/);
    // Topics that would lose something stop it, as they stop `run`.
    const kept = { ...services, SLUICE_KAFKA__TOPICS__QUARANTINE: "absent" };
    await assert.rejects(sluice(kept, "ingest"), /E_LOG_IO: Topic absent: expected a topic for quarantine, found none/);
    // The data folder holds what this machine remembers, and no objects.
    assert.deepEqual((await readdir(join(folder, "remote"))).sort(), ["log", "produced", "stages"]);
  },
);
