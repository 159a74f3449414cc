import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import zlib from "node:zlib";
import type { Transform } from "node:stream";
import { init, compress } from "@bokuweb/zstd-wasm";
import { openUri } from "../../../../connectors/source/open-uri.js";
import { openTarSource } from "../../../../connectors/source/tar/tar.js";
import { unpackedZstd } from "../../../../connectors/source/tar/zstd.js";
import { SeededRandom } from "../../../../operators/training/seeded-random.js";
import { contentOf, itemsOf } from "../../../conformance/source.js";
import { tarOf } from "../../../fixtures/tar-archive.js";
import { temporaryFolder } from "../../../fixtures/temporary-folder.js";
import { ROOT } from "../../../architecture/repository.js";

/** What the goldens were made of: see test/fixtures/zstd/make-goldens.sh */
const CONTENT = Buffer.from(Array.from({ length: 60_000 }, (_, at) => `${(at * at) % 997}\n`).join(""));

const native = (zlib as typeof zlib & { readonly createZstdDecompress?: () => Transform }).createZstdDecompress;
const DECODERS = { fzstd: null, ...(native === undefined ? {} : { "Node's own": native }) };

const golden = (name: string): Promise<Buffer> => readFile(join(ROOT, "test/fixtures/zstd", `${name}.zst`));

/** All that comes out, and the error that ends it */
async function unpack(
  bytes: Uint8Array,
  decoder: (() => Transform) | null,
  pieceBytes = 1000,
): Promise<{ readonly content: Buffer; readonly error: unknown }> {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    await Promise.resolve();
    for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
  }
  const chunks: Uint8Array[] = [];
  let error: unknown = null;
  try {
    for await (const chunk of unpackedZstd(pieces(), decoder)) chunks.push(Uint8Array.from(chunk));
  } catch (caught) {
    error = caught;
  }
  return { content: Buffer.concat(chunks), error };
}

for (const [name, decoder] of Object.entries(DECODERS)) {
  describe(`zstd by ${name}`, () => {
    for (const file of ["one-frame", "level-19", "small-window", "long-window", "frames", "skippable"]) {
      test(`${file}: what the tool packed, however the bytes come`, async () => {
        const bytes = await golden(file);
        for (const pieceBytes of [7, 64 * 1024]) {
          const { content, error } = await unpack(bytes, decoder, pieceBytes);
          assert.equal(error, null);
          assert.ok(content.equals(CONTENT), `pieces of ${pieceBytes} bytes`);
        }
      });
    }

    test("bytes that break off anywhere give what is whole before, then an error", async () => {
      const bytes = await golden("frames");
      for (let kept = 1; kept < bytes.length; kept += 61) {
        const { content, error } = await unpack(bytes.subarray(0, kept), decoder);
        assert.ok(CONTENT.subarray(0, content.length).equals(content), `${kept} bytes`);
        assert.ok(error instanceof Error, `${kept} bytes`);
      }
      // The first frame is whole there.
      const { content } = await unpack(bytes.subarray(0, bytes.length - 100), decoder);
      assert.ok(content.length >= CONTENT.length >> 1);
    });

    test("damaged bytes end in an error", async () => {
      const bytes = await golden("one-frame");
      const random = new SeededRandom(3);
      for (let run = 0; run < 100; run++) {
        const damaged = Uint8Array.from(bytes);
        const at = random.below(damaged.length);
        damaged[at] = damaged[at]! ^ (1 << random.below(8));
        const { content, error } = await unpack(damaged, decoder);
        // Some bits say nothing that matters.
        assert.ok(error !== null || content.equals(CONTENT), `byte ${at}`);
      }
    });
  });
}

test("a frame that takes more memory than the tool gives unasked says how to unpack it; other bytes are told", async () => {
  for (const [bytes, message] of [
    [await golden("too-long"), /takes 2147483648 bytes of memory to unpack.*zstd -d --long=31/],
    [Buffer.concat([await golden("one-frame"), Buffer.from("junk")]), /no zstd frame begins with 6a756e6b/],
    [Buffer.from("28b52ffd2107ff", "hex"), /compressed with a dictionary/],
    [Buffer.from("502a4d18ff0000000102", "hex"), /unexpected end of file/],
  ] as const) {
    const { error } = await unpack(bytes, null);
    assert.match(String(error), message);
  }
});

test("a shard in several frames gives each of its images, with the decoder that this Node has", async (t) => {
  await init();
  const folder = await temporaryFolder(t);
  const random = new SeededRandom(1);
  const members = Array.from({ length: 5 }, (_, at) => ({
    name: `${at}.jpg`,
    content: Buffer.from(Uint8Array.from({ length: 40_000 + at }, () => random.below(256))),
  }));
  const tar = await tarOf(members);
  const packed = (part: Uint8Array): Uint8Array => compress(Buffer.from(part), 3);
  const shard = join(folder, "a b.tar.zst");
  const skippable = Buffer.from("5f2a4d180300000001020300", "hex").subarray(0, 11);
  await writeFile(
    shard,
    Buffer.concat([
      packed(tar.subarray(0, 70_000)),
      skippable,
      packed(tar.subarray(70_000, 70_100)),
      packed(tar.subarray(70_100)),
    ]),
  );
  const items = await itemsOf(await openTarSource([shard]));
  const opener = openUri();
  assert.equal(items.length, members.length);
  for (const [at, item] of items.entries()) {
    assert.equal(await contentOf(item, opener), members[at]!.content.toString());
    assert.deepEqual(Buffer.from(await opener.open(item.record.uri, 100_000)), members[at]!.content);
  }
  await writeFile(shard, packed(tar).subarray(0, 150_000));
  assert.equal((await itemsOf(await openTarSource([shard]))).length, 3 + 1);
});
