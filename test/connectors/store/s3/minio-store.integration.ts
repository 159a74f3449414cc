import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { after, before, describe, mock, test, type TestContext } from "node:test";
import fc from "fast-check";
import { Client } from "minio";
import type { RetryEvent } from "../../../../connectors/bounded-retry.js";
import {
  openMinioStore,
  type MinioStore,
  type MinioStoreOptions,
} from "../../../../connectors/store/s3/minio-store.js";
import type { Store } from "../../../../connectors/store/store.js";
import { startMinio, type LocalObjectStore } from "../../../../deploy/local/minio.js";
import { startVersitygw } from "../../../../deploy/local/versitygw.js";
import { freePort } from "../../../../deploy/local/server-process.js";
import { isSluiceError } from "../../../../schemas/errors.js";
import { assertOneWinnerEach } from "../../../conformance/store-race.js";
import { storeConformance } from "../../../conformance/store.js";
import { cannotStart } from "../../../deploy/local/require-service.js";
import { FaultProxy, s3Error, type Reply } from "./fault-proxy.js";

const MIB = 1024 * 1024;

async function keysOf(store: Store, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

for (const [name, start] of [
  ["minio", startMinio],
  ["versitygw", startVersitygw],
] as const) {
  const skip = await cannotStart(name);
  const conforming: { server?: LocalObjectStore } = {};
  storeConformance({
    name: `S3 on ${name}`,
    skip,
    runs: 12,
    open: async () => {
      conforming.server = await start();
      const { port, accessKey, secretKey, bucket } = conforming.server;
      return openMinioStore({
        endPoint: "127.0.0.1",
        port,
        useSSL: false,
        accessKey,
        secretKey,
        bucket,
        prefix: "a/b",
      });
    },
    afterwards: async () => conforming.server?.stop(),
  });

  describe(`the S3 store on ${name}`, { skip }, () => {
    let server: LocalObjectStore;
    let proxy: FaultProxy;

    before(async () => {
      server = await start();
      proxy = await FaultProxy.start(server.port);
    });
    after(async () => {
      await proxy.stop();
      await server.stop();
    });

    let places = 0;
    /** Each opened below a prefix of its own */
    async function open(t: TestContext, options: Partial<MinioStoreOptions> = {}): Promise<MinioStore> {
      const { port, accessKey, secretKey, bucket } = server;
      const store = await openMinioStore({
        endPoint: "127.0.0.1",
        port,
        useSSL: false,
        accessKey,
        secretKey,
        bucket,
        prefix: `test-${places++}`,
        ...options,
      });
      t.after(() => store.close());
      return store;
    }

    /** Through the proxy, which behaves well until the test says otherwise */
    async function openThroughProxy(t: TestContext, options: Partial<MinioStoreOptions> = {}): Promise<MinioStore> {
      proxy.behaviour = (_, forward) => forward();
      const store = await open(t, { port: proxy.port, conditionalWrites: "trusted", ...options });
      proxy.requests.length = 0;
      t.after(() => {
        proxy.behaviour = (_, forward) => forward();
      });
      return store;
    }

    /** Lets the first request that `matches` reach the server, and gives another answer than the server's. */
    function spoil(matches: RegExp, answer: (reply: Reply) => Reply | "break" | "silence"): void {
      let spoiled = false;
      proxy.behaviour = async ({ method, url }, forward) => {
        const reply = await forward();
        if (spoiled || !matches.test(`${method} ${url}`)) return reply;
        spoiled = true;
        return answer(reply);
      };
    }

    test("of 8 processes exactly one creates a key, 200 times", async (t) => {
      const store = await open(t, { prefix: "" });
      const program = join(import.meta.dirname, "minio-store-race-program.js");
      const { port, bucket, accessKey, secretKey } = server;
      const args = [String(port), bucket, accessKey, secretKey];
      await assertOneWinnerEach(t, store, "versions/wild", program, args);
    });

    for (const [how, answer] of [
      ["a 503", s3Error(503, "SlowDown")],
      ["a broken connection", "break"],
      ["silence", "silence"],
    ] as const) {
      test(`a commit whose answer was lost to ${how} is one's own`, async (t) => {
        const store = await openThroughProxy(t, { stallMs: 500 });
        spoil(/^PUT /, () => answer);
        assert.equal(await store.putIfAbsent("commit", Buffer.from("mine")), "created");
        assert.equal(proxy.requests.filter((request) => request.startsWith("PUT")).length, 2);
        assert.equal(text(await store.get("commit")), "mine");
        assert.equal(await store.putIfAbsent("commit", Buffer.from("mine")), "exists");
      });

      test(`a replacement whose answer was lost to ${how} is written`, async (t) => {
        const store = await openThroughProxy(t, { stallMs: 500 });
        await store.put("object", Buffer.from("old"));
        spoil(/^PUT /, () => answer);
        await store.put("object", Buffer.from("new"));
        assert.equal(text(await store.get("object")), "new");
      });

      test(`a multipart upload whose completion was answered by ${how} is written, and whole`, async (t) => {
        const store = await openThroughProxy(t, { stallMs: 2_000, partBytes: 5 * MIB });
        spoil(/^POST .*uploadId/, () => answer);
        const bytes = randomBytes(11 * MIB);
        const written = await store.putStream("large", [bytes]);
        assert.deepEqual(written, { sizeBytes: bytes.length });
        assert.ok(bytes.equals(await store.get("large")));
      });
    }

    test("a commit whose answer was lost, after another's, is the other's", async (t) => {
      const store = await openThroughProxy(t);
      const other = await open(t, { prefix: store.place.split("/").at(-1)!, conditionalWrites: "trusted" });
      let first = true;
      proxy.behaviour = async ({ method }, forward) => {
        if (method !== "PUT" || !first) return forward();
        first = false;
        assert.equal(await other.putIfAbsent("commit", Buffer.from("theirs")), "created");
        await forward();
        return s3Error(503, "SlowDown");
      };
      assert.equal(await store.putIfAbsent("commit", Buffer.from("theirs")), "exists");
    });

    test("a read goes on where the connection broke, and gives every byte once", async (t) => {
      const store = await openThroughProxy(t);
      const bytes = randomBytes(3 * MIB);
      await store.put("object", bytes);
      for (const breakAfter of [0, 1, 1_000_000, bytes.length - 1]) {
        spoil(/^GET /, (reply) => ({ ...reply, breakAfter }));
        assert.ok(bytes.equals(await store.get("object")), `broken after ${breakAfter}`);
      }
      spoil(/^GET /, (reply) => ({ ...reply, breakAfter: 500 }));
      assert.deepEqual(await store.getRange("object", 1_000, 9_000), bytes.subarray(1_000, 9_000));
    });

    test("an object replaced while it is read is an error, never a mixture", async (t) => {
      const store = await openThroughProxy(t);
      await store.put("object", Buffer.alloc(MIB, "a"));
      proxy.behaviour = async ({ method }, forward) => {
        const reply = await forward();
        if (method !== "GET") return reply;
        proxy.behaviour = (_, onward) => onward();
        await store.put("object", Buffer.alloc(MIB, "b"));
        return { ...reply, breakAfter: 1000 };
      };
      await assert.rejects(
        store.get("object"),
        (error) => isSluiceError(error, "E_STORE_IO") && /replaced/.test(error.message),
      );
    });

    test("bytes stored otherwise than sent are found out", async (t) => {
      const store = await openThroughProxy(t);
      const corrupting = async ({ method }: { method: string }, forward: () => Promise<Reply>): Promise<Reply> => {
        const reply = await forward();
        if (method === "PUT") return { ...reply, headers: { ...reply.headers, etag: `"${"0".repeat(32)}"` } };
        if (method === "GET") return { ...reply, body: Buffer.from(reply.body).fill(0, 0, 1) };
        return reply;
      };
      proxy.behaviour = corrupting;
      await assert.rejects(store.put("object", Buffer.from("bytes")), (error) =>
        isSluiceError(error, "E_STORE_CORRUPT"),
      );
      await assert.rejects(store.putIfAbsent("commit", Buffer.from("bytes")), (error) =>
        isSluiceError(error, "E_STORE_CORRUPT"),
      );
    });

    test("a store whose ETags are no digests is read back instead", async (t) => {
      const store = await openThroughProxy(t, { partBytes: 5 * MIB });
      proxy.behaviour = async ({ method }, forward) => {
        const reply = await forward();
        return method === "PUT" || method === "POST"
          ? { ...reply, headers: { ...reply.headers, etag: '"opaque"' } }
          : reply;
      };
      assert.equal(await store.putIfAbsent("commit", Buffer.from("bytes")), "created");
      assert.ok(proxy.requests.some((request) => request.startsWith("GET")));
      await store.put("object", Buffer.from("bytes"));
      assert.equal(text(await store.get("object")), "bytes");
    });

    test("a part whose bytes change on the way is sent again, by its signature alone", async (t) => {
      const store = await openThroughProxy(t, { partBytes: 5 * MIB });
      const bytes = randomBytes(11 * MIB);
      let changed = 0;
      const checksums: unknown[] = [];
      proxy.behaviour = async ({ url, headers, body }, forward) => {
        if (!url.includes("partNumber")) return forward();
        checksums.push(headers["content-md5"]);
        if (changed++ === 0) body[1234]! ^= 1;
        return forward();
      };
      await store.putStream("large", [bytes]);
      assert.ok(bytes.equals(await store.get("large")));
      assert.deepEqual(checksums, Array<undefined>(4).fill(undefined));
      assert.deepEqual(await keysOf(store, ""), ["large"]);
    });

    test("of a store that does not look at signed bodies, what it says to have stored is compared", async (t) => {
      const store = await openThroughProxy(t, { partBytes: 5 * MIB });
      const bytes = randomBytes(11 * MIB);
      const checksums: unknown[] = [];
      proxy.behaviour = async ({ url, headers }, forward) => {
        const reply = await forward();
        if (url.includes("partNumber")) checksums.push(typeof headers["content-md5"]);
        return url.includes("/probe-body") && reply.status >= 400
          ? { ...reply, status: 200, body: Buffer.alloc(0) }
          : reply;
      };
      await store.putStream("large", [bytes]);
      assert.deepEqual(checksums, ["string", "string", "string"]);
      assert.ok(bytes.equals(await store.get("large")));
      let put = Buffer.alloc(0);
      proxy.behaviour = async ({ method, body }, forward) => {
        if (method !== "PUT") return forward();
        put = Buffer.from(body);
        const reply = await forward();
        return { ...reply, headers: { ...reply.headers, etag: `"${"0".repeat(32)}"` } };
      };
      proxy.requests.length = 0;
      await store.putStream("small", [bytes.subarray(0, 1000)]);
      assert.ok(put.equals(bytes.subarray(0, 1000)));
      assert.ok(
        proxy.requests.some((request) => request.startsWith("GET")),
        "it is read back",
      );
    });

    test("a busy store is waited for, within bounds, and the wait is told", async (t) => {
      const events: RetryEvent[] = [];
      const store = await openThroughProxy(t, { patienceMs: 1_500, onRetry: (event) => events.push(event) });
      let refusals = 3;
      proxy.behaviour = async (_, forward) => (refusals-- > 0 ? s3Error(503, "SlowDown") : forward());
      await store.put("object", Buffer.from("bytes"));
      assert.equal(events.length, 3);
      assert.match(events[0]!.failure, /503 \(SlowDown\)/);
      proxy.behaviour = async () => s3Error(503, "SlowDown");
      for (const call of [
        () => store.put("object", Buffer.from("bytes")),
        () => store.get("object"),
        () => store.head("object"),
        () => keysOf(store, ""),
        () => store.delete("object"),
      ]) {
        await assert.rejects(call, (error) => {
          assert.ok(isSluiceError(error, "E_STORE_IO"));
          assert.equal(error.retryable, true);
          assert.match(error.message, /503.*Tried \d+ times/);
          return true;
        });
      }
    });

    test("closing ends what waits for the store", async (t) => {
      const store = await openThroughProxy(t);
      const silent = new Promise<void>((resolve) => {
        proxy.behaviour = async () => {
          resolve();
          return "silence";
        };
      });
      const reading = store.get("object");
      reading.catch(() => undefined);
      await silent;
      await store.close();
      await assert.rejects(reading, (error) => isSluiceError(error, "E_STORE_IO"));
      await assert.rejects(
        store.get("object"),
        (error) => isSluiceError(error, "E_STORE_IO") && /closed/.test(error.message),
      );
    });

    test("a source that fails leaves neither an object nor an open upload", async (t) => {
      const store = await open(t, { partBytes: 5 * MIB });
      const broken = new Error("the source broke");
      const source = (async function* () {
        yield Buffer.alloc(12 * MIB);
        await Promise.resolve();
        throw broken;
      })();
      await assert.rejects(store.putStream("large", source), (error) => error === broken);
      assert.equal(await store.head("large"), null);
      const { port, accessKey, secretKey, bucket } = server;
      const client = new Client({ endPoint: "127.0.0.1", port, useSSL: false, accessKey, secretKey });
      const uploads: unknown[] = [];
      for await (const upload of client.listIncompleteUploads(bucket, "", true)) uploads.push(upload);
      assert.deepEqual(uploads, []);
    });

    test("a long stream is held in three parts' memory", async (t) => {
      const store = await open(t, { partBytes: 5 * MIB });
      const before = process.memoryUsage().arrayBuffers;
      let most = 0;
      const chunk = Buffer.alloc(256 * 1024, 7);
      const source = (function* () {
        for (let i = 0; i < 480; i++) {
          most = Math.max(most, process.memoryUsage().arrayBuffers - before);
          yield chunk;
        }
      })();
      const { sizeBytes } = await store.putStream("large", source);
      assert.equal(sizeBytes, 120 * MIB);
      // And what the sockets hold of them.
      assert.ok(most < 40 * MIB, `held ${most} bytes`);
      assert.equal((await store.head("large"))?.sizeBytes, 120 * MIB);
    });

    test("lists more than a page, in order, page by page", async (t) => {
      const store = await openThroughProxy(t);
      const keys = Array.from({ length: 1203 }, (_, i) => `list/${String(i).padStart(5, "0")}`);
      for (let i = 0; i < keys.length; i += 100) {
        await Promise.all(keys.slice(i, i + 100).map((key) => store.put(key, Buffer.from("x"))));
      }
      proxy.requests.length = 0;
      const found: string[] = [];
      for await (const { key, sizeBytes } of store.list("list/")) {
        if (found.length === 500) assert.equal(proxy.requests.length, 1);
        found.push(key);
        assert.equal(sizeBytes, 1);
      }
      assert.deepEqual(found, keys);
      assert.equal(proxy.requests.length, 2);
      assert.deepEqual(await keysOf(store, "list/0120"), ["list/01200", "list/01201", "list/01202"]);
    });

    test("lists any keys in the order of their code units, as a sorted array would", async (t) => {
      const segment = fc.stringMatching(/^[A-Za-z0-9_=-][A-Za-z0-9._=-]{0,3}$/);
      const key = fc.array(segment, { minLength: 1, maxLength: 3 }).map((segments) => segments.join("/"));
      let runs = 0;
      await fc.assert(
        fc.asyncProperty(fc.uniqueArray(key, { maxLength: 25 }), async (keys) => {
          // No key may be another's folder.
          const kept = keys.filter((one) => !keys.some((other) => other.startsWith(`${one}/`)));
          const store = await open(t, { prefix: `any-${name}-${runs++}` });
          await Promise.all(kept.map((one) => store.put(one, Buffer.from(one))));
          assert.deepEqual(await keysOf(store, ""), [...kept].sort());
          const prefix = kept[0]?.slice(0, 2) ?? "x";
          if (!prefix.endsWith("/")) {
            assert.deepEqual(await keysOf(store, prefix), kept.filter((one) => one.startsWith(prefix)).sort());
          }
          await store.close();
        }),
        { numRuns: 15 },
      );
    });

    test("gives a URL that anyone can read for a while", async (t) => {
      const store = await open(t);
      await store.put("shard.tar", Buffer.from("tar"));
      const response = await fetch(await store.locate("shard.tar"));
      assert.equal(await response.text(), "tar");
    });

    test("a bucket without conditional writes is refused at the first commit", async (t) => {
      const { port, accessKey, secretKey, bucket } = server;
      const behind = new Client({
        endPoint: "127.0.0.1",
        port,
        useSSL: false,
        accessKey,
        secretKey,
        region: "us-east-1",
      });
      const nameOf = (url: string): string => decodeURIComponent(url.split("?")[0]!).slice(bucket.length + 2);
      const stored = (etag: string): Reply => ({ status: 200, headers: { etag: `"${etag}"` }, body: Buffer.alloc(0) });
      const facades = {
        "ignores the condition": async (url: string, body: Buffer) =>
          stored((await behind.putObject(bucket, nameOf(url), body)).etag),
        "looks, then writes": async (url: string, body: Buffer) => {
          const there = await behind.statObject(bucket, nameOf(url)).catch(() => null);
          if (there !== null) return s3Error(412, "PreconditionFailed");
          return stored((await behind.putObject(bucket, nameOf(url), body)).etag);
        },
        "does not know it": async () => s3Error(501, "NotImplemented"),
      };
      for (const [what, put] of Object.entries(facades)) {
        proxy.behaviour = async ({ method, url, headers, body }, forward) =>
          method === "PUT" && headers["if-none-match"] !== undefined ? put(url, body) : forward();
        const store = await open(t, { port: proxy.port });
        await assert.rejects(
          store.putIfAbsent("commit", Buffer.from("x")),
          (error) => isSluiceError(error, "E_STORE_CONDITIONAL"),
          what,
        );
        await assert.rejects(
          store.probeConditionalWrites(),
          (error) => isSluiceError(error, "E_STORE_CONDITIONAL"),
          what,
        );
        assert.equal(await store.head("commit"), null);
        await store.put("object", Buffer.from("what needs no commit works"));
        assert.deepEqual(await keysOf(store, ""), ["object"]);
      }
    });

    test("an outage during the probe is no verdict", async (t) => {
      proxy.behaviour = (_, forward) => forward();
      const store = await open(t, { port: proxy.port, patienceMs: 300 });
      proxy.behaviour = async () => "break";
      await assert.rejects(
        store.putIfAbsent("commit", Buffer.from("x")),
        (error) => isSluiceError(error, "E_STORE_IO") && error.retryable,
      );
      proxy.behaviour = (_, forward) => forward();
      assert.equal(await store.putIfAbsent("commit", Buffer.from("x")), "created");
    });

    test("what is wrong with an address or its credentials is said at once", async (t) => {
      const cases: [Partial<MinioStoreOptions>, string, RegExp][] = [
        [{ secretKey: "not the secret" }, "E_STORE_ACCESS", /SignatureDoesNotMatch/],
        [{ accessKey: "nobody" }, "E_STORE_ACCESS", /InvalidAccessKeyId|UserNotFound/],
        [{ bucket: "no-such-bucket" }, "E_STORE_BUCKET", /no-such-bucket.*Create it/],
        [{ port: await freePort(), openPatienceMs: 300 }, "E_STORE_IO", /ECONNREFUSED.*Tried/],
        [{ useSSL: true }, "E_STORE_IO", /https:\/\//],
        [{ prefix: "a+b" }, "E_STORE_IO", /a\+b/],
      ];
      for (const [options, code, message] of cases) {
        await assert.rejects(open(t, options), (error) => {
          assert.ok(isSluiceError(error), String(error));
          assert.equal(error.code, code);
          assert.match(error.message, message);
          return true;
        });
      }
    });

    test("a clock that is an hour off is named", async (t) => {
      mock.timers.enable({ apis: ["Date"], now: Date.now() - 3_600_000 });
      try {
        await assert.rejects(
          open(t),
          (error) => isSluiceError(error, "E_STORE_ACCESS") && /set the clock/.test(error.message),
        );
      } finally {
        mock.timers.reset();
      }
    });

    test("commits and reads go on over kill -9 of the store", async (t) => {
      const store = await open(t);
      let done = 0;
      const writer = async (id: number): Promise<string[]> => {
        const outcomes: string[] = [];
        for (let i = 0; i < 60; i++) {
          const key = `commit/${i}`;
          const outcome = await store.putIfAbsent(key, Buffer.from(`writer ${id}`));
          done++;
          outcomes.push(outcome);
          const winner = text(await store.get(key));
          assert.equal(winner === `writer ${id}`, outcome === "created", `${key}: ${outcome}, but ${winner}`);
        }
        return outcomes;
      };
      const killer = async (): Promise<void> => {
        for (const at of [30, 100, 170]) {
          while (done < at) await new Promise((resolve) => setTimeout(resolve, 5));
          await server.restart();
        }
      };
      const [, ...outcomes] = await Promise.all([killer(), ...[0, 1, 2, 3].map(writer)]);
      for (let i = 0; i < 60; i++) {
        assert.equal(outcomes.filter((ofWriter) => ofWriter[i] === "created").length, 1, `winners of commit/${i}`);
      }
    });
  });
}
