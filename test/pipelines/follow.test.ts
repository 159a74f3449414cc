import assert from "node:assert/strict";
import { mkdtemp, rm, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openUri } from "../../connectors/source/open-uri.js";
import { lateRecords } from "../../pipelines/late.js";
import { readIndex } from "../../pipelines/index-reader.js";
import { rebuild } from "../../pipelines/rebuild.js";
import { openStore } from "../../pipelines/runtime/workspace.js";
import type { PublishedCut } from "../../pipelines/runtime/cut-and-publish.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { writePictures } from "../fixtures/pictures.js";
import { collect } from "../fixtures/publishing.js";
import { runIngest, testConfig, type RunIngest } from "../fixtures/run-ingest.js";

const HOUR_MS = 3_600_000;
const DAY = Date.UTC(2026, 9, 1);
const FOLLOW = { rescanMs: 50, judgeMs: 20 };

async function inFolder(body: (root: string, teacher: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), "sluice-follow-"));
  try {
    const teacher = join(root, "teacher");
    await writeSmallTeacher(teacher, "onnx", { classes: 5, output: "logits" });
    await body(root, teacher);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** Pictures whose files were last changed at the given hours of a day. */
async function picturesAt(folder: string, seed: number, hours: readonly number[]): Promise<void> {
  const made = await writePictures(folder, { images: hours.length }, seed, (name) => `${seed}/${name}`);
  for (const [index, path] of made.images.entries()) {
    const seconds = (DAY + hours[index]! * HOUR_MS) / 1000;
    await utimes(join(folder, path), seconds, seconds);
  }
}

/** Follows until `enough` versions were published. */
async function follow(
  run: RunIngest,
  enough: number,
  onPublished?: (published: PublishedCut) => Promise<void>,
): Promise<PublishedCut[]> {
  const stop = new AbortController();
  const seen: PublishedCut[] = [];
  let reacting: Promise<void> | undefined;
  await runIngest({
    ...run,
    options: {
      follow: FOLLOW,
      stop: stop.signal,
      onPublished: (published) => {
        seen.push(published);
        reacting = Promise.all([reacting, onPublished?.(published)]).then(() => undefined);
        if (seen.length >= enough) stop.abort();
      },
    },
  });
  await reacting;
  return seen;
}

test("a folder that ends gives a version of every window that has ended, and the next run those that end then", async () => {
  await inFolder(async (root, teacher) => {
    const pictures = join(root, "pictures");
    await picturesAt(pictures, 1, [1, 2, 7, 8, 9, 13, 20]);
    const datasets = [
      { name: "d", select: { k: 9, p: 1 }, window: { kind: "tumbling" as const, sizeMs: 6 * HOUR_MS } },
    ];
    const run = { data: join(root, "data"), pictures, teacher, config: { datasets } };
    const spans = (published: readonly PublishedCut[]): (readonly [number, number, number])[] =>
      published.map(({ manifest }) => [
        (manifest.span.startMs! - DAY) / HOUR_MS,
        (manifest.span.endMs! - DAY) / HOUR_MS,
        manifest.totals.rows,
      ]);
    assert.deepEqual(spans((await runIngest(run)).published), [
      [0, 6, 2],
      [6, 12, 3],
      [12, 18, 1],
    ]);
    await picturesAt(pictures, 2, [23, 25]);
    assert.deepEqual(spans((await runIngest(run)).published), [[18, 24, 2]]);
    assert.deepEqual(spans((await runIngest(run)).published), [], "nothing new is due");
    await picturesAt(pictures, 3, [240]);
    assert.deepEqual(spans((await runIngest(run)).published), [[24, 30, 1]], "nothing of windows without images");
  });
});

test("following, a version is cut each time that the trigger fires, and its reason is in the manifest", async () => {
  await inFolder(async (root, teacher) => {
    const pictures = join(root, "pictures");
    await writePictures(pictures, { images: 30 }, 3);
    const datasets = [{ name: "d", select: { k: 4, p: 2 }, leastIntervalMs: 0, trigger: { everyImages: 25 } }];
    const run = { data: join(root, "data"), pictures, teacher, config: { datasets } };
    const published = await follow(run, 2, async ({ manifest }) => {
      if (manifest.number === 1) await writePictures(pictures, { images: 40 }, 4, (name) => `more/${name}`);
    });
    assert.deepEqual(
      published.map(({ manifest }) => manifest.number),
      [1, 2],
    );
    assert.match(published[0]!.manifest.provenance.trigger, /of 25 images/);
    assert.ok(published[1]!.manifest.totals.records.in >= published[0]!.manifest.totals.records.in + 25);
  });
});

test("late images within the lateness allowed give a corrected version of their window", async () => {
  await inFolder(async (root, teacher) => {
    const pictures = join(root, "pictures");
    await picturesAt(pictures, 5, [1, 2, 7]);
    const datasets = [
      {
        name: "d",
        select: { k: 9, p: 1 },
        window: { kind: "tumbling" as const, sizeMs: 6 * HOUR_MS },
        allowedLatenessMs: 2 * HOUR_MS,
      },
    ];
    const run = { data: join(root, "data"), pictures, teacher, config: { datasets } };
    const published = await follow(run, 3, async ({ manifest }) => {
      // Late for the first window, still allowed: the watermark is at 7 h. Then it passes 8 h.
      if (manifest.number === 1) await picturesAt(pictures, 6, [3]).then(() => picturesAt(pictures, 7, [14]));
    });
    const first = published.filter(({ manifest }) => manifest.span.startMs === DAY);
    assert.deepEqual(
      first.map(({ manifest }) => manifest.totals.rows),
      [2, 3],
    );
    assert.equal(first[1]!.manifest.provenance.trigger, "late images");
    assert.notEqual(first[0]!.manifest.id, first[1]!.manifest.id);
  });
});

test("late records are counted and listed, with the classes that each would have changed", async () => {
  await inFolder(async (root, teacher) => {
    const pictures = join(root, "pictures");
    await picturesAt(pictures, 8, [...Array.from({ length: 30 }, (_, index) => 1 + index / 10), 7]);
    const window = { kind: "tumbling" as const, sizeMs: 6 * HOUR_MS };
    const datasets = [{ name: "d", select: { k: 3, p: 1 }, window }];
    const run = { data: join(root, "data"), pictures, teacher, config: { datasets } };
    const { manifest } = (await runIngest(run)).published[0]!;
    await picturesAt(pictures, 9, [...Array.from({ length: 12 }, (_, index) => 2 + index / 10), 9]);
    await runIngest(run);
    const store = await openStore(testConfig(run));
    try {
      const late = await collect(lateRecords(store, manifest));
      assert.equal(late.length, 12, "the one at 9 h lies in another window");
      assert.ok(late.every(({ eventTimeMs }) => eventTimeMs >= DAY && eventTimeMs < DAY + 6 * HOUR_MS));
      // What it says is what cutting again shows.
      const again = await rebuild({
        store,
        dataset: testConfig(run).datasets[0]!,
        stream: "images",
        windowMs: manifest.span.startMs!,
        opener: openUri(),
        sheets: null,
      });
      const rows = async (of: typeof manifest) =>
        (await collect(readIndex(store, of))).map((row) => `${row.label} ${row.sha256}`);
      const before = new Set(await rows(manifest));
      const came = (await rows(again.manifest)).filter((row) => !before.has(row));
      const said = late.flatMap(({ changes, sha256 }) => changes.map((label) => `${label} ${sha256}`));
      assert.ok(came.length > 0);
      // Of several that pass the bar, better ones may leave others no room.
      assert.ok(came.every((row) => said.includes(row)));
      assert.ok(late.some(({ changes }) => changes.length === 0));
    } finally {
      await store.close();
    }
  });
});
