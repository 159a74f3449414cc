import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { mkdtemp, readdir, readFile, rm, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFilesystemStore } from "../../connectors/store/filesystem/filesystem-store.js";
import { sharpSheets } from "../../connectors/sheet/sharp.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { ChainReader } from "../../operators/archive/chain-reader.js";
import { readCards } from "../../operators/archive/teacher-registry.js";
import { digestText } from "../../operators/version/fetched-images.js";
import { erase, type Erased } from "../../pipelines/erase/erase.js";
import { readIndex } from "../../pipelines/versions/index-reader.js";
import { verifyVersion } from "../../pipelines/versions/verify-version.js";
import { readManifest } from "../../pipelines/versions/versions.js";
import { isSluiceError } from "../../schemas/errors.js";
import type { IndexRow } from "../../schemas/index-row.js";
import type { Store } from "../../connectors/store/store.js";
import { windowsOf } from "../fixtures/byte-scan.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { FAILURES, failingStore } from "../fixtures/failing-store.js";
import { openMemoryStore, type MemoryStore } from "../fixtures/memory-store.js";
import { writePictures } from "../fixtures/pictures.js";
import { keys } from "../../schemas/keys.js";
import { collect } from "../fixtures/publishing.js";
import { runIngest } from "../fixtures/run-ingest.js";

const site = openMemoryStore();
let root: string;
let image: IndexRow;
let windows: Buffer[];

before(async () => {
  root = await mkdtemp(join(tmpdir(), "sluice-erase-"));
  const [teacher, pictures, data] = [join(root, "teacher"), join(root, "pictures"), join(root, "data")];
  await writeSmallTeacher(teacher, "onnx", { classes: 4, output: "logits" });
  await writePictures(pictures, { images: 20, duplicates: 2, broken: 1 });
  // Contact sheets are looked at in the command's test.
  const config = { bytes: "keep" as const, datasets: [{ name: "d", select: { k: 3, p: 2 } }] };
  await runIngest({ data, pictures, teacher, config });
  const store = await openFilesystemStore(join(data, "store"));
  image = (await collect(readIndex(store, await readManifest(store, "d", 1))))[0]!;
  // It comes once more and is refused unread: the archive says where it lay, and not what it is.
  const farS = Date.now() / 1000 + 1e6;
  await utimes(new URL(image.uri), farS, farS);
  await runIngest({ data, pictures, teacher, config });
  for await (const { key } of store.list("")) site.objects.set(key, await store.get(key));
  await store.close();
  // A delta that tells of the image, as a dataset with `deltas: true` has it.
  site.objects.set(keys.delta("d", 1), Buffer.from(image.uri));
  // One says that it left, and the version that had it is no more.
  site.objects.set(keys.delta("d", 7), Buffer.from(image.uri));
  const files = (await readdir(pictures, { recursive: true, withFileTypes: true })).filter((one) => one.isFile());
  const all = await Promise.all(files.map((one) => readFile(join(one.parentPath, one.name))));
  const own = await readFile(new URL(image.uri));
  windows = windowsOf(
    own,
    all.filter((bytes) => !bytes.equals(own)),
  );
});

after(() => rm(root, { recursive: true, force: true }));

function copied(): MemoryStore {
  const copy = openMemoryStore();
  for (const [key, bytes] of site.objects) copy.objects.set(key, bytes);
  return copy;
}

let attempts = 0;

function eraseIn(store: Store, digests: readonly string[] = [image.sha256]): Promise<Erased> {
  return erase({
    store,
    streams: ["images"],
    digests,
    by: "anna",
    reason: null,
    isAlone: true,
    sheets: sharpSheets,
    dryRun: false,
    nowMs: () => 1_800_000_000_000,
    attempt: () => `e${attempts++}`,
  });
}

/** Objects that have bytes of the image, or say where it lay. */
function holding(store: MemoryStore): string[] {
  const wanted = [...windows, Buffer.from(image.uri)];
  return [...store.objects].flatMap(([key, bytes]) =>
    wanted.some((one) => Buffer.from(bytes).includes(one)) ? [key] : [],
  );
}

async function assertErased(store: MemoryStore, name: string): Promise<void> {
  assert.deepEqual(holding(store), [], name);
  const { findings, redacted } = await verifyVersion(store, "d", 1);
  assert.deepEqual(findings, [], name);
  assert.equal(redacted, 1, name);
  const rows = await collect(readIndex(store, await readManifest(store, "d", 1)));
  const left = rows.filter(({ sha256 }) => sha256 === image.sha256);
  assert.ok(left.length > 0 && left.every(({ uri, bytes }) => uri === "erased:" && bytes === "absent"), name);
}

/** Where records of the image lie that were refused before anybody read them */
async function refusedUnread(store: Store): Promise<string[]> {
  const [teacher] = (await readCards(store)).keys();
  const uris: string[] = [];
  const reader = new ArchiveReader(store, { teacher: teacher!, stream: "images" });
  for (const chain of await reader.chains())
    for await (const { rejected } of reader.chain(chain).headers(chain.origin))
      for (const { sha256, uri, code } of rejected) if (sha256 === null && code === "E_RECORD_FUTURE") uris.push(uri);
  return uris;
}

test("wherever a call fails or the process dies, the next run leaves nothing of the image", async () => {
  assert.ok(windows.length > 0 && holding(copied()).length > 2);
  assert.deepEqual(await refusedUnread(site), [image.uri]);
  const counting = failingStore(copied(), Number.POSITIVE_INFINITY, "before");
  await eraseIn(counting);
  const whole = copied();
  await eraseIn(whole);
  await assertErased(whole, "whole");
  assert.deepEqual(await refusedUnread(whole), ["erased:"]);
  // Every third call: with four kinds of failure, each kind meets each step.
  for (let at = 0; at < counting.calls(); at += 3) {
    const failure = FAILURES[at % FAILURES.length]!;
    const store = copied();
    const name = `${failure} at ${at} of ${counting.calls()}`;
    await assert.rejects(
      eraseIn(failingStore(store, at, failure)),
      (error: unknown) => isSluiceError(error, "E_STORE_IO"),
      name,
    );
    await eraseIn(store);
    await assertErased(store, name);
  }
});

test("readers that knew a run before an erasure wrote it anew go on with it", async () => {
  const store = copied();
  // Compacts, so that there is a run.
  await eraseIn(store, ["cd".repeat(32)]);
  const [teacher] = [...(await readCards(store)).keys()];
  const [chain] = await new ArchiveReader(store, { teacher: teacher!, stream: "images" }).chains();
  const readers = [0, 1, 2].map(() => new ChainReader(store, chain!));
  const [headKnown, indexKnown, rowKnown] = readers as [ChainReader, ChainReader, ChainReader];
  await headKnown.runs.lastHead();
  const digestsOf = async (reader: ChainReader): Promise<string[]> => {
    const digests: string[] = [];
    for await (const { batch } of reader.segments(chain!.origin, await reader.runs.end()))
      for (let row = 0; row < batch.count; row++) digests.push(digestText(batch, row));
    return digests;
  };
  const before = await digestsOf(indexKnown);
  const own = await rowKnown.runRow(image.offset);
  assert.equal(Buffer.from(own!.digest).toString("hex"), image.sha256);
  await eraseIn(store);
  for (const reader of readers) {
    assert.deepEqual(await reader.runRow(image.offset), own);
    assert.deepEqual(await digestsOf(reader), before);
  }
});

test("an erasure that was recorded and killed is gone on with by one of another image", async () => {
  const store = copied();
  const counting = failingStore(copied(), Number.POSITIVE_INFINITY, "before");
  await eraseIn(counting);
  await assert.rejects(eraseIn(failingStore(store, Math.floor(counting.calls() / 2), "dead")));
  const { images } = await eraseIn(store, ["cd".repeat(32)]);
  assert.deepEqual(images, [{ sha256: "cd".repeat(32), recorded: "now", isKnown: false }]);
  await assertErased(store, "gone on with");
});

test("images of one version erased one after the other are counted together, up to all of them", async () => {
  const store = copied();
  const rows = await collect(readIndex(store, await readManifest(store, "d", 1)));
  const digests = [...new Set(rows.map(({ sha256 }) => sha256))];
  await eraseIn(store, digests.slice(0, 1));
  await eraseIn(store, digests.slice(1, 3));
  const three = await verifyVersion(store, "d", 1);
  assert.deepEqual([three.findings, three.redacted], [[], 3]);
  await eraseIn(store, digests);
  const all = await verifyVersion(store, "d", 1);
  assert.deepEqual([all.findings, all.redacted], [[], digests.length]);
});
