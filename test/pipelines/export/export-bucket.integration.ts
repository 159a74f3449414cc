import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Client } from "minio";
import type { Store } from "../../../connectors/store/store.js";
import { startMinio, type LocalObjectStore } from "../../../deploy/local/minio.js";
import { publish } from "../../../operators/version/publish.js";
import { exportVersion } from "../../../pipelines/export/export-version.js";
import { openExportTarget, type ExportTarget } from "../../../pipelines/export/export-target.js";
import { EXPORT_FORMATS, type ExportFormat } from "../../../schemas/export-format.js";
import { SluiceError } from "../../../schemas/errors.js";
import { s3Schema } from "../../../schemas/s3-config.js";
import { cannotStart } from "../../deploy/local/require-service.js";
import { madeCut, manyClasses } from "../../fixtures/cuts.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";
import { publishOptions } from "../../fixtures/publishing.js";

/** Not the store's */
const BUCKET = "exports";

describe("exports to a bucket", { skip: await cannotStart("minio") }, () => {
  let server: LocalObjectStore;
  let client: Client;
  before(async () => {
    server = await startMinio();
    const { port, accessKey, secretKey } = server;
    client = new Client({ endPoint: "127.0.0.1", port, useSSL: false, region: "us-east-1", accessKey, secretKey });
    await client.makeBucket(BUCKET);
  });
  after(() => server.stop());

  const open = (prefix: string, bucket = BUCKET): Promise<ExportTarget> => {
    const { port, accessKey, secretKey } = server;
    const s3 = s3Schema.parse({ endpoint: `http://127.0.0.1:${port}`, bucket: "sluice", accessKey, secretKey });
    return openExportTarget(`s3://${bucket}/${prefix}`, s3);
  };

  async function objectsOf(target: ExportTarget): Promise<Map<string, Buffer>> {
    const objects = new Map<string, Buffer>();
    for await (const { key } of target.store.list("")) objects.set(key, Buffer.from(await target.store.get(key)));
    return objects;
  }

  async function published() {
    const { classes, images } = manyClasses(5, (index) => [5, 3, 1, 5, 2][index]!, 3000);
    const options = publishOptions(images, { groupRows: 8 });
    const { manifest } = await publish(madeCut(classes, { shards: { count: 3 } }), options);
    return { store: options.store, manifest };
  }

  /** Its n-th stream ends in the middle, as one of a process that is killed. */
  function breaking(store: Store, at: number): Store {
    let writes = 0;
    const half = async function* (
      chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    ): AsyncGenerator<Uint8Array> {
      for await (const chunk of chunks) {
        yield chunk.subarray(0, Math.ceil(chunk.length / 2));
        throw new SluiceError("E_STORE_IO", "The line is down.");
      }
    };
    return Object.assign(Object.create(store) as Store, {
      put: async (key: string, bytes: Uint8Array) => {
        if (++writes === at) throw new SluiceError("E_STORE_IO", "The line is down.");
        await store.put(key, bytes);
      },
      putIfAbsent: async (key: string, bytes: Uint8Array) => {
        if (++writes === at) throw new SluiceError("E_STORE_IO", "The line is down.");
        return store.putIfAbsent(key, bytes);
      },
      putStream: (key: string, chunks: AsyncIterable<Uint8Array>) =>
        store.putStream(key, ++writes === at ? half(chunks) : chunks),
    });
  }

  test("each form is the same as in a folder; one that is cut off leaves whole objects alone, and goes on", async () => {
    const { store, manifest } = await published();
    for (const as of EXPORT_FORMATS) {
      const expected = openMemoryStore();
      await exportVersion(store, manifest, { store: expected, found: [], close: async () => {} }, { as });
      const whole = new Map([...expected.objects].map(([key, bytes]) => [key, Buffer.from(bytes)] as const).sort());
      const writes = whole.size;
      for (const [round, at] of [2, Math.ceil(writes / 2), writes].entries()) {
        const prefix = `flowers/${as}-${round}/`;
        const cut = await open(prefix);
        const broken = { ...cut, store: breaking(cut.store, at) };
        await assert.rejects(exportVersion(store, manifest, broken, { as }), { code: "E_STORE_IO" });
        const left = await objectsOf(cut);
        for (const [key, bytes] of left) assert.deepEqual(bytes, whole.get(key), `${as}: ${key}`);
        assert.ok(!left.has("README.md"));
        await cut.close();
        const again = await open(prefix);
        const done = await exportVersion(store, manifest, again, { as });
        assert.deepEqual([done.outcome, done.kept], ["resumed", left.size - 1]);
        assert.deepEqual(new Map([...(await objectsOf(again))].sort()), whole);
        await again.close();
      }
      await assertThere(store, manifest, as, whole.size);
    }
  });

  async function assertThere(
    ...[store, manifest, as, files]: [Store, Parameters<typeof exportVersion>[1], ExportFormat, number]
  ) {
    const target = await open(`flowers/${as}-0/`);
    assert.deepEqual(
      await exportVersion(store, manifest, target, { as }).then(({ outcome, kept }) => [outcome, kept]),
      ["there", files],
    );
    await target.close();
  }

  test("a prefix that holds anything else is refused and stays as it is; a bucket that there is not is said", async () => {
    const { store, manifest } = await published();
    await client.putObject(BUCKET, "taken/thesis.txt", Buffer.from("years of work"));
    const target = await open("taken/");
    await assert.rejects(exportVersion(store, manifest, target, { as: "csv" }), {
      code: "E_EXPORT_TARGET",
      message: /found thesis\.txt\. Name another place/,
    });
    assert.deepEqual([...(await objectsOf(target)).keys()], ["thesis.txt"]);
    await target.close();
    await assert.rejects(open("flowers/", "no-such-bucket"), { code: "E_STORE_BUCKET" });
    await assert.rejects(openExportTarget(`s3://${BUCKET}/x/`, undefined), { code: "E_CONFIG" });
  });
});
