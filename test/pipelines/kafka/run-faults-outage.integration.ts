import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { LocalService } from "../../../deploy/local/local-service.js";
import { cannotStart } from "../../deploy/local/require-service.js";
import { imageRecord, jpeg, KafkaSite, type RunProcess } from "../../fixtures/kafka-site.js";
import { startedServices } from "../../fixtures/started-services.js";
import { TcpProxy } from "../../fixtures/tcp-proxy.js";

/** How long the broker and the store are away. By hand: SLUICE_OUTAGE_S=60, and SLUICE_OUTAGE_SIGNAL=SIGSTOP: they hang. */
const OUTAGE_MS = Number(process.env["SLUICE_OUTAGE_S"] ?? 6) * 1000;
const HANGS = process.env["SLUICE_OUTAGE_SIGNAL"] === "SIGSTOP";
/** How long the store is slow: a small part of what waits is scored meanwhile. */
const SLOW_MS = 12_000;
/** Images that wait meanwhile, of so many bytes: far more than a scorer may hold. */
const WAITING = 504;
const IMAGE_BYTES = 400_000;
const IN_FLIGHT_BYTES = 8_000_000;
/** What a scorer may grow by over an outage: its bytes in flight, what it has fetched ahead, and what V8 leaves lying. */
const GROWTH_BYTES = 100_000_000;

const seeds = (from: number, count: number): number[] => Array.from({ length: count }, (_, at) => from + at);
const rowsOf = (digests: readonly string[]): string[] => digests.map((digest, at) => `${at} ${digest}`);

interface Status {
  readonly storeAway: string | null;
  readonly kafka: {
    readonly away: string | null;
    readonly groups: readonly { group: string; topic: string; members: number; lag: number }[];
  };
  readonly teachers: readonly { waiting: number | null }[];
}

describe(
  "when the broker or the store is away",
  { skip: (await cannotStart("kafka")) || (await cannotStart("minio")) },
  () => {
    const services = startedServices();

    async function residentBytes({ pid }: RunProcess): Promise<number> {
      const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/status`, "utf8")) ?? [];
      return Number(kilobytes) * 1024;
    }

    const fall = (service: LocalService): Promise<void> => service.kill(HANGS ? "SIGSTOP" : "SIGKILL");
    const comeBack = (service: LocalService): Promise<void> => (HANGS ? service.kill("SIGCONT") : service.restart());

    const says = (site: KafkaSite, process: RunProcess, words: RegExp): Promise<true> =>
      site.until(`a process to say ${words}`, () => Promise.resolve(words.test(process.said) || null));

    async function status(site: KafkaSite): Promise<Status & { code: number; text: string }> {
      const [json, text] = await Promise.all([site.sluice("status", "--json"), site.sluice("status")]);
      assert.equal(text.code, json.code);
      return { ...(JSON.parse(json.stdout) as Status), code: json.code, text: text.stdout };
    }

    /** The images lie in the topic before the scorers can take them: `first` is scored, the rest waits. */
    async function waiting(site: KafkaSite, partition: number): Promise<void> {
      const filler = Buffer.alloc(IMAGE_BYTES);
      for (let from = 0; from < WAITING; from += 8) {
        const images = await Promise.all(seeds(1000 * (partition + 1) + from, 8).map((seed) => jpeg(seed)));
        // What follows a JPEG's end is none of a decoder's business.
        await site.append(
          partition,
          images.map((bytes) => imageRecord(Buffer.concat([bytes, filler]))),
        );
      }
    }

    const SETTINGS = {
      SLUICE_MAX_IN_FLIGHT_BYTES: String(IN_FLIGHT_BYTES),
      SLUICE_BYTES: "refer",
      SLUICE_RETAIN_BYTES: "winners",
    };

    test("broker: scorers wait, hold no more memory, status says so, and they go on by themselves", async (t) => {
      const site = await KafkaSite.open(t, services, { settings: SETTINGS });
      const first = [await site.put(0, seeds(1, 30)), await site.put(1, seeds(101, 30))];
      const scorers = [site.scorer("scorer-1"), site.scorer("scorer-2")];
      await site.scored();
      await site.committed();
      const before = await status(site);
      assert.equal(before.code, 0, before.text);
      assert.deepEqual(before.kafka.groups, [{ group: site.group, topic: site.stream, members: 2, lag: 0 }]);
      assert.match(before.text, new RegExp(`${site.group} +${site.stream} +2 members +0 behind`));
      const residentBefore = await Promise.all(scorers.map(residentBytes));

      await fall(services.kafka);
      const fallen = Date.now();
      const meanwhile = await status(site);
      assert.equal(meanwhile.code, 1);
      assert.match(meanwhile.kafka.away ?? "", /Expected to reach a broker/);
      assert.match(meanwhile.text, /log 127\.0\.0\.1:\d+: cannot be read\./);
      assert.match(meanwhile.text, /archived +60 records/);
      await sleep(Math.max(0, OUTAGE_MS - (Date.now() - fallen)));
      for (const [at, scorer] of scorers.entries()) {
        const grown = (await residentBytes(scorer)) - residentBefore[at]!;
        assert.ok(grown < GROWTH_BYTES, `grew by ${grown} bytes`);
      }
      await comeBack(services.kafka);
      const back = Date.now();
      const second = [await site.put(0, seeds(201, 30)), await site.put(1, seeds(301, 30))];
      const chains = await site.scored();
      await site.committed();
      const [awayS, recoveredS] = [(back - fallen) / 1000, (Date.now() - back) / 1000];
      t.diagnostic(`broker away for ${awayS} s; everything scored and committed ${recoveredS} s after`);
      assert.deepEqual(
        chains.map(({ rows }) => rows),
        [0, 1].map((partition) => rowsOf([...first[partition]!, ...second[partition]!])),
      );
      assert.equal((await status(site)).code, 0);
      for (const scorer of scorers) assert.equal(await scorer.end("SIGINT"), 0, scorer.said);
    });

    test("store: images pile up in the topic and not in memory, status says how far scorers are behind, and they go on", async (t) => {
      const site = await KafkaSite.open(t, services, { partitions: 1, settings: SETTINGS });
      await site.put(0, seeds(1, 30));
      const scorer = site.scorer("scorer-1");
      await site.scored();
      await site.committed();
      const residentBefore = await residentBytes(scorer);
      await fall(services.minio);
      const fallen = Date.now();
      await waiting(site, 0);
      const meanwhile = await status(site);
      assert.equal(meanwhile.code, 1);
      assert.match(meanwhile.storeAway ?? "", /Expected to (open|list|reach)/);
      assert.match(meanwhile.text, /store: cannot be read\./);
      assert.deepEqual(meanwhile.kafka.groups, [{ group: site.group, topic: site.stream, members: 1, lag: WAITING }]);
      await sleep(Math.max(0, OUTAGE_MS - (Date.now() - fallen)));
      const grown = (await residentBytes(scorer)) - residentBefore;
      assert.ok(grown < GROWTH_BYTES, `grew by ${grown} bytes, of ${WAITING * IMAGE_BYTES} that wait`);
      await says(site, scorer, /Waiting for \d+ s, going on by itself: Expected to \w+ .* http:/);
      t.diagnostic(
        `store away for ${OUTAGE_MS / 1000} s, ${WAITING * IMAGE_BYTES} bytes waiting: grew by ${grown} bytes`,
      );

      await comeBack(services.minio);
      const [chain] = await site.scored();
      await site.committed();
      assert.equal(chain!.rows.length, 30 + WAITING);
      assert.equal(chain!.rejected.length, 0);
      await says(site, scorer, /Going on after \d+ s: \w+ .* in http:/);
      assert.equal(await scorer.end("SIGINT"), 0, scorer.said);
    });

    test("a store that is away as a scorer starts is waited for, so long as --wait says", async (t) => {
      const site = await KafkaSite.open(t, services, { partitions: 1 });
      await site.put(0, seeds(1, 10));
      await fall(services.minio);
      const [impatient, patient] = ["1s", "80s"].map((wait, at) =>
        site.run(["score", "--data", `scorer-${at}`, "--wait", wait]),
      );
      assert.equal(await impatient!.exit(), 1, impatient!.said);
      assert.match(impatient!.said, /E_STORE_IO: Expected to reach http:.* Tried \d+ times in/);
      await says(site, patient!, /Waiting for \d+ s, going on by itself: Expected to reach http:/);
      await comeBack(services.minio);
      const [chain] = await site.scored();
      assert.equal(chain!.rows.length, 10);
      assert.match(patient!.said, /Going on after \d+ s: open http:/);
      assert.equal(await patient!.end("SIGINT"), 0, patient!.said);
    });

    test("a slow store: less is scored, memory stays as it is, and all of it is archived", async (t) => {
      const proxy = await TcpProxy.open(services.minio.port);
      t.after(() => proxy.close());
      const site = await KafkaSite.open(t, services, { partitions: 1, settings: SETTINGS });
      await site.put(0, seeds(1, 30));
      const scorer = site.scorer("scorer-1", {
        SLUICE_S3__ENDPOINT: `http://127.0.0.1:${proxy.port}`,
        SLUICE_ARCHIVE__SEGMENT_RECORDS: "64",
      });
      await site.scored();
      const residentBefore = await residentBytes(scorer);
      proxy.delayMs = 300;
      await waiting(site, 0);
      let most = 0;
      const slowUntil = Date.now() + SLOW_MS;
      await site.until("the slow time to be over", async () => {
        most = Math.max(most, (await residentBytes(scorer)) - residentBefore);
        return Date.now() > slowUntil ? true : null;
      });
      const [slowly] = await site.archived();
      assert.ok(slowly!.end < 30 + WAITING, "it was no test of waiting: all was archived meanwhile");
      proxy.delayMs = 0;
      const [chain] = await site.scored();
      assert.equal(chain!.rows.length, 30 + WAITING);
      assert.ok(most < GROWTH_BYTES, `grew by ${most} bytes, of ${WAITING * IMAGE_BYTES} that waited`);
      t.diagnostic(`slow store, ${WAITING * IMAGE_BYTES} bytes waiting: grew by ${most} bytes at most`);
      assert.equal(await scorer.end("SIGINT"), 0, scorer.said);
    });
  },
);
