import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { cannotStart } from "../../deploy/local/require-service.js";
import { KafkaSite } from "../../fixtures/kafka-site.js";
import { startedServices } from "../../fixtures/started-services.js";

const COUNT = 40;
const seeds = (from: number, count: number): number[] => Array.from({ length: count }, (_, at) => from + at);

describe("all parts in one process", { skip: (await cannotStart("kafka")) || (await cannotStart("minio")) }, () => {
  const services = startedServices();

  interface Shown {
    readonly number: number;
    readonly id: string;
  }

  async function newest(site: KafkaSite): Promise<Shown | null> {
    const { code, stdout } = await site.sluice("versions", "show", "latest", "--json");
    return code === 0 ? (JSON.parse(stdout) as Shown) : null;
  }

  test("run all: images in, a version out, Ctrl-C ends it with 0; run compact: files out, and the version stays as it is", async (t) => {
    const site = await KafkaSite.open(t, services, { dataset: { trigger: { everyImages: COUNT } } });
    const all = site.run([
      "all",
      "--data",
      "all",
      "--judge-every",
      "1s",
      "--compact-every",
      "1s",
      "--older-than",
      "1h",
    ]);
    await site.put(0, seeds(1, COUNT / 2));
    await site.put(1, seeds(101, COUNT / 2));
    const version = await site.until("a version", () => newest(site));
    assert.equal(version.number, 1);
    assert.equal(await all.end("SIGINT"), 0, all.said);
    assert.match(all.said, /Stopping: what is in flight is finished/);
    assert.match(all.said, /Published best\/1\./);

    const compacting = site.run(["compact", "--compact-every", "1s", "--older-than", "1s"]);
    await site.until("compacted files", async () => {
      for await (const { key } of site.store.list("runs/")) if (key.endsWith(".parquet")) return true;
      return null;
    });
    await site.until("what it did to be said", async () => (/Compacted|segment/i.test(compacting.said) ? true : null));
    assert.equal(await compacting.end("SIGINT"), 0, compacting.said);
    assert.match(compacting.said, /Compacted \d+ segments\./);
    const verified = await site.sluice("versions", "verify", "latest");
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    const rebuilt = await site.sluice("rebuild", "--json");
    assert.ok(rebuilt.stdout.includes(version.id), rebuilt.stdout + rebuilt.stderr);
  });

  test("a second Ctrl-C ends it at once, with the broker away too; the next run has all of it", async (t) => {
    const site = await KafkaSite.open(t, services, { dataset: { trigger: { everyImages: 2 * COUNT } } });
    const first = site.run(["all", "--data", "all"]);
    await site.put(0, seeds(1, COUNT));
    await site.scored();
    // Standing still, the broker lets nobody leave the group: ending in order takes long.
    await services.kafka.kill("SIGSTOP");
    try {
      first.signal("SIGINT");
      await site.until("to be told that it ends", async () => (first.said.includes("Stopping:") ? true : null));
      await sleep(500);
      assert.equal(first.ended, null, first.said);
      const pressed = Date.now();
      assert.equal(await first.end("SIGINT"), 130, first.said);
      assert.ok(Date.now() - pressed < 2000);
      assert.match(first.said, /Ended at once\. Nothing written down is lost/);
    } finally {
      await services.kafka.kill("SIGCONT");
    }
    await site.put(1, seeds(101, COUNT));
    const second = site.run(["all", "--data", "all"]);
    await site.until("a version", () => newest(site));
    const chains = await site.archived();
    assert.deepEqual(
      chains.map(({ rows, lost }) => [rows.length, lost]),
      [
        [COUNT, 0],
        [COUNT, 0],
      ],
    );
    assert.equal(await second.end("SIGTERM"), 0, second.said);
  });
});
