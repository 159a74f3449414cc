import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { putHashed, type Store } from "../../connectors/store/store.js";
import { isSluiceError, type ErrorCode } from "../../schemas/errors.js";

export interface StoreUnderTest {
  readonly name: string;
  /** Why it cannot run here, or false */
  readonly skip?: string | false;
  /** Opens the store; the suite keeps to keys below a first segment of its own. */
  readonly open: () => Promise<Store>;
  readonly afterwards?: () => Promise<void>;
  /** How many random histories the model property draws. Default 60. */
  readonly runs?: number;
}

/** What every store keeps. */
export function storeConformance({ name, skip = false, open, afterwards, runs = 60 }: StoreUnderTest): void {
  describe(`store ${name}`, { skip }, () => {
    let store: Store;
    let own: string;
    before(async () => {
      store = await open();
      own = `suite-${randomUUID()}`;
    });
    after(async () => {
      await store.close();
      await afterwards?.();
    });
    const under = (key: string): string => `${own}/${key}`;

    test("whatever sequence of calls, it is a map of keys to bytes", async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
          const model = new Map<string, Uint8Array>();
          const place = `${under(randomUUID())}/`;
          for (const { call, key, bytes } of steps) {
            const there = model.has(key);
            switch (call) {
              case "putIfAbsent":
                assert.equal(await store.putIfAbsent(place + key, bytes), there ? "exists" : "created");
                if (!there) model.set(key, bytes);
                break;
              case "put":
                await store.put(place + key, bytes);
                model.set(key, bytes);
                break;
              case "delete":
                await store.delete(place + key);
                model.delete(key);
            }
          }
          for (const prefix of ["", "a", "a/", "a-", "b/c", "zz"]) {
            const expected = [...model].filter(([key]) => key.startsWith(prefix));
            assert.deepEqual(
              await listed(store, place + prefix),
              expected.map(([key, { length }]) => ({ key: place + key, sizeBytes: length })).sort(byKey),
            );
          }
          for (const key of KEYS) {
            const bytes = model.get(key);
            assert.deepEqual(
              await store.head(place + key),
              bytes === undefined ? null : { key: place + key, sizeBytes: bytes.length },
            );
            if (bytes === undefined) await rejects("E_STORE_MISSING", store.get(place + key));
            else assertBytes(await store.get(place + key), bytes);
          }
        }),
        { numRuns: runs },
      );
    });

    test("an object of several megabytes comes back whole, by stream and by range", async () => {
      const key = under("large");
      const bytes = patterned(5_000_001);
      assert.equal(await store.putIfAbsent(key, bytes), "created");
      assertBytes(await store.get(key), bytes);
      const chunks: Uint8Array[] = [];
      for await (const chunk of store.getStream(key)) chunks.push(chunk);
      assert.ok(chunks.length > 1);
      assertBytes(Buffer.concat(chunks), bytes);
      const { length } = bytes;
      for (const [start, end] of [
        [0, 1],
        [0, length],
        [1_234_567, 3_456_789],
        [length - 1, length],
        [length - 10, length + 10],
      ] as const) {
        assertBytes(await store.getRange(key, start, end), bytes.subarray(start, end));
      }
    });

    test("where a store reads into memory of the caller's, it is exactly that memory", async () => {
      const key = under("into");
      for (const bytes of [patterned(3_000_001), patterned(10), new Uint8Array(0)]) {
        await store.put(key, bytes);
        const memory = new Uint8Array(bytes.length + 16).fill(0xee);
        const read = await store.getInto?.(key, (sizeBytes) => {
          assert.equal(sizeBytes, bytes.length);
          return memory.subarray(8, 8 + sizeBytes);
        });
        if (read === undefined) continue;
        assertBytes(read, bytes);
        assert.equal(read.buffer, memory.buffer);
        assert.ok([...memory.subarray(0, 8), ...memory.subarray(8 + bytes.length)].every((byte) => byte === 0xee));
      }
      const bytes = patterned(5000);
      await store.put(key, bytes);
      for (const [start, end] of [
        [0, 5000],
        [8, 4000],
        [4990, 5010],
        [6000, 6010],
      ] as const) {
        const read = await store.getInto?.(key, (sizeBytes) => new Uint8Array(sizeBytes), { start, end });
        if (read !== undefined) assertBytes(read, bytes.subarray(start, end));
      }
      const missing = store.getInto?.(under("not-there"), (sizeBytes) => new Uint8Array(sizeBytes));
      if (missing !== undefined) await rejects("E_STORE_MISSING", missing);
    });

    test("an empty object is an object", async () => {
      const key = under("empty");
      await store.put(key, new Uint8Array(0));
      assert.equal((await store.get(key)).length, 0);
      assert.deepEqual(await store.head(key), { key, sizeBytes: 0 });
      assert.equal(await store.putIfAbsent(key, Buffer.from("x")), "exists");
      for await (const chunk of store.getStream(key)) assert.equal(chunk.length, 0);
    });

    test("a stream is written in chunks of any size, and its size and digest are told", async () => {
      const bytes = patterned(300_000);
      const cuts = [0, 0, 1, 7, 65_536, 65_536, 200_000, 300_000];
      async function* chunks(): AsyncGenerator<Uint8Array> {
        for (let i = 1; i < cuts.length; i++) {
          // One buffer used again and again, as readers of files do.
          await Promise.resolve();
          yield bytes.subarray(cuts[i - 1], cuts[i]);
        }
      }
      assert.deepEqual(await store.putStream(under("stream"), chunks()), { sizeBytes: bytes.length });
      assertBytes(await store.get(under("stream")), bytes);
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      assert.deepEqual(await putHashed(store, under("hashed"), chunks()), { sizeBytes: bytes.length, sha256 });
      assertBytes(await store.get(under("hashed")), bytes);
      const empty = await putHashed(store, under("empty-stream"), []);
      assert.deepEqual(empty, { sizeBytes: 0, sha256: createHash("sha256").digest("hex") });
      assert.equal((await store.head(under("empty-stream")))?.sizeBytes, 0);
    });

    test("a stream whose source fails leaves no object and hands its error on", async () => {
      const key = under("failing-stream");
      function* failing(): Generator<Uint8Array> {
        yield patterned(100_000);
        throw new RangeError("the source failed");
      }
      await assert.rejects(store.putStream(key, failing()), new RangeError("the source failed"));
      assert.equal(await store.head(key), null);
      assert.deepEqual(await listed(store, key), []);
      assert.equal((await store.putStream(key, [patterned(3)])).sizeBytes, 3);
    });

    test("what is not there is said to be missing, and may be deleted", async () => {
      const key = under("absent/at/all");
      await rejects("E_STORE_MISSING", store.get(key));
      await rejects("E_STORE_MISSING", store.getRange(key, 0, 1));
      await rejects("E_STORE_MISSING", drain(store.getStream(key)));
      await rejects("E_STORE_MISSING", store.locate(key));
      assert.equal(await store.head(key), null);
      await store.delete(key);
    });

    test("keys that some store could not keep are refused, and nothing is written", async () => {
      const bad = [
        "",
        "/a",
        "a/",
        "a//b",
        "..",
        "../a",
        "a/../b",
        ".",
        "a/./b",
        "a+b",
        "a%20b",
        "a b",
        "ä",
        "a\\b",
        "~tmp/a",
        "a\n",
      ];
      for (const key of bad) {
        await assert.rejects(store.putIfAbsent(key, Buffer.from("x")), isSluiceError, `key ${JSON.stringify(key)}`);
        await assert.rejects(store.put(key, Buffer.from("x")), isSluiceError);
        await assert.rejects(store.putStream(key, [Buffer.from("x")]), isSluiceError);
        await assert.rejects(store.get(key), isSluiceError);
        await assert.rejects(store.delete(key), isSluiceError);
      }
    });

    test("a listing longer than a page is complete and in order", async () => {
      const keys = Array.from({ length: 1_050 }, (_, i) => under(`many/${String(i * 7)}`));
      await Promise.all(keys.map((key) => store.put(key, Buffer.from("x"))));
      assert.deepEqual(
        (await listed(store, under("many/"))).map(({ key }) => key),
        keys.sort(),
      );
      for await (const { key } of store.list(under("many/"))) {
        assert.equal(key, keys[0]);
        break; // a listing may be left early
      }
    });

    test("a listing begins behind any key that is asked for, also of other folders, and one that is not there", async () => {
      const keys = KEYS.map((key) => under(`after/${key}`)).sort();
      for (const key of keys) await store.put(key, Buffer.from("x"));
      const befores = [...keys, ...keys.map((key) => `${key}.`), under("after/"), under("a"), under("z"), ""];
      for (const after of befores) {
        const found: string[] = [];
        for await (const { key } of store.list(under("after/"), { after })) found.push(key);
        assert.deepEqual(
          found,
          keys.filter((key) => key > after),
          `after ${after}`,
        );
      }
    });

    test("bytes returned are the caller's own, and those given may be used again", async () => {
      const key = under("own");
      const given = Buffer.from("abc");
      await store.put(key, given);
      given.fill(0);
      (await store.get(key)).fill(0);
      assert.equal(Buffer.from(await store.get(key)).toString(), "abc");
    });

    test("of writers at once exactly one creates, and its bytes are the object", async () => {
      for (let round = 0; round < 30; round++) {
        const key = under(`race/${round}/manifest.json`);
        const answers = await Promise.all(
          Array.from({ length: 8 }, (_, i) => store.putIfAbsent(key, Buffer.from(`writer ${i}`))),
        );
        assert.equal(answers.filter((answer) => answer === "created").length, 1);
        assert.equal(Buffer.from(await store.get(key)).toString(), `writer ${answers.indexOf("created")}`);
      }
    });

    test("a reader sees one writer's bytes whole while others replace them", async () => {
      const key = under("replaced");
      const versions = Array.from({ length: 6 }, (_, i) => Buffer.alloc(200_000, i));
      await store.put(key, versions[0]!);
      const writing = Promise.all(versions.map((version) => store.put(key, version)));
      for (let i = 0; i < 10; i++) {
        const seen = await store.get(key);
        assert.equal(seen.length, 200_000);
        assert.ok(seen.every((byte) => byte === seen[0]));
      }
      await writing;
    });

    test("an object can be opened where the store says it lies", async () => {
      const key = under("located.txt");
      await store.put(key, Buffer.from("found"));
      const where = await store.locate(key);
      const bytes = /^https?:/.test(where)
        ? Buffer.from(await (await fetch(where)).arrayBuffer())
        : await readFile(where);
      assert.equal(bytes.toString(), "found");
    });
  });
}

/** Keys around "/" in the order of code units ("-" and "." before it, digits after), none another's folder. */
const KEYS = ["a-b", "a.b", "a/b", "a/b-c", "a/c/d", "a0", "a=b", "A", "b/c.d/e", "b/c/d", "z_z", "...a"];

interface Step {
  readonly call: "putIfAbsent" | "put" | "delete";
  readonly key: string;
  readonly bytes: Uint8Array;
}

const step: fc.Arbitrary<Step> = fc.record({
  call: fc.constantFrom("putIfAbsent", "putIfAbsent", "put", "delete"),
  key: fc.constantFrom(...KEYS),
  bytes: fc.uint8Array({ maxLength: 50 }),
});

export async function listed(store: Store, prefix: string): Promise<{ key: string; sizeBytes: number }[]> {
  const found: { key: string; sizeBytes: number }[] = [];
  for await (const { key, sizeBytes } of store.list(prefix)) found.push({ key, sizeBytes });
  return found;
}

async function drain(chunks: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of chunks) assert.ok(chunk.length >= 0);
}

function byKey(a: { key: string }, b: { key: string }): number {
  return a.key < b.key ? -1 : 1;
}

/** Bytes in which every place is recognisable: a missing, repeated or moved part does not go unnoticed. */
function patterned(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8) * 17 + (i >> 16)) & 0xff;
  return bytes;
}

/** Quicker than `deepEqual` for millions of bytes, and short where it fails. */
function assertBytes(found: Uint8Array, expected: Uint8Array): void {
  assert.equal(found.length, expected.length);
  assert.ok(Buffer.from(found).equals(expected), "the bytes differ");
}

async function rejects(code: ErrorCode, promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error) => isSluiceError(error, code));
}
