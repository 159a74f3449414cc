import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { loadConfig } from "../../cli/load-config.js";
import { startingYaml } from "../../cli/sluice-yaml.js";
import { temporaryFolder } from "../fixtures/temporary-folder.js";

test("init's lines for several processes, and for versions while images come, hold as they stand once they are uncommented", async (t) => {
  const folder = await temporaryFolder(t);
  const lines = startingYaml({ schema: "./s.json", teacher: null }).split("\n");
  const setting = /^( *)# ((?: {2})?(?:trigger: \{.*|kafka:|brokers: .*|prefix: .*|s3:|endpoint: .*|bucket: .*))$/;
  const open = lines.map((line) => line.replace(setting, "$1$2"));
  assert.equal(open.filter((line, at) => line !== lines[at]).length, 7);
  await writeFile(join(folder, "sluice.yaml"), open.join("\n"));
  const environment = { SLUICE_S3__ACCESS_KEY: "key", SLUICE_S3__SECRET_KEY: "secret" };
  const { config } = await loadConfig({ file: null, folder, environment, flags: [] });
  assert.deepEqual([config.kafka?.prefix, config.kafka?.brokers], ["sluice-", "broker-1:9092,broker-2:9092"]);
  assert.equal(config.s3?.bucket, "my-bucket");
  assert.deepEqual(config.datasets[0]!.trigger, { everyImages: 10000 });
});
