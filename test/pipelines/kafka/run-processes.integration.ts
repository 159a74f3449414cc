import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openKafkaLog, type KafkaLog } from "../../../connectors/log/kafka/kafka-log.js";
import type { Store } from "../../../connectors/store/store.js";
import { kafkaTool, startKafka } from "../../../deploy/local/kafka.js";
import { startMinio } from "../../../deploy/local/minio.js";
import { liveChains } from "../../../operators/archive/chain.js";
import { ChainReader } from "../../../operators/archive/chain-reader.js";
import { readSegment } from "../../../operators/archive/segment-objects.js";
import { sha256Hex } from "../../../schemas/canonical.js";
import { decodeCandidates } from "../../../schemas/wire/candidates.js";
import { decodePublished } from "../../../schemas/wire/published.js";
import { decodeQuarantined } from "../../../schemas/wire/quarantined.js";
import { cannotStart } from "../../deploy/local/require-service.js";
import { againWhileAway, eventually, everything, Process, seeded } from "../../fixtures/killed-processes.js";
import {
  BROKEN,
  K,
  MAIN,
  makeKilledStream,
  PARTITIONS,
  RESERVE,
  SHARDS,
  sluiceOf,
} from "../../fixtures/killed-stream.js";
import { openLocalStore } from "../../fixtures/local-store.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

/** The longer form, by hand: SLUICE_RUN_IMAGES=20000 SLUICE_RUN_KILLS=20 */
const COUNT = Number(process.env["SLUICE_RUN_IMAGES"] ?? 800);
const KILLS = Number(process.env["SLUICE_RUN_KILLS"] ?? 4);
const SEED = Number(process.env["SLUICE_RUN_SEED"] ?? 1);
const WITHIN_MS = 60_000 + COUNT * 10 + KILLS * 10_000;

test(
  "scorers, top-K workers and publishers killed at random, and the broker and the store: every image once, and the version of one machine",
  { skip: (await cannotStart("kafka")) || (await cannotStart("minio")) },
  async (t) => {
    const [kafka, minio] = await Promise.all([startKafka(), startMinio()]);
    t.after(() => Promise.all([kafka.stop(), minio.stop()]));
    const folder = await temporaryFolder(t);
    const random = seeded(SEED);
    const stream = await makeKilledStream(folder, { kafka, minio, images: COUNT, segmentRecords: 64 });
    const { digests, alone, services } = stream;
    const sluice = (environment: NodeJS.ProcessEnv, ...args: string[]): Promise<string> =>
      sluiceOf(stream, environment, ...args);

    const log = await openKafkaLog({ brokers: [kafka.address] });
    const store = await openLocalStore(minio);
    t.after(() => Promise.all([log.close(), store.close()]));

    const start = (name: string, ...args: string[]): Process => {
      const process = new Process(name, [MAIN, "run", ...args, "--progress", "lines"], folder, services);
      t.after(() => process.end("SIGKILL"));
      return process;
    };
    const running: Process[] = [
      start("scorer 1", "score", "--data", "scorer-1"),
      start("scorer 2", "score", "--data", "scorer-2"),
      start("top-K worker 1", "topk", "--checkpoint-every", "2s"),
      start("top-K worker 2", "topk", "--checkpoint-every", "2s"),
      start("publisher 1", "publish", "--data", "publisher-1"),
      start("publisher 2", "publish", "--data", "publisher-2"),
    ];
    // Images come while everything falls.
    const rate = String(Math.max(20, Math.ceil(COUNT / (10 + KILLS * 4))));
    const produced = againWhileAway(() => sluice(services, "produce", "pictures", "--rate", rate));
    produced.catch(() => undefined);
    for (let kill = 0; kill < KILLS; kill++) {
      await sleep(1000 + random() * 4000);
      // The broker and the store each once in every four at least.
      const victim = kill % 4 === 1 ? kafka : kill % 4 === 3 ? minio : Math.floor(random() * running.length);
      if (typeof victim === "number") await running[victim]!.restart();
      else {
        await victim.kill("SIGKILL");
        await sleep(500);
        await victim.restart();
      }
    }
    await produced;
    const version = await eventually({ t, running, withinMs: WITHIN_MS }, async () => {
      const shown = await sluice(services, "versions", "show", "latest", "--json").catch(() => null);
      return shown === null ? null : (JSON.parse(shown) as { id: string; number: number });
    });

    // Kafka's own tools see the groups, and that nothing is left to do.
    const { teacher, lag } = await eventually({ t, running, withinMs: WITHIN_MS }, async () => {
      const args = ["--bootstrap-server", kafka.address, "--describe", "--all-groups"];
      const said = await kafkaTool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", args);
      const scorers = linesOf(said, "sluice-images-score-");
      const done = scorers.length === PARTITIONS && scorers.every(({ end, lag }) => end === 0 || lag === 0);
      const publishers = linesOf(said, "sluice-images-publish-").filter(({ partition }) => partition === 0);
      const followed = publishers.length === 1 && publishers[0]!.lag === 0;
      const keepers = linesOf(said, "sluice-images-topk-");
      const kept = keepers.length === SHARDS && keepers.every(({ lag }) => lag === 0);
      return done && followed && kept
        ? { teacher: scorers[0]!.group.slice("sluice-images-score-".length), lag: said }
        : null;
    });
    assert.match(lag, /sluice-images-candidates/);

    for (const process of running) assert.equal(await process.end("SIGINT"), 0, process.said);

    const chain = await archived(store, teacher);
    assert.deepEqual(chain.images, [...digests].sort());
    assert.deepEqual(chain.rejected, [sha256Hex(BROKEN)]);
    const ends = (await log.ends("images")).map(({ end }) => end);
    assert.deepEqual(chain.ends, ends);
    const pruned = await assertForwarded(log, chain);
    const published = await versionsTold(log);
    assert.equal(published.at(-1)!.id, version.id);
    await sluice(services, "versions", "verify", "latest", "--data", "check");

    const local = JSON.parse(await sluice({ ...alone, SLUICE_DATA: "local" }, "ingest", "pictures", "--json")) as {
      published: { id: string }[];
    };
    assert.equal(version.id, local.published.at(-1)!.id);
    t.diagnostic(
      `${COUNT} images, ${KILLS} kills: ${chain.segments.size} segments, 0 lost, 0 doubled, ${pruned} candidates pruned, version ${version.id}`,
    );
  },
);

interface Archived {
  /** SHA-256 of every row's image, ascending */
  readonly images: readonly string[];
  readonly rejected: readonly string[];
  readonly ends: readonly number[];
  /** `partition/start` and the candidates that a segment must give: `offset class key`, at P = 3 */
  readonly segments: ReadonlyMap<string, readonly string[]>;
}

async function archived(store: Store, prefix: string): Promise<Archived> {
  let teacher: string | undefined;
  for await (const { key } of store.list("scores/")) teacher ??= key.split("/")[1];
  assert.ok(teacher !== undefined && teacher.startsWith(prefix));
  const images: string[] = [];
  const rejected: string[] = [];
  const ends: number[] = [];
  const segments = new Map<string, string[]>();
  for (const chain of await liveChains(store, { teacher, stream: "images" })) {
    let end = chain.origin;
    for await (const { start } of new ChainReader(store, chain).headers(chain.origin)) {
      const { header, batch } = await readSegment(store, chain, start);
      const { counts } = header;
      assert.equal(counts.in, counts.scored + counts.copied + counts.quarantined + counts.lost);
      assert.equal(counts.lost, 0);
      const candidates: string[] = [];
      for (let row = 0; row < batch.count; row++) {
        images.push(Buffer.from(batch.digest.subarray(row * 32, row * 32 + 32)).toString("hex"));
        for (let place = 0; place < 3; place++) {
          const at = row * batch.topM + place;
          candidates.push(`${batch.offset[row]!} ${batch.classes[at]!} ${batch.keys[at]!}`);
        }
      }
      for (const { sha256 } of header.rejected) rejected.push(sha256!);
      segments.set(`${chain.partition}/${start}`, candidates.sort());
      end = header.end;
    }
    ends.push(end);
  }
  return { images: images.sort(), rejected, ends, segments };
}

/**
 * Every segment was told to each shard, once at least, and in the order of its chain: all its candidates but those strictly below
 * the K + R best of their class in the end. Returns how many were left out.
 */
async function assertForwarded(log: KafkaLog, { segments, ends }: Archived): Promise<number> {
  const told = new Map<string, string[]>();
  for (let shard = 0; shard < SHARDS; shard++) {
    const reached = new Map<number, number>();
    const place = { topic: "sluice-images-candidates", partition: shard };
    for (const record of await everything(log, place.topic, shard)) {
      const message = decodeCandidates(record, place);
      assert.equal(message.shard, shard);
      const { partition, start, end, datasets } = message;
      assert.ok(start <= (reached.get(partition) ?? 0), `a gap before ${partition}/${start}`);
      const isNew = end > (reached.get(partition) ?? 0);
      reached.set(partition, Math.max(end, reached.get(partition) ?? 0));
      const rows = datasets[0]!.parts.flatMap(({ batch }) =>
        [...batch.classes].map((of, i) => {
          assert.equal(of % SHARDS, shard);
          return `${batch.offset[i]!} ${of} ${batch.keys[i]!}`;
        }),
      );
      const name = `${partition}/${start}`;
      if (isNew) told.set(name, [...(told.get(name) ?? []), ...rows].sort());
    }
    assert.deepEqual(
      ends.map((_, partition) => reached.get(partition) ?? 0),
      ends,
    );
  }
  const keysOf = new Map<string, number[]>();
  const missing: string[] = [];
  for (const [name, candidates] of segments) {
    const sent = new Set(told.get(name));
    assert.equal(sent.size, told.get(name)!.length, `${name}: nothing is told twice in a message`);
    for (const candidate of candidates) {
      const [, of, key] = candidate.split(" ");
      keysOf.set(of!, [...(keysOf.get(of!) ?? []), Number(key)]);
      if (!sent.delete(candidate)) missing.push(candidate);
    }
    assert.deepEqual([...sent], [], `${name}: candidates that its segment does not have`);
  }
  const least = new Map(
    [...keysOf].map(([of, keys]) => [of, keys.sort((a, b) => b - a)[K + RESERVE - 1] ?? -Infinity]),
  );
  for (const candidate of missing) {
    const [, of, key] = candidate.split(" ");
    assert.ok(Number(key) < least.get(of!)!, `${candidate} was left out, and could rank: ${least.get(of!)!}`);
  }
  const refused = (await everything(log, "sluice-images-quarantine", 0)).map((record) =>
    decodeQuarantined(record, { topic: "sluice-images-quarantine", partition: 0 }),
  );
  assert.equal(new Set(refused.map(({ partition, offset }) => `${partition}/${offset}`)).size, 1);
  return missing.length;
}

async function versionsTold(log: KafkaLog) {
  const place = { topic: "sluice-images-versions", partition: 0 };
  return (await everything(log, place.topic, 0)).map((record) => decodePublished(record, place));
}

interface GroupLine {
  readonly group: string;
  readonly partition: number;
  readonly end: number;
  /** Not a number where nothing is committed */
  readonly lag: number;
}

/** GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG … */
function linesOf(said: string, prefix: string): GroupLine[] {
  return said
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((words) => words[0]?.startsWith(prefix) === true)
    .map((words) => ({ group: words[0]!, partition: Number(words[2]), end: Number(words[4]), lag: Number(words[5]) }));
}
