import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { EmbeddedLog } from "../../connectors/log/embedded/embedded-log.js";
import type { Log } from "../../connectors/log/log.js";
import { openUri } from "../../connectors/source/open-uri.js";
import type { Store } from "../../connectors/store/store.js";
import { archivedChains } from "../../operators/archive/chain.js";
import { ChainReader } from "../../operators/archive/chain-reader.js";
import { readClaims } from "../../operators/archive/chain-claims.js";
import { currentFrontier } from "../../operators/archive/archive-reader.js";
import { chainTotals } from "../../pipelines/versions/chain-totals.js";
import { compact } from "../../pipelines/compact.js";
import { listQuarantine } from "../../pipelines/quarantine/quarantine.js";
import { rebuild } from "../../pipelines/rebuild.js";
import { planReplay, type ReplayAsk } from "../../pipelines/replay-plan.js";
import { reproduce } from "../../pipelines/reproduce.js";
import { openStore, openWorkspace } from "../../pipelines/open/workspace.js";
import { verifyVersion } from "../../pipelines/versions/verify-version.js";
import { isSluiceError } from "../../schemas/errors.js";
import { encodeImageRecord } from "../../schemas/image-record.js";
import { teacherDigest } from "../../schemas/model-card.js";
import type { SegmentHeader } from "../../schemas/segment.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { writePictures } from "../fixtures/pictures.js";
import { collect } from "../fixtures/publishing.js";
import { runIngest, testConfig, type RunIngest } from "../fixtures/run-ingest.js";
import { runReplay } from "../fixtures/run-replay.js";

const IMAGES = 60;
const DUPLICATES = 5;
const BROKEN = 3;
const RECORDS = IMAGES + DUPLICATES + BROKEN;
const config = { partitions: 2 };

let root: string;
let pictures: string;
/** Digests of the teachers A and B, and where they are */
const teachers = { a: "", b: "" };
const folders = { a: "", b: "" };
/** What ingesting with B gives, with nothing else ever having been */
let idOfB: string;
let count = 0;

before(async () => {
  root = await mkdtemp(join(tmpdir(), "sluice-replay-"));
  pictures = join(root, "pictures");
  for (const [name, seed] of [
    ["a", 1],
    ["b", 2],
  ] as const) {
    folders[name] = join(root, name);
    const { card } = await writeSmallTeacher(folders[name], "onnx", { classes: 6, output: "logits", seed });
    teachers[name] = teacherDigest(card);
  }
  await writePictures(pictures, { images: IMAGES, duplicates: DUPLICATES, broken: BROKEN });
  idOfB = (await runIngest({ data: join(root, "b-alone"), pictures, teacher: folders.b, config })).published[0]!
    .manifest.id;
});

after(async () => {
  await rm(root, { recursive: true, force: true });
});

/** A data folder that A has scored. */
async function scoredByA(): Promise<RunIngest> {
  const run = { data: join(root, `data-${count++}`), pictures, teacher: folders.a, config };
  await fill(run, pictures);
  await runIngest({ ...run, withoutSource: true });
  return run;
}

/** Puts a folder's pictures into the log, one after the other into one partition after the other. */
async function fill(run: RunIngest, from: string): Promise<void> {
  const workspace = await openWorkspace(testConfig(run), "test");
  try {
    await workspace.log.ensureTopic("images", 2);
    const files = (await readdir(from, { recursive: true, withFileTypes: true })).filter((file) => file.isFile());
    const uris = files.map((file) => pathToFileURL(join(file.parentPath, file.name)).href).sort();
    for (const partition of [0, 1]) {
      const records = uris
        .filter((_, at) => at % 2 === partition)
        .map((uri) =>
          encodeImageRecord({ uri, bytes: null, eventTimeMs: 0, licence: null, origin: null, retryOf: null }),
        );
      await workspace.log.append("images", partition, records);
    }
  } finally {
    await workspace.close();
  }
}

async function withStore<T>({ data }: { data: string }, body: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore(testConfig({ data, pictures, teacher: folders.b, config }));
  try {
    return await body(store);
  } finally {
    await store.close();
  }
}

const archiveOf = (teacher: string) => ({ teacher, stream: "images" });

async function headersOf(run: { data: string }, teacher = teachers.b): Promise<SegmentHeader[]> {
  return withStore(run, async (store) => {
    const headers: SegmentHeader[] = [];
    for (const chain of await archivedChains(store, archiveOf(teacher))) {
      headers.push(...(await collect(new ChainReader(store, chain).headers(chain.origin))));
    }
    return headers;
  });
}

const totalsOf = (headers: readonly SegmentHeader[]) => {
  const sum = { in: 0, scored: 0, copied: 0, quarantined: 0, lost: 0 };
  for (const { counts } of headers)
    for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += counts[name];
  return sum;
};

async function rebuilt(run: { data: string }) {
  return withStore(run, (store) =>
    rebuild({
      store,
      dataset: testConfig({ ...run, pictures, teacher: folders.b, config }).datasets[0]!,
      stream: "images",
      teacher: teachers.b,
      opener: openUri(),
      sheets: null,
    }),
  );
}

const offsets = (from: number, until: number): ReplayAsk => ({
  from: { at: "offset", offset: from },
  until: { at: "offset", offset: until },
});

test("a replay scores all that the log has, and a version of it is the one that its teacher gives alone", async () => {
  const run = await scoredByA();
  const { plan, counts, left } = await runReplay({ ...run, teacher: folders.b });
  assert.equal(left, 0);
  assert.deepEqual(counts, { scored: IMAGES, copied: DUPLICATES, quarantined: BROKEN, lost: 0 });
  assert.equal(
    plan.chains.reduce((sum, { chain, end }) => sum + end - chain.origin, 0),
    RECORDS,
  );
  assert.deepEqual(totalsOf(await headersOf(run)), { in: RECORDS, ...counts });
  assert.equal(
    (await readdir(join(run.data, "store", "versions", "d"))).filter((name) => /^\d+$/.test(name)).length,
    1,
  );

  const { manifest } = await rebuilt(run);
  assert.equal(manifest.id, idOfB);
  await withStore(run, async (store) => {
    const { dataset, number } = manifest;
    const { findings } = await verifyVersion(store, dataset, number, { chainTotals: (of) => chainTotals(store, of) });
    assert.deepEqual(findings, []);
    assert.equal((await reproduce({ store, dataset, version: number })).same, true);
    assert.equal((await collect(listQuarantine(store, archiveOf(teachers.b)))).length, BROKEN);
    const attempt = (): string => "0a";
    const done = await compact({ store, ...archiveOf(teachers.b), nowMs: Date.now, attempt });
    assert.ok(done.segments > 0);
    assert.equal((await reproduce({ store, dataset, version: number })).same, true);
  });

  const again = await runReplay({ ...run, teacher: folders.b });
  assert.deepEqual(again.plan.chains, []);
  assert.equal(again.plan.archived, RECORDS);
  assert.deepEqual(again.counts, { scored: 0, copied: 0, quarantined: 0, lost: 0 });
});

test("parts of a log, asked for in any order, become chains that share nothing, and copy what another part has scored", async () => {
  const run = await scoredByA();
  const half = RECORDS / 4;
  await runReplay({ ...run, teacher: folders.b, ask: offsets(half, RECORDS) });
  await runReplay({ ...run, teacher: folders.b, ask: offsets(3, half - 5) });
  const { plan } = await runReplay({ ...run, teacher: folders.b });
  assert.equal(plan.goesOn, false);
  const origins = (await withStore(run, (store) => readClaims(store, archiveOf(teachers.b)))).map(
    ({ partition, origin }) => [partition, origin],
  );
  assert.deepEqual(
    origins,
    [0, 1].flatMap((partition) => [0, 3, half - 5, half].map((origin) => [partition, origin])),
  );
  const totals = totalsOf(await headersOf(run));
  assert.deepEqual(totals, { in: RECORDS, scored: IMAGES, copied: DUPLICATES, quarantined: BROKEN, lost: 0 });
  assert.equal((await rebuilt(run)).manifest.id, idOfB);
});

test("only the partitions that are named are replayed, each by its offsets", async () => {
  const run = await scoredByA();
  const partitions = new Map([[1, { from: { at: "offset", offset: 4 }, until: { at: "offset", offset: 9 } }]] as const);
  const { counts } = await runReplay({
    ...run,
    teacher: folders.b,
    ask: { from: { at: "start" }, until: { at: "now" }, partitions },
  });
  assert.equal(counts.scored + counts.copied + counts.quarantined, 5);
  const missing = runReplay({
    ...run,
    teacher: folders.b,
    ask: { from: { at: "start" }, until: { at: "now" }, partitions: new Map([[7, {}]]) },
  });
  await assert.rejects(missing, (error) => isSluiceError(error, "E_USAGE"));
});

test("times are those at which records came into the log", async () => {
  const run = await scoredByA();
  const between = Date.now() + 1;
  await new Promise((resolve) => setTimeout(resolve, 10));
  await writePictures(join(root, "later"), { images: 8 }, 9);
  await runIngest({ ...run, pictures: join(root, "later") });
  const until = { at: "now" } as const;
  const later = await runReplay({ ...run, teacher: folders.b, ask: { from: { at: "time", timeMs: between }, until } });
  assert.equal(later.counts.scored, 8);
  const sooner = await runReplay({
    ...run,
    teacher: folders.b,
    ask: { from: { at: "time", timeMs: 0 }, until: { at: "time", timeMs: between } },
  });
  assert.equal(sooner.counts.scored, IMAGES);
});

test("stopped, it goes on along the same chains; what came meanwhile is for another run", async () => {
  const run = await scoredByA();
  const stop = new AbortController();
  const pinned = async (): Promise<string[]> =>
    withStore(run, async (store) => (await collect(store.list("pins/"))).map(({ key }) => key));
  let pins: Promise<string[]> | null = null;
  const stopped = await runReplay({
    ...run,
    teacher: folders.b,
    options: {
      perS: 40,
      signal: stop.signal,
      onSegment: () => {
        pins ??= pinned();
        void pins.finally(() => {
          stop.abort();
        });
      },
    },
  });
  assert.match((await pins!)[0]!, /^pins\/[0-9a-f]{64}\/images\/replay-/, "what it may copy rows from is not swept");
  assert.deepEqual(await pinned(), []);
  assert.ok(stopped.left > 0);
  const planned = stopped.plan.chains.map(({ chain, end }) => `${chain.partition} ${chain.origin} ${end}`);
  await writePictures(join(root, "meanwhile"), { images: 6 }, 11);
  await runIngest({ ...run, pictures: join(root, "meanwhile") });
  const rest = await runReplay({ ...run, teacher: folders.b });
  assert.equal(rest.plan.goesOn, true);
  assert.equal(rest.left, 0);
  assert.ok(rest.plan.chains.every(({ chain, end }) => planned.includes(`${chain.partition} ${chain.origin} ${end}`)));
  assert.equal(stopped.counts.scored + rest.counts.scored, IMAGES);
  const newer = await runReplay({ ...run, teacher: folders.b });
  assert.equal(newer.counts.scored, 6);
  assert.equal(totalsOf(await headersOf(run)).in, RECORDS + 6);
});

test("killed at any moment and run again, every record is archived once", async () => {
  const run = await scoredByA();
  const child = fileURLToPath(new URL("../fixtures/replay-child.js", import.meta.url));
  const asked = JSON.stringify({ data: run.data, teacher: folders.b, config });
  let last = "";
  for (let kill = 1; kill <= 3; kill++) {
    const process_ = spawn(process.execPath, [child, asked], { stdio: ["ignore", "pipe", "inherit"] });
    let segments = 0;
    process_.stdout.on("data", (bytes: Buffer) => {
      last = bytes.toString();
      segments += last.split("archived").length - 1;
      if (segments >= kill) process_.kill("SIGKILL");
    });
    await once(process_, "close");
  }
  await runReplay({ ...run, teacher: folders.b });
  const { scored, copied, ...rest } = totalsOf(await headersOf(run));
  assert.deepEqual(rest, { in: RECORDS, quarantined: BROKEN, lost: 0 });
  assert.equal(scored + copied, IMAGES + DUPLICATES);
  assert.equal((await rebuilt(run)).manifest.id, idOfB);
});

test("what retention takes before it is read is archived as lost, up to the chain's end", async () => {
  const run = await scoredByA();
  const stop = new AbortController();
  const options = {
    perS: 40,
    signal: stop.signal,
    onSegment: () => {
      stop.abort();
    },
  };
  await runReplay({ ...run, teacher: folders.b, ask: offsets(2, 30), options });
  const done = await headersOf(run);
  const before = async (log: Log): Promise<void> => {
    assert.ok(log instanceof EmbeddedLog);
    await log.truncate("images", 0, { before: 28 });
    // Beyond the end of what was planned there.
    await log.truncate("images", 1, { before: 33 });
  };
  const { counts, left, plan } = await runReplay({ ...run, teacher: folders.b, before, ask: offsets(2, 30) });
  assert.equal(left, 0);
  const endOf = (partition: number): number =>
    Math.max(2, ...done.filter((header) => header.partition === partition).map(({ end }) => end));
  assert.equal(counts.lost, 28 - endOf(0) + (30 - endOf(1)));
  assert.ok(plan.chains.every(({ end }) => end === 30));
  assert.deepEqual(totalsOf(await headersOf(run)).in, 2 * 28);
  const lost = (await headersOf(run)).filter(({ lostReason }) => lostReason !== null);
  assert.deepEqual(lost.map(({ partition, end }) => [partition, end]).sort(), [
    [0, 28],
    [1, 30],
  ]);
});

test("planners that race lay down each offset once, and both go along the same chains", async () => {
  const run = await scoredByA();
  const workspace = await openWorkspace(testConfig({ ...run, pictures, teacher: folders.b }), "test");
  try {
    const { log, store } = workspace;
    const archivedTo = async ({ origin }: { origin: number }): Promise<number> => origin;
    const plan = (ask: ReplayAsk) =>
      planReplay({ log, store, ...archiveOf(teachers.b), ask, archivedTo, dryRun: false });
    const all: ReplayAsk = { from: { at: "start" }, until: { at: "now" } };
    const plans = await Promise.all([plan(all), plan(offsets(5, 15)), plan(all), plan(offsets(10, 20))]);
    const owners = new Map<string, number>();
    for (const { partition, origin, end } of await readClaims(store, archiveOf(teachers.b))) {
      for (let at = origin; at < end!; at++)
        owners.set(`${partition}/${at}`, (owners.get(`${partition}/${at}`) ?? 0) + 1);
    }
    assert.ok([...owners.values()].every((one) => one === 1));
    for (const { asked, chains } of plans) {
      for (const { partition, start, end } of asked) {
        for (let at = start; at < end && end <= 20; at++) {
          const along = chains.some(
            ({ chain, end: to }) => chain.partition === partition && chain.origin <= at && at < to,
          );
          assert.ok(along, `${partition}/${at}`);
        }
      }
    }
    const dry = await planReplay({ log, store, ...archiveOf(teachers.a), ask: all, archivedTo, dryRun: true });
    assert.deepEqual([dry.chains.length, dry.live], [0, RECORDS], "A's live chain has all of it");
  } finally {
    await workspace.close();
  }
});

test("a replay until now takes in the unfinished part of another, and one of its own it goes on with", async () => {
  const run = await scoredByA();
  const workspace = await openWorkspace(testConfig({ ...run, pictures, teacher: folders.b }), "test");
  try {
    const { log, store } = workspace;
    const archivedTo = async ({ origin }: { origin: number }): Promise<number> => origin;
    const plan = async (ask: ReplayAsk) => {
      const made = await planReplay({ log, store, ...archiveOf(teachers.b), ask, archivedTo, dryRun: false });
      const chains = made.chains.filter(({ chain }) => chain.partition === 0);
      return { goesOn: made.goesOn, chains: chains.map(({ chain, end, isNew }) => [chain.origin, end, isNew]) };
    };
    const now: ReplayAsk = { from: { at: "start" }, until: { at: "now" } };
    const last = RECORDS / 2;
    assert.deepEqual(await plan(offsets(5, 15)), { goesOn: false, chains: [[5, 15, true]] });
    const all = [0, 5, 15];
    assert.deepEqual(await plan(now), {
      goesOn: false,
      chains: all.map((from, at) => [from, all[at + 1] ?? last, from !== 5]),
    });
    await log.append("images", 0, [
      encodeImageRecord({ uri: "file:///a", bytes: null, eventTimeMs: 0, licence: null, origin: null, retryOf: null }),
    ]);
    assert.deepEqual(await plan(now), {
      goesOn: true,
      chains: all.map((from, at) => [from, all[at + 1] ?? last, false]),
    });
    const fixed = await plan(offsets(0, last + 1));
    assert.deepEqual([fixed.goesOn, fixed.chains.at(-1)], [false, [last, last + 1, true]]);
  } finally {
    await workspace.close();
  }
});

test("promoted, the teacher's live chain begins where its replay ends, and nothing is scored twice", async () => {
  const run = await scoredByA();
  await runReplay({ ...run, teacher: folders.b });
  await writePictures(join(root, "new"), { images: 7 }, 21);
  // A goes on until B takes over.
  await runIngest({ ...run, pictures: join(root, "new") });
  const promoted = await runIngest({ ...run, teacher: folders.b, withoutSource: true });
  assert.equal(promoted.counts.scored, 7);
  const claimed = await withStore(run, (store) => readClaims(store, archiveOf(teachers.b)));
  for (const partition of [0, 1]) {
    const [past, live] = claimed.filter((one) => one.partition === partition);
    assert.deepEqual([past!.origin, past!.end, live!.end], [0, live!.origin, null]);
  }
  const { records } = promoted.published[0]!.manifest.totals;
  assert.deepEqual(records, {
    in: RECORDS + 7,
    scored: IMAGES + 7,
    copied: DUPLICATES,
    quarantined: BROKEN,
    lost: 0,
  });
  const frontier = await withStore(run, (store) => currentFrontier(store, archiveOf(teachers.b)));
  assert.deepEqual(promoted.frontier, frontier);
  const late = await runReplay({ ...run, teacher: folders.b });
  assert.deepEqual([late.plan.chains.length, late.plan.live], [0, 7]);
});

test("a log made anew below what was planned is refused", async () => {
  const run = await scoredByA();
  await runReplay({ ...run, teacher: folders.b });
  await rm(join(run.data, "log"), { recursive: true });
  const anew = runReplay({
    ...run,
    teacher: folders.b,
    before: (log) => log.ensureTopic("images", 2),
  });
  await assert.rejects(anew, (error) => isSluiceError(error, "E_LOG_RECREATED"));
});

test("bytes of what may be chosen are kept, so that versions of a replay carry them", async () => {
  const kept = { ...config, bytes: "keep" as const };
  const run = { data: join(root, `data-${count++}`), pictures, teacher: folders.a, config: kept };
  await runIngest(run);
  await runReplay({ ...run, teacher: folders.b });
  const { manifest } = await rebuilt(run);
  assert.equal(manifest.totals.bytesAbsent, 0);
  assert.equal(manifest.id, idOfB);
});
