import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openFilesystemStore } from "../../connectors/store/filesystem/filesystem-store.js";
import { collect } from "../../pipelines/collect.js";
import { moveTag } from "../../operators/version/version-tags.js";
import { encodeLoopStep } from "../../schemas/loop-step.js";
import { keys } from "../../schemas/keys.js";
import type { Manifest } from "../../schemas/manifest.js";
import type { VersionList } from "../../schemas/api/versions.js";
import { CommandFolder, type Ran } from "../fixtures/command-folder.js";

const HOUR_MS = 3_600_000;
const RULE = ["last", "2,", "tagged"];
let place: CommandFolder;

// Seven versions: 2 is tagged, 3 is one that a loop trains on.
before(async () => {
  place = await CommandFolder.make({ images: 20, datasets: "[{ name: flowers, select: { k: 8, p: 1 }, reserve: 0 }]" });
  assert.equal((await sluice("ingest", "pictures")).code, 0);
  for (const k of [7, 6, 5, 4, 3, 2])
    assert.equal((await sluice("rebuild", "--set", `datasets.0.select.k=${k}`)).code, 0);
  assert.equal((await sluice("versions", "tag", "2", "production")).code, 0);
  const { id, teacher } = await place.json<Manifest>("versions", "show", "3");
  const step = { dataset: "flowers", number: 3, id, teacher: teacher.digest, at: "2026-01-01T00:00:00Z" };
  await inStore((store) => store.put(keys.loopStep("flowers", 1, "version"), encodeLoopStep<"version">(step)));
});

after(() => place.remove());

const sluice = (...args: string[]): Promise<Ran> => place.sluice(...args);
const numbers = async (): Promise<number[]> =>
  (await place.json<VersionList>("versions", "list")).versions.map(({ number }) => number);
/** How many versions have their files */
const folders = async (): Promise<number> =>
  (await readdir(join(place.stored(), "versions/flowers/data"), { recursive: true })).filter((name) =>
    name.endsWith("croissant.json"),
  ).length;

async function inStore<T>(work: (store: Awaited<ReturnType<typeof openFilesystemStore>>) => Promise<T>): Promise<T> {
  const store = await openFilesystemStore(place.stored());
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** `sluice gc --yes`, so long after now */
const gcLater = (afterMs: number): ReturnType<typeof collect> =>
  inStore((store) =>
    collect({ store, stream: "images", dryRun: false, nowMs: () => Date.now() + afterMs, attempt: () => "test" }),
  );

test("a rule says first what it would let go, and changes nothing", async () => {
  const { code, out, err } = await sluice("versions", "keep", ...RULE);
  assert.equal(code, 0, err);
  assert.match(out, /^Of flowers would stay: last 2, tagged\.\nIt lets 3 versions go, of [\d.]+ KiB:\nversion /);
  for (const number of [1, 4, 5]) assert.match(out, new RegExp(`^flowers/${number} `, "m"));
  assert.match(out, /Nothing was changed; with --yes it is declared\./);
  assert.doesNotMatch((await sluice("gc")).out, /let .* go/);
  assert.doesNotMatch((await sluice("versions", "keep", "younger", "than", "1", "day")).out, /^flowers\//m);
  assert.equal((await sluice("versions", "keep", "last", "none")).code, 2);
});

test("gc obeys what is declared: what the last two, a tag and a loop do not keep is let go, its manifest stays", async () => {
  assert.match((await sluice("versions", "keep", ...RULE, "--yes")).out, /`sluice gc --yes` obeys it\./);
  assert.match((await sluice("datasets", "show", "flowers")).out, /^keep +\{"last":2\}$/m);
  const dry = (await sluice("gc")).out;
  assert.match(dry, /^Would let 3 versions \(flowers\/1, flowers\/4, flowers\/5\) go: /m);
  assert.deepEqual(await numbers(), [1, 2, 3, 4, 5, 6, 7]);
  assert.match((await sluice("gc", "--yes")).out, /^Let 3 versions \(flowers\/1, flowers\/4, flowers\/5\) go: /m);
  assert.deepEqual(await numbers(), [2, 3, 6, 7]);
  const gone = await sluice("versions", "verify", "1");
  assert.equal(gone.code, 1);
  assert.match(gone.err, /flowers\/1, found that it was let go at .* \(keep last 2, tagged\)/);
  assert.match((await sluice("versions", "show", "1")).out, /^Let go at /);
  assert.equal((await sluice("reproduce", "1")).code, 0);
  assert.equal((await sluice("versions", "tag", "1", "late")).code, 1);
  assert.equal(await folders(), 7, "those who read have time");
});

test("files go an hour later, unless somebody reads, or something names the version by now", async () => {
  await inStore((store) => moveTag(store, "flowers", "again", { number: 4, atMs: Date.now() }));
  const pin = "pins/teacher/images/export-1.json";
  const { sealJson } = await import("../../schemas/sealed-json.js");
  const createdMs = Date.now() - HOUR_MS;
  await inStore((store) => store.put(pin, sealJson({ schemaVersion: 1, createdMs, untilMs: createdMs + 9 * HOUR_MS })));
  const steps = ({ versions }: Awaited<ReturnType<typeof collect>>) =>
    versions.map(({ number, step }) => `${number} ${step}`);
  assert.deepEqual(steps(await gcLater(2 * HOUR_MS)), ["1 waits", "4 kept", "5 waits"]);
  await inStore((store) => store.delete(pin));
  assert.deepEqual(steps(await gcLater(2 * HOUR_MS)), ["1 freed", "5 freed"]);
  assert.deepEqual(steps(await gcLater(3 * HOUR_MS)), []);
  assert.equal(await folders(), 5);
  assert.deepEqual(await numbers(), [2, 3, 4, 6, 7]);
  for (const number of await numbers()) assert.equal((await sluice("versions", "verify", String(number))).code, 0);
  assert.equal((await sluice("archive", "verify")).code, 0);
  assert.equal((await sluice("reproduce", "5")).code, 0);
});

test("the next version takes the next number, and an erasure does not wait for those who read what was let go", async () => {
  assert.equal((await sluice("rebuild", "--set", "datasets.0.select.k=1")).code, 0);
  assert.deepEqual((await numbers()).at(-1), 8);
  assert.match((await sluice("gc", "--yes")).out, /^Let 1 version \(flowers\/6\) go: /m);
  const before = await folders();
  const [row] = (await place.json<{ rows: { sha256: string }[] }>("versions", "sheet", "7")).rows;
  assert.equal((await sluice("erase", row!.sha256, "--yes")).code, 0);
  assert.equal(await folders(), before - 1);
  assert.match((await sluice("versions", "keep", "all", "--yes")).out, /^Every version of flowers stays\./);
  assert.doesNotMatch((await sluice("gc")).out, /let .* go/);
});
