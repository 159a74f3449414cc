import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "minio";
import { openMinioStore, type MinioStore } from "../../../../connectors/store/s3/minio-store.js";
import { startMinio } from "../../../../deploy/local/minio.js";
import { cannotStart } from "../../../deploy/local/require-service.js";

const skip = await cannotStart("minio");

test("a bucket says whether it keeps what is deleted, and lets go of it when it is purged", { skip }, async (t) => {
  const server = await startMinio();
  t.after(() => server.stop());
  const { port, accessKey, secretKey, bucket } = server;
  const account = { endPoint: "127.0.0.1", port, useSSL: false, accessKey, secretKey };
  const client = new Client(account);
  const open = async (name: string): Promise<MinioStore> => {
    const store = await openMinioStore({ ...account, bucket: name, prefix: "a/b" });
    t.after(() => store.close());
    return store;
  };
  const store = await open(bucket);
  assert.equal(await store.keepsOld?.(), "no");
  await client.setBucketVersioning(bucket, { Status: "Enabled" });
  assert.equal(await store.keepsOld?.(), "versions");
  await client.makeBucket("locked", "us-east-1", { ObjectLocking: true });
  assert.equal(await (await open("locked")).keepsOld?.(), "locked");

  const bytes = (text: string): Uint8Array => Buffer.from(text);
  await store.put("packs/replaced", bytes("before"));
  await store.put("packs/replaced", bytes("after"));
  await store.put("packs/deleted", bytes("gone"));
  await store.delete("packs/deleted");
  await store.put("labels/replaced", bytes("before"));
  await store.put("labels/replaced", bytes("after"));
  const versions = async (): Promise<string[]> => {
    const names: string[] = [];
    for await (const { name } of client.listObjects(bucket, "", true, {
      IncludeVersion: true,
    }) as unknown as AsyncIterable<{ name: string }>)
      names.push(name);
    return names.sort();
  };
  assert.equal((await versions()).length, 6);
  // The replaced one, the deleted one and its marker
  assert.equal(await store.purgeOld?.(["packs/", "scores/"]), 3);
  assert.deepEqual(await versions(), ["a/b/labels/replaced", "a/b/labels/replaced", "a/b/packs/replaced"]);
  assert.equal(Buffer.from(await store.get("packs/replaced")).toString(), "after");
});
