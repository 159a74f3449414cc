import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { openBucketSource } from "../../../connectors/source/bucket.js";
import type { ImageBuckets, ListedObject } from "../../../connectors/source/source.js";
import { itemsOf } from "../../conformance/source.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

/** What a bucket lists, held in memory, a few objects a page. What is read from real servers is in bucket.integration.ts. */
class Listed implements ImageBuckets {
  readonly objects = new Map<string, ListedObject>();

  put(key: string, etag: string): void {
    this.objects.set(key, { key, sizeBytes: 1, modifiedMs: 1000, etag });
  }

  async hasAny(_: string, prefix: string): Promise<boolean> {
    return [...this.objects.keys()].some((key) => key.startsWith(prefix));
  }

  async *pages(_: string, prefix: string, after: string): AsyncGenerator<readonly ListedObject[]> {
    const compare = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
    let last = after;
    for (;;) {
      const page = [...this.objects.values()]
        .filter(({ key }) => key.startsWith(prefix) && compare(key, last) > 0)
        .sort((a, b) => compare(a.key, b.key))
        .slice(0, 3);
      if (page.length === 0) return;
      yield page;
      last = page.at(-1)!.key;
    }
  }

  async read(): Promise<Uint8Array> {
    return new Uint8Array(1);
  }
}

const name = fc.constantFrom(
  "a.jpg",
  "a/b.jpg",
  "a/c.jpg",
  "b.jpg",
  "b/a/x.jpg",
  "c.jpg",
  "é.jpg",
  "\ufb01",
  "😀",
  "z",
);
const step = fc.record({
  put: fc.array(name, { maxLength: 4 }),
  /** Items appended before the process dies, and items read ahead of that */
  appended: fc.integer({ min: 0, max: 9 }),
  ahead: fc.integer({ min: 0, max: 4 }),
});

test("whatever is added, changed or cut off, each content of each key is taken exactly once", async (t) => {
  const root = await temporaryFolder(t);
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 10 }), async (steps) => {
      const listings = `${root}/${runs++}`;
      const buckets = new Listed();
      buckets.put("p/0", "first");
      buckets.put("elsewhere", "not below the prefix");
      const taken: string[] = [];
      let cursor: string | null = null;
      let contents = 0;
      const run = async (appended: number, ahead: number): Promise<void> => {
        let read = 0;
        const source = await openBucketSource({ buckets, bucket: "bucket", prefix: "p/", listings });
        for await (const item of source.items(cursor)) {
          read += 1;
          if (read > appended + ahead) return;
          if (read > appended) continue;
          const key = decodeURIComponent(item.record.uri.slice("s3://bucket/".length));
          taken.push(`${key} ${buckets.objects.get(key)!.etag}`);
          cursor = item.cursor;
        }
      };
      for (const { put, appended, ahead } of steps) {
        // Size and time stay as they were: only the ETag tells.
        for (const each of put) buckets.put(`p/${each}`, `content ${contents++}`);
        await run(appended, ahead);
      }
      await run(Infinity, 0);
      await run(Infinity, 0);
      for (const { key, etag } of buckets.objects.values()) {
        if (key.startsWith("p/")) assert.ok(taken.includes(`${key} ${etag}`), `${key} ${etag} was lost`);
      }
      assert.equal(new Set(taken).size, taken.length, `repeated: ${taken.join(", ")}`);
      assert.ok(!taken.some((what) => what.startsWith("elsewhere")));
    }),
    { numRuns: 60, seed: 21 },
  );
});

test("of what it is to skip it lists one page at most, however much lies there", async () => {
  const buckets = new Listed();
  for (let i = 0; i < 500; i++) buckets.put(`store/${String(i).padStart(3, "0")}`, "ours");
  for (const key of ["a", "store.jpg", "store0", "z"]) buckets.put(key, "image");
  let pages = 0;
  const counted: ImageBuckets = {
    hasAny: (bucket, prefix) => buckets.hasAny(bucket, prefix),
    read: () => buckets.read(),
    async *pages(bucket, prefix, after) {
      for await (const page of buckets.pages(bucket, prefix, after)) {
        pages += 1;
        yield page;
      }
    },
  };
  const source = await openBucketSource({ buckets: counted, bucket: "bucket", prefix: "", skip: ["store/"] });
  const found = await itemsOf(source);
  assert.deepEqual(
    found.map(({ record }) => record.uri.slice("s3://bucket/".length)),
    ["a", "store.jpg", "store0", "z"],
  );
  assert.ok(pages <= 3, `${pages} pages`);
});
