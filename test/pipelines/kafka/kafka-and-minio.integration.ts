import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { startKafka } from "../../../deploy/local/kafka.js";
import { startMinio } from "../../../deploy/local/minio.js";
import { cannotStart } from "../../deploy/local/require-service.js";
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
    await sluice(services, "topics", "create");
    assert.match(await sluice(services, "produce", "pictures"), new RegExp(`Put ${COUNT} images into images`));
    const remote = JSON.parse(await sluice(services, "ingest", "--json")) as Shown;
    const local = JSON.parse(await sluice({ SLUICE_DATA: "local" }, "ingest", "pictures", "--json")) as Shown;
    assert.equal(remote.counts["scored"], COUNT);
    assert.equal(remote.published[0]!.id, local.published[0]!.id);

    // Ends with another code where anything is not as the manifest says.
    await sluice(services, "versions", "verify", "latest");
    const rebuilt = await sluice(services, "rebuild", "--json");
    assert.ok(rebuilt.includes(remote.published[0]!.id), rebuilt);
    assert.match(await sluice(services, "topics", "check"), /Nothing to mend\./);
    // The data folder holds what this machine remembers, and no objects.
    assert.deepEqual((await readdir(join(folder, "remote"))).sort(), ["log", "produced", "stages"]);
  },
);
