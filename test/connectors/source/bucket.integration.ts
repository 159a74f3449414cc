import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test, type TestContext } from "node:test";
import { Client } from "minio";
import { openBucketSource, type BucketSourceOptions } from "../../../connectors/source/bucket.js";
import { openUri } from "../../../connectors/source/open-uri.js";
import type { ImageBuckets, Source } from "../../../connectors/source/source.js";
import { imageBuckets, type ImageBucketsOptions } from "../../../connectors/store/s3/images.js";
import { startMinio, type LocalObjectStore } from "../../../deploy/local/minio.js";
import { startVersitygw } from "../../../deploy/local/versitygw.js";
import { freePort } from "../../../deploy/local/server-process.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { contentOf, itemsOf, sourceConformance } from "../../conformance/source.js";
import { cannotStart } from "../../deploy/local/require-service.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";
import { FaultProxy, s3Error } from "../store/s3/fault-proxy.js";

/** Not the bucket of any store */
const BUCKET = "crawl";

/** Names that an encoding somewhere on the way might spoil, in the order of their UTF-8 bytes. */
const NAMES = [
  "%41.jpg",
  "(1)'!*.jpg",
  "100%.jpg",
  "a b.jpg",
  "a%20b.jpg",
  "a&b=c;d,e:@$.jpg",
  "a+b.jpg",
  "a-b/1.jpg",
  "a.jpg",
  "a/x.jpg",
  "a/y z/ü.jpg",
  "a?b#c.jpg",
  "b[0]{1}^`~|.jpg",
  "é.jpg",
  "\ufb01.jpg",
  "😀.jpg",
];

interface Served {
  readonly server: LocalObjectStore;
  readonly client: Client;
  readonly account: Omit<ImageBucketsOptions, "openPatienceMs">;
  readonly buckets: ImageBuckets;
}

for (const [name, start] of [
  ["minio", startMinio],
  ["versitygw", startVersitygw],
] as const) {
  const skip = await cannotStart(name);

  async function serve(): Promise<Served> {
    const server = await start();
    const { port, accessKey, secretKey } = server;
    const account = { endPoint: "127.0.0.1", port, useSSL: false, accessKey, secretKey };
    const client = new Client({ ...account, region: "us-east-1" });
    await client.makeBucket(BUCKET);
    return { server, client, account, buckets: imageBuckets(account) };
  }

  let serving: Promise<Served> | null = null;
  const served = (): Promise<Served> => (serving ??= serve());
  after(async () => {
    if (serving !== null) await (await serving).server.stop();
  });

  /** Writes objects whose content is their name. */
  async function put(prefix: string, names: readonly string[], content?: string): Promise<void> {
    const { client } = await served();
    const rest = [...names];
    const write = async (): Promise<void> => {
      for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
        await client.putObject(BUCKET, prefix + name, Buffer.from(content ?? name));
      }
    };
    await Promise.all(Array.from({ length: 16 }, write));
  }

  async function open(prefix: string, options: Partial<BucketSourceOptions> = {}): Promise<Source> {
    const { buckets } = await served();
    return openBucketSource({ buckets, bucket: BUCKET, prefix, ...options });
  }

  /** The names below the prefix, as the uris give them. */
  async function namesOf(source: Source, prefix: string, cursor: string | null = null): Promise<readonly string[]> {
    const start = `s3://${BUCKET}/`;
    return (await itemsOf(source, cursor)).map(({ record: { uri } }) => {
      assert.ok(uri.startsWith(start), uri);
      const key = decodeURIComponent(uri.slice(start.length));
      assert.ok(key.startsWith(prefix), key);
      return key.slice(prefix.length);
    });
  }

  if (skip === false) {
    const listings = await mkdtemp(join(tmpdir(), "sluice-bucket-"));
    after(() => rm(listings, { recursive: true, force: true }));
    for (const remembering of [false, true]) {
      sourceConformance(`bucket on ${name}${remembering ? ", remembering what it has taken" : ""}`, async () => {
        const prefix = `2026 (1)/ü+%/${String(remembering)}/`;
        await put(prefix, [...NAMES].reverse());
        return {
          open: () => open(prefix, remembering ? { listings } : {}),
          expected: NAMES,
          opener: openUri({ buckets: (await served()).buckets }),
        };
      });
    }
  }

  describe(`a bucket as a source, on ${name}`, { skip }, () => {
    const opened: { proxy?: FaultProxy } = {};
    before(async () => {
      opened.proxy = await FaultProxy.start((await served()).server.port);
    });
    after(() => opened.proxy?.stop());

    /** Buckets behind a proxy that does what `behaviour` says */
    async function throughProxy(behaviour: FaultProxy["behaviour"], options: Partial<ImageBucketsOptions> = {}) {
      const proxy = opened.proxy!;
      proxy.behaviour = behaviour;
      proxy.requests.length = 0;
      const { account } = await served();
      const buckets = imageBuckets({
        ...account,
        region: "us-east-1",
        port: proxy.port,
        patienceMs: 2_000,
        ...options,
      });
      return { proxy, buckets, opener: openUri({ buckets }) };
    }

    const codeOf = (work: Promise<unknown>): Promise<string> =>
      work.then(
        () => "done",
        (error: unknown) =>
          isSluiceError(error) ? `${error.code}${error.retryable ? ", retryable" : ""}` : String(error),
      );

    test("its records have percent-encoded uris and the objects' times", async () => {
      const { client } = await served();
      await put("times/", ["a b+c%.jpg"]);
      const [item] = await itemsOf(await open("times/"));
      const { eventTimeMs, ...record } = item!.record;
      assert.deepEqual(record, {
        uri: `s3://${BUCKET}/times/a%20b+c%25.jpg`,
        bytes: null,
        licence: null,
        origin: null,
        retryOf: null,
      });
      // A HEAD says whole seconds.
      const { lastModified } = await client.statObject(BUCKET, "times/a b+c%.jpg");
      assert.equal(Math.floor(eventTimeMs / 1000), lastModified.getTime() / 1000);
    });

    test("remembering what it has taken, it gives later what is new or changed, whatever its key", async (t) => {
      const prefix = "kept/";
      await put(prefix, NAMES);
      const listings = await temporaryFolder(t);
      const all = await itemsOf(await open(prefix, { listings }));
      assert.equal(all.length, NAMES.length);
      const cursor = all.at(-1)!.cursor;
      assert.deepEqual(await namesOf(await open(prefix, { listings }), prefix, cursor), []);

      await put(prefix, ["0 before all.jpg", "a.jpg2", "~ after all.jpg"]);
      await put(prefix, ["a/x.jpg"], "changed");
      const later = await itemsOf(await open(prefix, { listings }), cursor);
      const opener = openUri({ buckets: (await served()).buckets });
      assert.deepEqual(await Promise.all(later.map((item) => contentOf(item, opener))), [
        "0 before all.jpg",
        "a.jpg2",
        "changed",
        "~ after all.jpg",
      ]);
      assert.deepEqual(await namesOf(await open(prefix, { listings }), prefix, later.at(-1)!.cursor), []);
    });

    test("over more objects than a page has, a run that was cut off anywhere is gone on with", async (t) => {
      const prefix = "many/";
      const names = Array.from({ length: 1203 }, (_, i) => String(i).padStart(5, "0"));
      await put(prefix, names);
      assert.deepEqual(await (await open(prefix)).estimate(), { items: names.length });
      const listings = await temporaryFolder(t);
      let cursor: string | null = null;
      const taken: string[] = [];
      // Ahead of what is appended, as a pipeline reads; then the process dies.
      for (const upTo of [3, 999, 1000, 1001, 1202]) {
        for await (const item of (await open(prefix, { listings })).items(cursor)) {
          if (taken.length >= upTo) break;
          taken.push(item.record.uri.slice(-5));
          cursor = item.cursor;
        }
      }
      taken.push(...(await namesOf(await open(prefix, { listings }), prefix, cursor)));
      assert.deepEqual(taken, names);
    });

    test("leaves out dot names and folders of gateways, what no glob matches, and the store's own objects", async () => {
      await put("mixed/", ["a.jpg", "a.txt", ".hidden.jpg", ".git/b.jpg", "b/c.jpg", "b/.d/e.jpg"]);
      await put("mixed/", ["empty/"], "");
      assert.deepEqual(await namesOf(await open("mixed/"), "mixed/"), ["a.jpg", "b/c.jpg"]);
      const include = ["*.jpg"];
      assert.deepEqual(await namesOf(await open("mixed/", { include }), "mixed/"), ["a.jpg"]);
      assert.deepEqual(await (await open("mixed/", { include })).estimate(), { items: 1 });

      await put("shared/", ["images/1.jpg", "packs/ab", "packs/cd", "images/x.jpg", "versions/1", "w.jpg"]);
      const { buckets } = await served();
      const source = await openBucketSource({
        buckets,
        bucket: BUCKET,
        prefix: "shared/",
        skip: ["shared/packs/", "shared/versions/"],
      });
      assert.deepEqual(await namesOf(source, "shared/"), ["images/1.jpg", "images/x.jpg", "w.jpg"]);
      assert.deepEqual(source.account().passedOver, {
        store: { count: 2, first: `s3://${BUCKET}/shared/packs/ab` },
      });
    });

    test("says what is missing, what is refused, and that nobody answers", async () => {
      const { account, buckets } = await served();
      const at = (over: Partial<ImageBucketsOptions>, bucket = BUCKET): Promise<unknown> =>
        openBucketSource({
          buckets: imageBuckets({ ...account, openPatienceMs: 200, ...over }),
          bucket,
          prefix: "",
        });
      await assert.rejects(openBucketSource({ buckets, bucket: BUCKET, prefix: "nothing/" }), {
        code: "E_SOURCE_EMPTY",
        message: /found nothing at all/,
      });
      await assert.rejects(at({}, "no-such-bucket"), { code: "E_SOURCE_MISSING", message: /no-such-bucket/ });
      await assert.rejects(at({ secretKey: "another" }), {
        code: "E_SOURCE_READ",
        retryable: false,
        message: /SignatureDoesNotMatch/,
      });
      await assert.rejects(at({ accessKey: "nobody" }), { code: "E_SOURCE_READ", retryable: false });
      await assert.rejects(at({ port: await freePort() }), { code: "E_SOURCE_READ", retryable: true });
    });

    test("a listing goes on past answers that fail for a while", async () => {
      await put("flaky/", ["a", "b"]);
      let failures = 3;
      const { buckets } = await throughProxy((_, forward) =>
        failures-- > 0 ? Promise.resolve(failures === 1 ? "break" : s3Error(503, "SlowDown")) : forward(),
      );
      const source = await openBucketSource({ buckets, bucket: BUCKET, prefix: "flaky/" });
      assert.deepEqual(await namesOf(source, "flaky/"), ["a", "b"]);
    });

    test("opens objects of any size up to the limit, in memory of their own", async () => {
      const { client, buckets } = await served();
      const opener = openUri({ buckets });
      const large = randomBytes(3_000_001);
      await client.putObject(BUCKET, "open/large", large);
      await put("open/", ["ten"], "0123456789");
      await put("open/", ["empty"], "");
      const bytes = await opener.open(`s3://${BUCKET}/open/large`, large.length);
      assert.ok(large.equals(bytes));
      assert.equal(bytes.buffer.byteLength, bytes.length);
      assert.equal((await opener.open(`s3://${BUCKET}/open/empty`, 10)).length, 0);
      assert.equal(Buffer.from(await opener.open(`s3://${BUCKET}/open/ten`, 10)).toString(), "0123456789");
      await assert.rejects(opener.open(`s3://${BUCKET}/open/ten`, 9), {
        code: "E_IMAGE_SIZE",
        message: /at most 9 bytes, found 10: s3:\/\/crawl\/open\/ten/,
      });
    });

    test("what is wrong with one object costs that object; what is wrong with the store or its keys, the run", async () => {
      const { account, buckets } = await served();
      await put("fault/", ["a.jpg"]);
      const uri = `s3://${BUCKET}/fault/a.jpg`;
      const opener = openUri({ buckets });
      const longKey = `s3://${BUCKET}/${"x".repeat(2000)}`;
      assert.equal(await codeOf(opener.open(`${uri}.gone`, 100)), "E_IMAGE_VANISHED");
      assert.equal(await codeOf(opener.open("s3://no-such-bucket/a.jpg", 100)), "E_IMAGE_VANISHED");
      assert.equal(await codeOf(opener.open("s3://No_Bucket/a.jpg", 100)), "E_IMAGE_UNREADABLE");
      assert.equal(await codeOf(opener.open(longKey, 100)), "E_IMAGE_UNREADABLE");
      assert.equal(await codeOf(openUri().open(uri, 100)), "E_IMAGE_UNREADABLE");
      await assert.rejects(openUri().open(uri, 100), /Set s3\.endpoint/);

      const answered = async (status: number, code: string): Promise<string> => {
        const proxied = await throughProxy(async () => s3Error(status, code), { patienceMs: 200 });
        return codeOf(proxied.opener.open(uri, 100));
      };
      assert.equal(await answered(403, "AccessDenied"), "E_IMAGE_UNREADABLE");
      assert.equal(await answered(403, "InvalidObjectState"), "E_IMAGE_UNREADABLE");
      assert.equal(await answered(403, "InvalidAccessKeyId"), "E_SOURCE_READ");
      assert.equal(await answered(403, "RequestTimeTooSkewed"), "E_SOURCE_READ");
      assert.equal(await answered(503, "SlowDown"), "E_SOURCE_READ, retryable");
      const away = imageBuckets({ ...account, port: await freePort(), patienceMs: 200 });
      assert.equal(await codeOf(openUri({ buckets: away }).open(uri, 100)), "E_SOURCE_READ, retryable");
    });

    test("goes on with an object whose connection broke, and gives no mixture of two", async (t: TestContext) => {
      const { client } = await served();
      const first = randomBytes(200_000);
      await client.putObject(BUCKET, "broken/a", first);
      let broken = false;
      const breakOnce =
        (between: () => Promise<unknown>): FaultProxy["behaviour"] =>
        async (_, forward) => {
          const reply = await forward();
          if (broken) return reply;
          broken = true;
          await between();
          return { ...reply, breakAfter: 70_000 };
        };
      const { opener, proxy } = await throughProxy(breakOnce(async () => undefined));
      t.after(() => {
        proxy.behaviour = (_, forward) => forward();
      });
      assert.ok(first.equals(await opener.open(`s3://${BUCKET}/broken/a`, 1_000_000)));
      assert.equal(proxy.requests.length, 2);

      broken = false;
      proxy.behaviour = breakOnce(() => client.putObject(BUCKET, "broken/a", randomBytes(200_000)));
      await assert.rejects(opener.open(`s3://${BUCKET}/broken/a`, 1_000_000), {
        code: "E_SOURCE_READ",
        message: /found it replaced/,
      });
    });
  });
}
