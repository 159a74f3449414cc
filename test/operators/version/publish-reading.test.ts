import assert from "node:assert/strict";
import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { gzipSync } from "node:zlib";
import type { SheetRenderer } from "../../../connectors/sheet/sheet.js";
import { openUri } from "../../../connectors/source/open-uri.js";
import { openTarSource } from "../../../connectors/source/tar/tar.js";
import { openFilesystemStore } from "../../../connectors/store/filesystem/filesystem-store.js";
import type { Scratch } from "../../../connectors/store/store.js";
import { imageBytes } from "../../../operators/image/image-bytes.js";
import { publish, type PublishOptions } from "../../../operators/version/publish.js";
import type { ChosenRows, Cut } from "../../../schemas/chosen-rows.js";
import { isSluiceError } from "../../../schemas/errors.js";
import type { Manifest } from "../../../schemas/manifest.js";
import { verifyVersion } from "../../../pipelines/versions/versions.js";
import { itemsOf } from "../../conformance/source.js";
import { countReads } from "../../fixtures/counted-reads.js";
import { chosenRows, madeCut, madeImage, type MadeImage, type MadeRow } from "../../fixtures/cuts.js";
import { collect, publishOptions, readingOf } from "../../fixtures/publishing.js";
import { tarOf } from "../../fixtures/tar-archive.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

const SHARDS = 8;
const MEMBERS = 30;
const IMAGE_BYTES = 2500;

interface Wild {
  readonly classes: ChosenRows[];
  readonly images: Map<string, MadeImage>;
  readonly shards: readonly string[];
}

/** Images in shards, every other one packed, and classes whose rows lie anywhere in them; some images are of two classes. */
async function wildOf(folder: string): Promise<Wild> {
  const images = new Map<string, MadeImage>();
  const rows: MadeRow[] = [];
  const shards: string[] = [];
  for (let number = 0; number < SHARDS; number++) {
    const made = Array.from({ length: MEMBERS }, (_, at) => madeImage(`${number}/${at}`, IMAGE_BYTES));
    const tar = await tarOf(made.map(({ bytes }, at) => ({ name: `${at}.png`, content: bytes })));
    const shard = join(folder, `${number}.tar`);
    await writeFile(shard, number % 2 === 1 ? gzipSync(tar, { level: 0 }) : tar);
    shards.push(shard);
    for (const [at, { record }] of (await itemsOf(await openTarSource([shard]))).entries()) {
      images.set(made[at]!.sha256, made[at]!);
      rows.push({ image: made[at]!, key: 0, uri: record.uri });
    }
  }
  const byDigest = rows.toSorted((a, b) => (a.image.sha256 < b.image.sha256 ? -1 : 1));
  const classes = Array.from({ length: 6 }, (_, index) =>
    chosenRows(
      index,
      byDigest.filter((_, at) => at % 6 === index || at % 10 === index),
    ),
  );
  return { classes, images, shards };
}

const cutOf = ({ classes }: Wild): Cut => madeCut(classes, { k: 200, shards: { count: 5 } });
const SHEETS: SheetRenderer = {
  width: 3,
  render: async (lines) =>
    Buffer.concat(lines.flatMap(({ images }) => images.map(({ bytes }) => bytes ?? Buffer.of(0)))),
};

/** A version's files, by their names in it. */
const filesOf = ({ files }: Manifest) =>
  files.map(({ key, ...file }) => ({ ...file, name: key.split("/").slice(4).join("/") }));

async function stored(t: TestContext, scratch?: (real: () => Promise<Scratch>) => Promise<Scratch>) {
  const folder = await temporaryFolder(t);
  const store = await openFilesystemStore(folder);
  t.after(() => store.close());
  const real = store.scratch!.bind(store);
  store.scratch = () => scratch?.(real) ?? real();
  const temporary = async (): Promise<readonly string[]> =>
    (await readdir(join(folder, "~tmp"), { recursive: true })).filter((name) => name.includes("/"));
  return { store, temporary };
}

test("a version of many classes reads each shard once and is, byte for byte, the one of images read in its own order", async (t) => {
  const wild = await wildOf(await temporaryFolder(t));
  const expected = filesOf((await publish(cutOf(wild), publishOptions(wild.images, { sheets: SHEETS }))).manifest);
  const { store } = await stored(t);
  const counts = countReads(t);
  const options: PublishOptions = { ...publishOptions(wild.images, { sheets: SHEETS }), store };
  const { manifest } = await publish(cutOf(wild), { ...options, read: imageBytes({ store, opener: openUri() }).read });
  for (const shard of wild.shards) {
    const most = MEMBERS * (Math.ceil(IMAGE_BYTES / 512) + 1) * 512 + 32 * 1024;
    assert.ok(counts.get(shard)! <= most, `${counts.get(shard)} bytes of ${shard}`);
  }
  assert.deepEqual(filesOf(manifest), expected);
  assert.equal(manifest.totals.bytesAbsent, 0);
  assert.deepEqual((await verifyVersion(store, "wild", 1)).findings, []);
});

test("images that memory has no room for wait in a scratch file, all of them or as many as it has room for", async (t) => {
  const wild = await wildOf(await temporaryFolder(t));
  const expected = filesOf((await publish(cutOf(wild), publishOptions(wild.images, { sheets: SHEETS }))).manifest);
  for (const freeBytes of [1e9, 150_000, 0]) {
    const open: Scratch[] = [];
    const { store, temporary } = await stored(t, async (real) => {
      const scratch = await real();
      open.push(scratch);
      return {
        ...scratch,
        freeBytes: async () => freeBytes,
        close: async () => {
          open.splice(open.indexOf(scratch), 1);
          await scratch.close();
        },
      };
    });
    let passes = 0;
    const { read } = imageBytes({ store, opener: openUri() });
    const counted: typeof read = (needed) => {
      passes++;
      return read(needed);
    };
    const { manifest } = await publish(cutOf(wild), {
      ...publishOptions(wild.images, { sheets: SHEETS, memoryBytes: 20_000 }),
      store,
      read: counted,
    });
    assert.deepEqual(filesOf(manifest), expected, `${freeBytes} bytes free`);
    assert.ok(freeBytes === 1e9 ? passes === 1 : passes > 5, `${passes} passes with ${freeBytes} bytes free`);
    assert.equal(open.length, 0);
    assert.deepEqual(await temporary(), []);
  }
});

test("what cannot be had any more is absent with its reason, and the rest of the version is whole", async (t) => {
  const wild = await wildOf(await temporaryFolder(t));
  await rm(wild.shards[1]!);
  await writeFile(wild.shards[2]!, await tarOf([{ name: "0.png", content: "other bytes" }]));
  const { store } = await stored(t);
  const found = imageBytes({ store, opener: openUri() });
  const { manifest } = await publish(cutOf(wild), { ...publishOptions(wild.images), store, read: found.read });
  assert.equal(found.absences.length, 2 * MEMBERS);
  assert.ok(manifest.totals.bytesAbsent >= 2 * MEMBERS);
  const reasons = found.absences.map(({ uri, reason }) => `${/(\d)\.tar[?#]/.exec(uri)![1]} ${reason}`);
  assert.ok(
    reasons.every((reason) =>
      /^1 .*; Expected the image that was listed|^2 .*; (its uri now has other bytes|Expected a member of that name)/.test(
        reason,
      ),
    ),
    reasons[0],
  );
  assert.deepEqual((await verifyVersion(store, "wild", 1)).findings, []);
});

test("a publication that is stopped or fails while it reads leaves neither files nor scratch behind", async (t) => {
  const wild = await wildOf(await temporaryFolder(t));
  for (const stopAt of [0, 1, 60, 170]) {
    let open = 0;
    const { store, temporary } = await stored(t, async (real) => {
      open++;
      const scratch = await real();
      return {
        ...scratch,
        close: async () => {
          open--;
          await scratch.close();
        },
      };
    });
    const controller = new AbortController();
    const { read } = imageBytes({ store, opener: openUri() });
    const options = { ...publishOptions(wild.images, { memoryBytes: 10_000 }), store, signal: controller.signal };
    const stopped = publish(cutOf(wild), {
      ...options,
      read: async function* (needed) {
        let done = 0;
        for await (const each of read(needed)) {
          if (done++ === stopAt) controller.abort();
          yield each;
        }
      },
    });
    await assert.rejects(stopped, (error) => isSluiceError(error, "E_CANCELLED"));
    const away = readingOf(async () => Promise.reject(new Error("the source is away")));
    const failed = publish(cutOf(wild), { ...options, signal: new AbortController().signal, read: away });
    await assert.rejects(failed, /the source is away/);
    assert.equal(open, 0);
    assert.deepEqual(await temporary(), []);
    assert.deepEqual(await collect(store.list("versions/")), []);
  }
});
