import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { uploadStream, type SentObject, type UploadRequests } from "../../../../connectors/store/s3/upload.js";

/** An upload's server, as far as an upload needs one, that fails at the request that `failAt` names. */
class MemoryUpload implements UploadRequests {
  object: Buffer | null = null;
  readonly parts = new Map<number, Buffer>();
  begun = 0;
  abandoned = 0;
  mostUnderWay = 0;
  said: SentObject | null = null;
  #underWay = 0;
  #requests = 0;

  constructor(readonly failAt = Infinity) {}

  async #request(): Promise<void> {
    this.mostUnderWay = Math.max(this.mostUnderWay, ++this.#underWay);
    const number = this.#requests++;
    await new Promise((resolve) => setImmediate(resolve));
    this.#underWay--;
    if (number === this.failAt) throw new Error("the store failed");
  }

  async put(bytes: Buffer): Promise<void> {
    await this.#request();
    this.object = Buffer.from(bytes);
  }

  async begin(): Promise<string> {
    await this.#request();
    this.begun++;
    return "upload";
  }

  async part(_id: string, number: number, bytes: Buffer): Promise<string> {
    await this.#request();
    assert.ok(!this.parts.has(number), `part ${number} sent twice`);
    this.parts.set(number, Buffer.from(bytes));
    return `etag ${number}`;
  }

  async complete(_id: string, parts: readonly { part: number; etag: string }[], sent: SentObject): Promise<void> {
    await this.#request();
    this.said = sent;
    assert.deepEqual(
      parts,
      [...this.parts.keys()].sort((a, b) => a - b).map((part) => ({ part, etag: `etag ${part}` })),
    );
    this.object = Buffer.concat(parts.map(({ part }) => this.parts.get(part)!));
  }

  async abandon(): Promise<void> {
    this.abandoned++;
  }
}

const chunksOf = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 30 });

test("whatever the chunks, the object is their concatenation, in parts of one size but the last", async () => {
  await fc.assert(
    fc.asyncProperty(chunksOf, fc.integer({ min: 1, max: 50 }), async (chunks, partBytes) => {
      const upload = new MemoryUpload();
      const whole = Buffer.concat(chunks);
      const written = await uploadStream(upload, chunks, { partBytes, width: 2, place: "here" });
      assert.deepEqual(upload.object, whole);
      assert.deepEqual(written, { sizeBytes: whole.length });
      if (upload.begun > 0) assert.deepEqual(upload.said, { sizeBytes: whole.length, crc32: crc32(whole) });
      const sizes = [...upload.parts].sort(([a], [b]) => a - b).map(([, part]) => part.length);
      assert.ok(sizes.slice(0, -1).every((size) => size === partBytes));
      assert.equal(upload.begun, whole.length > partBytes ? 1 : 0);
      assert.ok(upload.mostUnderWay <= 2);
    }),
  );
});

test("a store that fails at any request leaves no object and an abandoned upload", async () => {
  await fc.assert(
    fc.asyncProperty(chunksOf, fc.integer({ min: 1, max: 50 }), fc.nat(40), async (chunks, partBytes, failAt) => {
      const upload = new MemoryUpload(failAt);
      const outcome = await uploadStream(upload, chunks, { partBytes, width: 2, place: "here" }).then(
        () => "written",
        (error: unknown) => (error as Error).message,
      );
      if (outcome === "written") {
        assert.deepEqual(upload.object, Buffer.concat(chunks));
        return;
      }
      assert.equal(outcome, "the store failed");
      assert.equal(upload.object, null);
      assert.equal(upload.abandoned, upload.begun);
    }),
  );
});

test("a source that fails leaves no object; its own error is thrown", async () => {
  const broken = new Error("the source broke");
  for (const good of [0, 1, 7]) {
    const upload = new MemoryUpload();
    const source = (function* () {
      for (let i = 0; i < good; i++) yield Buffer.alloc(10, i);
      throw broken;
    })();
    await assert.rejects(
      uploadStream(upload, source, { partBytes: 16, width: 2, place: "here" }),
      (error) => error === broken,
    );
    assert.equal(upload.object, null);
    assert.equal(upload.abandoned, upload.begun);
  }
});

test("a source may use its buffer again", async () => {
  const upload = new MemoryUpload();
  const source = (function* () {
    const buffer = Buffer.alloc(5);
    for (let i = 0; i < 9; i++) yield buffer.fill(i);
  })();
  await uploadStream(upload, source, { partBytes: 8, width: 2, place: "here" });
  assert.deepEqual(upload.object, Buffer.concat(Array.from({ length: 9 }, (_, i) => Buffer.alloc(5, i))));
});
