import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { currentFrontier } from "../../../operators/archive/archive-reader.js";
import { streamTeachers } from "../../../pipelines/teachers/change-teacher.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { cannotStart } from "../../deploy/local/require-service.js";
import { KafkaSite } from "../../fixtures/kafka-site.js";
import { startedServices } from "../../fixtures/started-services.js";
import { writeSmallTeacher } from "../../fixtures/models.js";

const seeds = (from: number, count: number): number[] => Array.from({ length: count }, (_, at) => from + at);

describe(
  "changing the teacher on Kafka",
  { skip: (await cannotStart("kafka")) || (await cannotStart("minio")) },
  () => {
    const services = startedServices();

    test("running scorers follow a promotion and a rollback; each teacher has scored all before it stands", async (t) => {
      const site = await KafkaSite.open(t, services, { partitions: 2 });
      const { card } = await writeSmallTeacher(join(site.folder, "b"), "onnx", { seed: 901 });
      const b = teacherDigest(card);
      const scored = async (teacher: string): Promise<number> => {
        const frontier = await currentFrontier(site.store, { teacher, stream: site.stream });
        return frontier.reduce((sum, { origin, end }) => sum + end - origin, 0);
      };
      const stands = async (): Promise<string | undefined> =>
        (await streamTeachers(site.store, site.stream)).stands?.digest;

      await site.put(0, seeds(1, 12));
      await site.put(1, seeds(101, 9));
      const running = site.run(["all", "--data", "runner"]);
      await site.scored();
      const promoted = await site.sluice("teacher", "promote", "b", "--force", "--wait", "--json");
      assert.equal(promoted.code, 0, promoted.stdout + promoted.stderr);
      assert.equal(await stands(), b);
      assert.equal(await scored(b), 21, "all that the log has, before it stood");

      await site.put(0, seeds(201, 5));
      await site.until("the new teacher to score what comes", async () => ((await scored(b)) === 26 ? true : null));
      assert.equal(await scored(site.teacher), 21, "the old one does not go on");
      assert.match(running.said, /stands now/);

      const back = await site.sluice("teacher", "rollback", "--wait");
      assert.equal(back.code, 0, back.stdout + back.stderr);
      assert.match(back.stderr, /first scores 5 records that came since it stopped/);
      assert.equal(await stands(), site.teacher);
      assert.equal(await scored(site.teacher), 26);
      assert.equal(running.ended, null, "one process, all along");
    });
  },
);
