import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { cannotStart } from "../../deploy/local/require-service.js";
import { decodeQuarantined } from "../../../schemas/wire/quarantined.js";
import { imageRecord, KafkaSite } from "../../fixtures/kafka-site.js";
import { startedServices } from "../../fixtures/started-services.js";
import { writeSmallTeacher } from "../../fixtures/models.js";
import { join } from "node:path";

const seeds = (from: number, count: number): number[] => Array.from({ length: count }, (_, at) => from + at);
const TEACHER = 77;

describe(
  "several streams on one cluster",
  { skip: (await cannotStart("kafka")) || (await cannotStart("minio")) },
  () => {
    const services = startedServices();

    test("two streams by one teacher both flow, and so do two replays by another", async (t) => {
      const sites = [];
      for (let at = 0; at < 2; at++) {
        const site = await KafkaSite.open(t, services, { partitions: 1, teacherSeed: TEACHER });
        await site.put(0, seeds(1 + 100 * at, 20));
        await site.append(0, [imageRecord(Buffer.from("no image at all"))]);
        await writeSmallTeacher(join(site.folder, "b"), "onnx", { seed: TEACHER + 1 });
        sites.push(site);
      }
      assert.equal(sites[0]!.teacher, sites[1]!.teacher);
      for (const site of sites) {
        site.scorer("scorer-1");
        site.run(["topk"]);
        site.run(["publish"]);
      }
      const replays = sites.map((site) => site.sluice("replay", "--teacher", "b", "--data", "replay-1", "--json"));
      for (const [at, site] of sites.entries()) {
        const [chain] = await site.scored();
        assert.equal(chain!.rows.length, 20);
        await site.committed();
        const replayed = await replays[at]!;
        assert.equal(replayed.code, 0, replayed.stderr);
        assert.equal((JSON.parse(replayed.stdout) as { counts: { scored: number } }).counts.scored, 20);
        const place = { topic: site.topic("quarantine"), partition: 0 };
        const refused = (await site.everything(place.topic, 0)).map((record) => decodeQuarantined(record, place));
        assert.equal(new Set(refused.map(({ teacher }) => teacher)).size, 2, "the live teacher's and the replay's");
        for (const { stream, offset } of refused) assert.deepEqual([stream, offset], [site.stream, 20]);
        const { stdout } = await site.sluice("status", "--json");
        const { groups } = (JSON.parse(stdout) as { kafka: { groups: { group: string; lag: number }[] } }).kafka;
        assert.ok(groups.length >= 3, stdout);
        for (const { group } of groups) assert.ok(group.startsWith(`sluice-${site.stream}-`), group);
      }
    });

    test("a process with another store than the stream's is refused; a store in the data folder, unless there is one machine", async (t) => {
      const site = await KafkaSite.open(t, services, { partitions: 1 });
      await site.put(0, seeds(1, 10));
      const first = site.scorer("scorer-1");
      await site.scored();
      assert.equal(await first.end("SIGINT"), 0, first.said);
      const elsewhere = await site.sluice("status", "--set", "s3.prefix=another");
      assert.match(elsewhere.stdout, /fail +.*Expected the store that stream "images-\d+" is archived in \(http:/);
      const local = Object.fromEntries(
        Object.keys(site.environment).flatMap((name) => (/^SLUICE_S3__|^AWS_/.test(name) ? [[name, undefined]] : [])),
      );
      const unsaid = site.run(["score", "--data", "scorer-2"], local);
      assert.equal(await unsaid.exit(), 2, unsaid.said);
      assert.match(unsaid.said, /E_CONFIG: Expected a store that all processes/);
      const said = site.run(["score", "--data", "scorer-2", "--one-machine"], local);
      assert.equal(await said.exit(), 1, said.said);
      assert.match(said.said, /E_STORE_OTHER: Expected the store that stream "images-\d+" is archived in \(http:/);
    });
  },
);
