import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { parquetReadObjects } from "hyparquet";
import { openKafkaLog } from "../../../connectors/log/kafka/kafka-log.js";
import { openLocalStore } from "../../fixtures/local-store.js";
import type { Store } from "../../../connectors/store/store.js";
import { startKafka } from "../../../deploy/local/kafka.js";
import { startMinio } from "../../../deploy/local/minio.js";
import { archivedChains } from "../../../operators/archive/chain.js";
import { ChainReader } from "../../../operators/archive/chain-reader.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { readIndex, readManifest } from "../../../pipelines/versions/versions.js";
import type { IndexRow } from "../../../schemas/index-row.js";
import { decodePublished, type Published } from "../../../schemas/wire/published.js";
import { cannotStart } from "../../deploy/local/require-service.js";
import {
  againWhileAway,
  eventually,
  everything,
  makePictures,
  Process,
  seeded,
} from "../../fixtures/killed-processes.js";
import type { Services } from "../../fixtures/kafka-site.js";
import { writeSmallTeacher } from "../../fixtures/models.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

const MAIN = join(import.meta.dirname, "../../../cli/main.js");

/** Of each stream. The longer form, by hand: SLUICE_RUN_IMAGES=20000 SLUICE_RUN_KILLS=20 */
const COUNT = Number(process.env["SLUICE_RUN_IMAGES"] ?? 240);
const KILLS = Number(process.env["SLUICE_RUN_KILLS"] ?? 4);
const SEED = Number(process.env["SLUICE_RUN_SEED"] ?? 1);
const STREAMS = ["images", "staging"];
const WITHIN_MS = 90_000 + COUNT * 15 + KILLS * 10_000;

test(
  "two streams by one teacher on one cluster, one replayed by another meanwhile, all killed at random: the ids of one machine, nothing lost, nothing twice, every version told in order",
  { skip: (await cannotStart("kafka")) || (await cannotStart("minio")) },
  async (t) => {
    const [kafka, minio] = await Promise.all([startKafka(), startMinio()]);
    t.after(() => Promise.all([kafka.stop(), minio.stop()]));
    const random = seeded(SEED);
    const sites: Site[] = [];
    for (const [at, stream] of STREAMS.entries()) {
      sites.push(await openSite(t, { kafka, minio }, { stream, from: 1 + at * COUNT }));
    }
    const [replayed] = sites as [Site];
    const running = sites.flatMap(({ start }) => [
      start("run", "score", "--data", "scorer-1"),
      start("run", "all", "--data", "all", "--compact-every", "3s"),
      start("run", "publish", "--data", "publisher"),
    ]);
    const replay = replayed.start("replay", "--teacher", "other", "--data", "replay-1", "--no-yield-to-lag");
    // It ends where the log ended as it began, and is begun again for what has come since.
    const keepReplaying = async (): Promise<void> => {
      const { ended } = replay;
      if (ended === null) return;
      assert.ok(/ended \((0|SIGKILL)\)/.test(ended) || /error E_(LOG|STORE)_IO: /.test(ended), ended);
      await replay.restart();
    };
    const rate = String(Math.max(10, Math.ceil(COUNT / (10 + KILLS * 4))));
    const produced = Promise.all(
      sites.map(({ sluice }) => againWhileAway(() => sluice("produce", "pictures", "--rate", rate))),
    );
    produced.catch(() => undefined);
    for (let kill = 0; kill < KILLS; kill++) {
      await sleep(1000 + random() * 4000);
      await keepReplaying();
      // The replay, the broker and the store each once in every four at least.
      const server = [null, kafka, null, minio][kill % 4] ?? null;
      if (server !== null) {
        await server.kill("SIGKILL");
        await sleep(500);
        await server.restart();
      } else if (kill % 4 === 0) await replay.restart();
      else await running[Math.floor(random() * running.length)]!.restart();
    }
    await produced;
    for (const site of sites) {
      await eventually({ t, running, withinMs: WITHIN_MS }, async () => {
        await keepReplaying();
        const ends = (await site.log.ends(site.stream)).map(({ end }) => end);
        const archive = await archived(site.store, site.teacher, site.stream);
        return archive.covered >= ends.reduce((sum, end) => sum + end, 0) ? true : null;
      });
    }
    for (const process of running) assert.equal(await process.end("SIGINT"), 0, process.said);
    await replay.end("SIGKILL");
    await replayed.sluice("replay", "--teacher", "other", "--data", "replay-1");

    for (const site of sites) {
      const { sluice, local } = site;
      // In the cluster's store by what is archived; on one machine by what comes in.
      const { id } = JSON.parse(await sluice("rebuild", "--json")) as { id: string };
      assert.equal(id, await local("teacher"), site.stream);
      assert.deepEqual(await archived(site.store, site.teacher, site.stream), site.expected);
      await sluice("versions", "verify", "latest", "--data", "check");
      await assertToldInOrder(site, 1);
    }
    const { sluice, store, otherTeacher, stream, expected, local } = replayed;
    assert.deepEqual(await archived(store, otherTeacher, stream), expected);
    const rebuilt = await sluice("rebuild", "--teacher-digest", otherTeacher.slice(0, 16), "--json");
    assert.equal((JSON.parse(rebuilt) as { id: string }).id, await local("other"));
    await assertToldInOrder(replayed, 2);
  },
);

type Site = Awaited<ReturnType<typeof openSite>>;

/** A stream on the cluster, with a part of the bucket to itself. */
async function openSite(
  t: TestContext,
  { kafka, minio }: Services,
  { stream, from }: { readonly stream: string; readonly from: number },
) {
  const folder = await temporaryFolder(t);
  const { card } = await writeSmallTeacher(join(folder, "teacher"), "onnx", { seed: 1 });
  const { card: otherCard } = await writeSmallTeacher(join(folder, "other"), "onnx", { seed: 2 });
  const digests = [...(await makePictures(join(folder, "pictures"), COUNT, from))].sort();
  const dataset = {
    name: "best",
    window: { kind: "global" },
    select: { k: 20, p: 3 },
    trigger: { everyImages: Math.ceil(COUNT / 5) },
    deltas: true,
  };
  await writeFile(join(folder, "sluice.yaml"), JSON.stringify({ datasets: [dataset] }));
  const common = {
    ...process.env,
    SLUICE_STREAM: stream,
    SLUICE_TEACHER: "teacher",
    SLUICE_BYTES: "keep",
    SLUICE_ENGINE__WORKERS: "1",
    SLUICE_ARCHIVE__SEGMENT_RECORDS: "32",
  };
  const services = {
    ...common,
    ...kafka.environment,
    ...minio.environment,
    SLUICE_S3__PREFIX: stream,
    SLUICE_PARTITIONS: "2",
    SLUICE_KAFKA__SHARDS: "2",
  };
  const command = async (environment: NodeJS.ProcessEnv, args: readonly string[]): Promise<string> =>
    (await promisify(execFile)(process.execPath, [MAIN, ...args], { cwd: folder, env: environment })).stdout;
  const sluice = (...args: string[]): Promise<string> => command(services, args);
  await sluice("topics", "create");
  const log = await openKafkaLog({ brokers: [kafka.address] });
  const store = await openLocalStore(minio, stream);
  t.after(() => Promise.all([log.close(), store.close()]));
  return {
    stream,
    log,
    store,
    teacher: teacherDigest(card),
    otherTeacher: teacherDigest(otherCard),
    expected: { images: digests, covered: COUNT, lost: 0 },
    sluice,
    start: (...args: string[]): Process => {
      const started = new Process(
        `${stream}: ${args.join(" ")}`,
        [MAIN, ...args, "--progress", "lines"],
        folder,
        services,
      );
      t.after(() => started.end("SIGKILL"));
      return started;
    },
    /** The id that one machine gives to the same pictures by a teacher */
    local: async (teacher: string): Promise<string> => {
      const environment = { ...common, SLUICE_TEACHER: teacher, SLUICE_DATA: `local-${teacher}` };
      const { published } = JSON.parse(await command(environment, ["ingest", "pictures", "--json"])) as {
        published: { id: string }[];
      };
      return published.at(-1)!.id;
    },
  };
}

interface Archived {
  /** SHA-256 of every row's image, ascending */
  readonly images: readonly string[];
  /** Offsets */
  readonly covered: number;
  readonly lost: number;
}

async function archived(store: Store, teacher: string, stream: string): Promise<Archived> {
  const images: string[] = [];
  let [covered, lost] = [0, 0];
  for (const chain of await archivedChains(store, { teacher, stream })) {
    const reader = new ChainReader(store, chain);
    const end = await reader.end(chain.origin);
    for await (const { header, batch } of reader.segments(chain.origin, end)) {
      const { counts } = header;
      assert.equal(counts.in, counts.scored + counts.copied + counts.quarantined + counts.lost);
      lost += counts.lost;
      for (let row = 0; row < batch.count; row++) {
        images.push(Buffer.from(batch.digest.subarray(row * 32, row * 32 + 32)).toString("hex"));
      }
    }
    covered += end - chain.origin;
  }
  return { images: images.sort(), covered, lost };
}

/**
 * Each version of the store is told, by its number, none before the one before it; told again, it is the same. How many the trigger
 * makes is a matter of time; `fewest` are those of rebuilds.
 */
async function assertToldInOrder({ stream, log, store, sluice }: Site, fewest: number): Promise<void> {
  const place = { topic: `sluice-${stream}-versions`, partition: 0 };
  const told = (await everything(log, place.topic, 0)).map((record) => decodePublished(record, place));
  const listed: number[] = [];
  for await (const { key } of store.list("versions/best/")) {
    const [, number] = /^versions\/best\/(\d+)\/manifest\.json$/.exec(key) ?? [];
    if (number !== undefined) listed.push(Number(number));
  }
  const first = told.filter(({ number }, at) => told.findIndex((one) => one.number === number) === at);
  assert.deepEqual(
    first.map(({ number }) => number),
    listed.sort((a, b) => a - b),
  );
  assert.ok(first.length >= fewest, `${first.length} versions are told`);
  for (const one of told) {
    assert.deepEqual(
      one,
      first.find(({ number }) => number === one.number),
    );
    assert.equal(one.stream, stream);
  }
  const newest = JSON.parse(await sluice("versions", "show", "latest", "--json")) as { id: string };
  assert.equal(first.at(-1)!.id, newest.id);
  await assertFollowed(store, first);
}

/** Who reads the first version whole, and then the deltas alone that the topic names, has the rows of each version in the order of their ranks. */
async function assertFollowed(store: Store, told: readonly Published[]): Promise<void> {
  const rows = new Map<string, FollowedRow>();
  for (const [at, { dataset, number, delta }] of told.entries()) {
    const index: FollowedRow[] = [];
    for await (const row of readIndex(store, await readManifest(store, dataset, number)))
      if (row.repeat === 0) index.push(row);
    assert.equal(delta?.since, told[at - 1]?.number, `the delta of version ${number}`);
    if (delta === undefined) for (const row of index) rows.set(nameOf(row), row);
    else {
      const bytes = Uint8Array.from(await store.get(delta.key));
      const changes = (await parquetReadObjects({ file: bytes.buffer })) as (FollowedRow & { change: string })[];
      for (const row of changes) if (row.change !== "entered") rows.delete(nameOf(row));
      for (const row of changes) if (row.change !== "left") rows.set(nameOf(row), row);
    }
    const followed = [...rows.values()].sort(
      (a, b) => a.class - b.class || b.key! - a.key! || (a.sha256 < b.sha256 ? -1 : 1),
    );
    const known = ({ class: of, sha256, key, uri }: FollowedRow) => ({ class: of, sha256, key, uri });
    assert.deepEqual(followed.map(known), index.map(known), `version ${number} by deltas`);
  }
}

type FollowedRow = Pick<IndexRow, "class" | "sha256" | "key" | "uri">;
const nameOf = ({ class: of, sha256 }: FollowedRow): string => `${of} ${sha256}`;
