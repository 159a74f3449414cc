import assert from "node:assert/strict";
import { test } from "node:test";
import { openEmbeddedLog } from "../../../connectors/log/embedded/embedded-log.js";
import { publish } from "../../../operators/version/publish.js";
import { VersionNotices } from "../../../pipelines/kafka/version-notices.js";
import { datasetSchema } from "../../../schemas/dataset.js";
import { keys } from "../../../schemas/keys.js";
import { decodePublished, encodePublished } from "../../../schemas/wire/published.js";
import { chosenRows, madeCut, madeImage } from "../../fixtures/cuts.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";
import { publishOptions } from "../../fixtures/publishing.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

test("a version is told of without its delta where an index is damaged or gone, with a warning, and the next one with", async (t) => {
  const log = await openEmbeddedLog(await temporaryFolder(t), { exclusive: true, command: "test" });
  t.after(() => log.close());
  const topic = "versions";
  await log.ensureTopic(topic, 1);
  const store = openMemoryStore();
  const indexes: string[] = [];
  for (const names of [["a"], ["b"], ["c"], ["d"], ["e"]]) {
    const rows = names.map((name, row) => ({ image: madeImage(name), key: -1 - row }));
    const { manifest } = await publish(madeCut([chosenRows(0, rows)], { k: 9 }), publishOptions(new Map(), { store }));
    indexes.push(manifest.files.find((file) => file.key.endsWith(".parquet"))!.key);
  }
  store.objects.delete(indexes[0]!);
  const damaged = store.objects.get(indexes[2]!)!;
  store.objects.set(indexes[2]!, damaged.subarray(0, damaged.length / 2));
  const warnings: string[] = [];
  const onWarning = (message: string, code?: string): void => {
    warnings.push(`${code} ${message}`);
  };
  const datasets = [datasetSchema.parse({ name: "wild", deltas: true })];
  const notices = await VersionNotices.open({ log, topic, store, stream: "images", datasets, onWarning });
  assert.equal(await notices.send(), 5);
  const records = await log.fetch(topic, 0, [0, 1, 2, 3, 4]);
  const told = records.map((record) => decodePublished(record, { topic, partition: 0 }));
  assert.deepEqual(
    told.map(({ number, delta }) => [number, delta?.since]),
    [
      [1, undefined],
      [2, undefined],
      [3, undefined],
      [4, undefined],
      [5, 4],
    ],
  );
  assert.equal(warnings.length, 3);
  for (const [at, warning] of warnings.entries())
    assert.match(
      warning,
      new RegExp(`^E_(VERSION_CORRUPT|STORE_MISSING) Version wild/${at + 2} is told of without its delta: `),
    );
  assert.equal(await notices.send(), 0);
});

test("a dataset that asks for deltas has one beside each version but the first, named on the topic; another has none", async (t) => {
  const log = await openEmbeddedLog(await temporaryFolder(t), { exclusive: true, command: "test" });
  t.after(() => log.close());
  const topic = "versions";
  await log.ensureTopic(topic, 1);
  const store = openMemoryStore();
  const publishNames = async (names: readonly string[]): Promise<void> => {
    const rows = names.map((name, row) => ({ image: madeImage(name), key: -1 - row }));
    await publish(madeCut([chosenRows(0, rows)], { k: 9 }), publishOptions(new Map(), { store }));
  };
  const told = async () => {
    const { end } = (await log.ends(topic))[0]!;
    const records = await log.fetch(
      topic,
      0,
      Array.from({ length: end }, (_, at) => at),
    );
    return records.map((record) => ({
      schema: record.headers["sluice-schema"],
      delta: decodePublished(record, { topic, partition: 0 }).delta,
    }));
  };
  const withDeltas = [datasetSchema.parse({ name: "wild", deltas: true })];
  const notices = await VersionNotices.open({ log, topic, store, stream: "images", datasets: withDeltas });
  await publishNames(["a", "b"]);
  await publishNames(["a", "c"]);
  assert.equal(await notices.send(), 2);
  const key = keys.delta("wild", 2);
  assert.deepEqual(await told(), [
    { schema: "1", delta: undefined },
    { schema: "2", delta: { key, since: 1 } },
  ]);
  assert.ok((await store.get(key)).length > 0);
  // Another teller finds it there, and makes no other.
  const without = await VersionNotices.open({
    log,
    topic,
    store,
    stream: "images",
    datasets: [datasetSchema.parse({ name: "wild" })],
  });
  await publishNames(["c"]);
  assert.equal(await without.send(), 1);
  assert.deepEqual((await told()).at(-1), { schema: "1", delta: undefined });
  assert.equal(await store.head(keys.delta("wild", 3)), null);
});

test("another stream's versions of the same names on the same topic are not taken for this one's; its own are told once, under whatever stream they were cut", async (t) => {
  const log = await openEmbeddedLog(await temporaryFolder(t), { exclusive: true, command: "test" });
  t.after(() => log.close());
  const topic = "versions";
  await log.ensureTopic(topic, 1);
  const store = openMemoryStore();
  const rows = [{ image: madeImage("a"), key: -1 }];
  const { manifest } = await publish(madeCut([chosenRows(0, rows)], { k: 9 }), publishOptions(new Map(), { store }));
  const datasets = [datasetSchema.parse({ name: "wild" })];
  const open = (stream: string): Promise<VersionNotices> =>
    VersionNotices.open({ log, topic, store, stream, datasets });
  const notice = {
    dataset: "wild",
    number: 1,
    // Staging beside production has the same images, and so the same id.
    id: manifest.id,
    parent: null,
    teacher: manifest.teacher.digest,
    stream: "staging",
    manifest: keys.manifest("wild", 1),
    rows: 1,
    images: 1,
    createdAtMs: 1,
  };
  await log.append(topic, 0, [encodePublished(notice)]);
  assert.equal(await (await open("images")).send(), 1);
  assert.equal(await (await open("images")).send(), 0);
  assert.equal(await (await open("moved")).send(), 0);
});
