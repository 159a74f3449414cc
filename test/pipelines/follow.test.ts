import assert from "node:assert/strict";
import { mkdtemp, rm, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openUri } from "../../connectors/source/open-uri.js";
import { lateRecords } from "../../pipelines/versions/late.js";
import { readIndex } from "../../pipelines/versions/index-reader.js";
import { rebuild } from "../../pipelines/rebuild.js";
import { status, type TeacherStatus } from "../../pipelines/status.js";
import { openStore } from "../../pipelines/open/workspace.js";
import type { PublishedCut } from "../../pipelines/versions/cut-and-publish.js";
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

/** Follows until so many images are scored, and a few more looks at the triggers; gives what was warned of beside the result. */
async function followAll(run: RunIngest, images: number, then?: () => Promise<void>) {
  const stop = new AbortController();
  const warnings: { readonly message: string; readonly code: string | undefined }[] = [];
  let reacting: Promise<void> | undefined;
  let more = then === undefined ? 0 : images;
  const result = await runIngest({
    ...run,
    options: {
      follow: FOLLOW,
      stop: stop.signal,
      onWarning: (message, code) => warnings.push({ message, code }),
      onProgress: ({ done }) => {
        if (reacting === undefined && done >= images) {
          reacting = sleep(10 * FOLLOW.judgeMs)
            .then(() => then?.())
            .then(() => {
              if (more === 0) stop.abort();
            });
        } else if (more > 0 && done > images) {
          more = 0;
          void sleep(10 * FOLLOW.judgeMs).then(() => {
            stop.abort();
          });
        }
      },
    },
  });
  await reacting;
  return { ...result, warnings };
}

test("following a global window without a trigger, it is said at the start that nothing is published before the stop, and the stop does", async () => {
  await inFolder(async (root, teacher) => {
    const pictures = join(root, "pictures");
    await writePictures(pictures, { images: 20 }, 11);
    const run = {
      data: join(root, "data"),
      pictures,
      teacher,
      config: { datasets: [{ name: "d", select: { k: 3, p: 1 } }] },
    };
    const { published, warnings } = await followAll(run, 20);
    assert.match(
      warnings[0]!.message,
      /^dataset "d" has no trigger.*nothing is published before the stop.*datasets set d/,
    );
    assert.deepEqual(
      published.map(({ manifest }) => [manifest.number, manifest.provenance.trigger, manifest.totals.records.in]),
      [[1, "stop", 20]],
    );
  });
});

test("between two versions that a trigger makes lies the least interval", async () => {
  await inFolder(async (root, teacher) => {
    const pictures = join(root, "pictures");
    await writePictures(pictures, { images: 20 }, 12);
    const dataset = { name: "d", select: { k: 3, p: 1 }, leastIntervalMs: HOUR_MS, trigger: { everyImages: 10 } };
    const run = { data: join(root, "data"), pictures, teacher, config: { datasets: [dataset] } };
    const { published, counts } = await followAll(run, 20, async () => {
      await writePictures(pictures, { images: 20 }, 13, (name) => `more/${name}`);
    });
    assert.ok(counts.scored > 20, "twice as many images as the trigger waits for");
    assert.deepEqual(
      published.map(({ manifest }) => manifest.number),
      [1],
    );
  });
});

test("following goes on after a version that nobody could want: it is said once, with its code", async () => {
  await inFolder(async (root, teacher) => {
    const pictures = join(root, "pictures");
    await writePictures(pictures, { images: 12 }, 14);
    const dataset = { name: "d", select: { k: 1000, p: 5 }, leastIntervalMs: 0, trigger: { everyImages: 10 } };
    const run = { data: join(root, "data"), pictures, teacher, config: { datasets: [dataset] } };
    const { published, counts, warnings } = await followAll(run, 12, async () => {
      await writePictures(pictures, { images: 12 }, 15, (name) => `more/${name}`);
    });
    assert.deepEqual(published, []);
    assert.ok(counts.scored > 12, "scored after the refusal");
    assert.deepEqual(
      warnings.map(({ code }) => code),
      ["E_PUBLISH_STARVING"],
    );
  });
});

test("images that come for a window that has its version are counted as late, in the first segment of a run too", async () => {
  await inFolder(async (root, teacher) => {
    const pictures = join(root, "pictures");
    const window = { kind: "tumbling" as const, sizeMs: 6 * HOUR_MS };
    const datasets = [
      { name: "windowed", select: { k: 9, p: 1 }, window },
      { name: "global", select: { k: 9, p: 1 } },
    ];
    const run = { data: join(root, "data"), pictures, teacher, config: { datasets } };
    const lateOf = async (): Promise<object | null> => {
      const store = await openStore(testConfig(run));
      try {
        const [{ datasets: found }] = (await status(testConfig(run), store, null, Date.now())) as [TeacherStatus];
        assert.equal(found[1]!.late, null, "a global window does not end");
        return found[0]!.late;
      } finally {
        await store.close();
      }
    };
    await picturesAt(pictures, 16, [1, 2, 7]);
    assert.deepEqual((await runIngest(run)).late, []);
    assert.deepEqual(await lateOf(), { version: 1, images: 0 });
    await picturesAt(pictures, 17, [3, 4, 8]);
    assert.deepEqual((await runIngest(run)).late, [{ dataset: "windowed", images: 2 }]);
    assert.deepEqual(await lateOf(), { version: 1, images: 2 });
  });
});
