import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { sha256Hex } from "../../../schemas/canonical.js";
import { cannotStart } from "../../deploy/local/require-service.js";
import { KafkaSite } from "../../fixtures/kafka-site.js";
import { startedServices } from "../../fixtures/started-services.js";
import { TcpProxy } from "../../fixtures/tcp-proxy.js";

const seeds = (from: number, count: number): number[] => Array.from({ length: count }, (_, at) => from + at);
const rowsOf = (digests: readonly string[]): string[] => digests.map((digest, at) => `${at} ${digest}`);

describe(
  "scorers that die or stand still",
  { skip: (await cannotStart("kafka")) || (await cannotStart("minio")) },
  () => {
    const services = startedServices();

    /** SHA-256 of every object of the archive, by key */
    async function objects(site: KafkaSite): Promise<Map<string, string>> {
      const found = new Map<string, string>();
      for (const prefix of ["scores/", "runs/"]) {
        for await (const { key } of site.store.list(prefix)) found.set(key, sha256Hex(await site.store.get(key)));
      }
      return found;
    }

    /** The offset in the key of a segment that a client is about to write; null for any other request */
    const segmentWritten = (piece: Buffer): number | null => {
      const [, start] = /^PUT \/[^ ]*\/(\d{20})\.arrow/.exec(piece.subarray(0, 500).toString("latin1")) ?? [];
      return start === undefined ? null : Number(start);
    };

    async function proxied(t: { after: (end: () => Promise<void>) => void }): Promise<TcpProxy> {
      const proxy = await TcpProxy.open(services.minio.port);
      t.after(() => proxy.close());
      return proxy;
    }

    const through = (proxy: TcpProxy): Record<string, string> => ({
      SLUICE_S3__ENDPOINT: `http://127.0.0.1:${proxy.port}`,
    });

    test("one that dies between its segment and its candidates: not scored again, and the next one tells them", async (t) => {
      const site = await KafkaSite.open(t, services, { partitions: 1 });
      const proxy = await proxied(t);
      const images = await site.put(0, seeds(1, 30));
      const reached = new Promise<number>((resolve) => {
        proxy.onRequest = (piece) => {
          const start = segmentWritten(piece);
          if (start === null || start < 8) return {};
          resolve(start);
          // The store has the segment; the scorer is never told.
          return { answers: new Promise(() => undefined) };
        };
      });
      const dying = site.scorer("scorer-1", through(proxy));
      const start = await reached;
      await site.until("the segment to be there", async () =>
        (await site.archived())[0]!.segments.some((one) => one.start === start) ? true : null,
      );
      await dying.end("SIGKILL");
      const told = await site.told();
      const before = await objects(site);
      const [{ segments }] = (await site.archived()) as [Awaited<ReturnType<KafkaSite["archived"]>>[number]];
      const last = segments.at(-1)!;
      assert.ok(!told.includes(`0 [${last.start}, ${last.end})`), told.join());
      assert.ok(last.end < 30, "there is more to score");

      const successor = site.scorer("scorer-2");
      const [chain] = await site.scored();
      await site.committed();
      assert.deepEqual(chain!.rows, rowsOf(images));
      const now = await objects(site);
      for (const [key, digest] of before) assert.equal(now.get(key), digest, key);
      const all = await site.told();
      for (const one of chain!.segments)
        assert.ok(all.includes(`0 [${one.start}, ${one.end})`), `${one.start}: ${all.join()}`);
      assert.equal(await successor.end("SIGINT"), 0, successor.said);
    });

    test("one that stood still while others had its partition, and its segment was compacted, overwrites nothing", async (t) => {
      const site = await KafkaSite.open(t, services, { partitions: 1 });
      const proxy = await proxied(t);
      const images = await site.put(0, seeds(1, 30));
      let release = (): void => undefined;
      const released = new Promise<void>((resolve) => {
        release = resolve;
      });
      const reached = new Promise<number>((resolve) => {
        proxy.onRequest = (piece) => {
          const start = segmentWritten(piece);
          if (start === null || start < 8) return {};
          resolve(start);
          return { requests: released };
        };
      });
      const zombie = site.scorer("scorer-1", through(proxy));
      const start = await reached;
      zombie.signal("SIGSTOP");
      const other = site.scorer("scorer-2");
      await site.scored();
      await site.committed();
      const compacted = await site.sluice("compact");
      assert.equal(compacted.code, 0, compacted.stderr);
      const before = await objects(site);
      assert.ok(
        [...before.keys()].some((key) => key.endsWith(".parquet")),
        compacted.stdout,
      );

      // Its segment arrives at the store only now.
      release();
      await sleep(500);
      zombie.signal("SIGCONT");
      assert.equal(await other.end("SIGINT"), 0, other.said);
      const more = await site.put(0, seeds(101, 20));
      const [chain] = await site.scored();
      assert.deepEqual(chain!.rows, rowsOf([...images, ...more]));
      const now = await objects(site);
      for (const [key, digest] of before) assert.equal(now.get(key), digest, key);
      assert.ok(chain!.segments.some((one) => one.start === start));
      assert.equal(await zombie.end("SIGINT"), 0, zombie.said);
      // Rows are as before for whoever reads them.
      const rebuilt = await site.sluice("rebuild", "--json");
      assert.equal(rebuilt.code, 0, rebuilt.stderr);
    });
  },
);
