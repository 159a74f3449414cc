import { readdirSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { pack, type Header } from "tar-stream";
import { openUri } from "../../../connectors/source/open-uri.js";
import { openTarSource } from "../../../connectors/source/tar/tar.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { ROOT } from "../../architecture/repository.js";
import type { FuzzTarget } from "../fuzz-target.js";
import { below, mutateBytes, oneOf } from "../mutate.js";

/** What a source's image may have */
const MOST_BYTES = 1_000_000;
/** Members of one shard that are opened */
const MOST_OPENED = 64;

const NAMES = [
  "a.jpg",
  "../../outside/a.jpg",
  "/etc/hostname.jpg",
  "a/../../../outside/b.jpg",
  "..",
  ".",
  "con.jpg",
  "a\u0000b.jpg",
  "\\..\\..\\outside.jpg",
  "ü.jpg",
  "%2e%2e/%2e%2e/outside.jpg",
  "x/".repeat(400) + "a.jpg",
  "a.json",
  "a#b?.jpg",
];
const TYPES = [
  "file",
  "link",
  "symlink",
  "character-device",
  "block-device",
  "fifo",
  "directory",
  "contiguous-file",
] as const;
const TARGETS = ["/etc/passwd", "../../outside/secret.jpg", "a.jpg", "/dev/zero", "", "."];

async function hostileTar(next: () => number): Promise<Buffer> {
  const packed = pack();
  for (let member = below(next, 8); member >= 0; member--) {
    const type = oneOf(next, TYPES);
    const content = Buffer.alloc(below(next, 600), 0xff);
    const header: Pick<Header, "name"> & { type: Header["type"]; linkname: string; pax?: Record<string, string> } = {
      name: oneOf(next, NAMES),
      type,
      linkname: oneOf(next, TARGETS),
    };
    if (next() < 0.2)
      header.pax = { path: oneOf(next, NAMES), size: String(below(next, 1e9)), linkpath: "/etc/passwd" };
    if (type === "file" || type === "contiguous-file") packed.entry(header, content);
    else packed.entry(header);
  }
  packed.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of packed as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A gigabyte of zeros behind a header, which packs into a megabyte */
function bomb(): Buffer {
  const head = Buffer.alloc(512);
  head.write("bomb.jpg");
  head.write("0000644\0", 100);
  head.write("10000000000\0", 124);
  head.write("00000000000\0", 136);
  head.write("0", 156);
  head.write("ustar\u000000", 257);
  head.fill(" ", 148, 156);
  const sum = head.reduce((total, byte) => total + byte, 0);
  head.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return gzipSync(Buffer.concat([head, Buffer.alloc(64 * 1024 * 1024)]));
}

export const TARS: FuzzTarget = {
  name: "tars",
  what: "tar shards, plain and packed: members that lead out, links, devices, sparse and endless ones, bombs",
  extension: "tar",
  prepare: async (folder) => {
    const fixtures = (name: string): Buffer[] =>
      readdirSync(join(ROOT, "test", "fixtures", name))
        .filter((file) => /\.(gz|zst)$/.test(file))
        .map((file) => readFileSync(join(ROOT, "test", "fixtures", name, file)));
    const packed = fixtures("tars").map((bytes) => ({ bytes, tar: gunzipSync(bytes) }));
    const corpus = [
      ...packed.map(({ tar }) => tar),
      ...packed.map(({ bytes }) => bytes).filter(({ length }) => length < 20_000),
      ...fixtures("zstd").filter(({ length }) => length < 100_000),
    ].filter(({ length }) => length < 1_000_000);
    const bombs = [bomb()];
    let tries = 0;
    await mkdir(join(folder, "shards"));
    return {
      make: async (next) => {
        const kind = next();
        if (kind < 0.01) return oneOf(next, bombs);
        const tar = kind < 0.4 ? await hostileTar(next) : oneOf(next, corpus);
        const made = next() < 0.8 ? mutateBytes(next, tar, oneOf(next, corpus)) : tar;
        return next() < 0.1 ? gzipSync(made, { level: 1 }) : made;
      },
      run: async (bytes) => {
        // Another name each time: an opener keeps what it has read of a shard.
        const shard = join(folder, "shards", `${(tries++ % 4).toString()}.tar`);
        await writeFile(shard, bytes);
        const opener = openUri();
        const source = await openTarSource([shard], { maxBytes: MOST_BYTES, mayBeEmpty: true });
        let opened = 0;
        for await (const { record } of source.items(null)) {
          if (record.bytes !== null || opened++ > MOST_OPENED) continue;
          await opener.open(record.uri, MOST_BYTES).catch((error: unknown) => {
            if (!isSluiceError(error) || error.code === "E_INTERNAL") throw error;
          });
        }
      },
    };
  },
};
