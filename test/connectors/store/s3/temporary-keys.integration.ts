import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { connect, type AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { startMinio, type LocalObjectStore } from "../../../../deploy/local/minio.js";
import { bucketKeys } from "../../../../pipelines/open/bucket-keys.js";
import { openBucket } from "../../../../pipelines/open/open-bucket.js";
import { isSluiceError } from "../../../../schemas/errors.js";
import { s3Schema, type S3Config } from "../../../../schemas/s3-config.js";
import { cannotStart } from "../../../deploy/local/require-service.js";
import { makeCertificates } from "../../../deploy/local/certificates.js";
import { IdentityProvider } from "../../../fixtures/identity-provider.js";
import { temporaryFolder } from "../../../fixtures/temporary-folder.js";

const KMS_KEY = "sluice-key";

describe("keys that somebody gives for a while, on MinIO", { skip: await cannotStart("minio") }, () => {
  let minio: LocalObjectStore;
  let identities: IdentityProvider;
  before(async () => {
    identities = await IdentityProvider.open();
    minio = await startMinio({
      environment: {
        MINIO_IDENTITY_OPENID_CONFIG_URL: `${identities.url}/.well-known/openid-configuration`,
        MINIO_IDENTITY_OPENID_CLIENT_ID: "sluice",
        MINIO_KMS_SECRET_KEY: `${KMS_KEY}:${randomBytes(32).toString("base64")}`,
      },
    });
  });
  after(async () => {
    await minio.stop();
    identities.close();
  });

  const config = (settings: object, endpoint = `http://${minio.address}`): S3Config =>
    s3Schema.parse({ endpoint, bucket: minio.bucket, region: "us-east-1", ...settings });

  test("a web identity opens the store, over TLS as well; one without rights, or with a token that is none, is refused", async (t) => {
    const folder = await temporaryFolder(t);
    const tokenFile = join(folder, "token");
    await writeFile(tokenFile, identities.token("readwrite"));
    const files = await makeCertificates(folder);
    const secured = createTlsServer(
      { key: await readFile(files.server.key), cert: await readFile(files.server.cert) },
      (socket) => {
        const behind = connect(minio.port, "127.0.0.1");
        socket.pipe(behind).pipe(socket);
        for (const one of [socket, behind]) one.on("error", () => socket.destroy());
      },
    ).listen(0, "127.0.0.1");
    await once(secured, "listening");
    t.after(() => secured.close());
    const { port } = secured.address() as AddressInfo;
    const role = { tokenFile };
    for (const s3 of [config({ role }), config({ role, ca: files.ca }, `https://localhost:${port}`)]) {
      const store = await openBucket(s3);
      t.after(() => store.close());
      const key = `identity/${randomBytes(4).toString("hex")}`;
      assert.equal(await store.putIfAbsent(key, Buffer.from("one")), "created");
      assert.equal(await store.putIfAbsent(key, Buffer.from("two")), "exists");
      assert.equal(Buffer.from(await store.get(key)).toString(), "one");
    }
    const keys = await (await bucketKeys(config({ role }))).keys();
    assert.ok(keys.sessionToken !== undefined && keys.expiresMs !== null && keys.expiresMs > Date.now());
    await writeFile(tokenFile, "none");
    await assert.rejects(openBucket(config({ role }), { openPatienceMs: 500 }), (error) => {
      assert.ok(isSluiceError(error, "E_STORE_ACCESS"));
      return /AssumeRoleWithWebIdentity.*s3\.role/.test(error.message);
    });
  });

  test("a role that keys of one's own take on opens the store, for as long as STS says; wrong keys are refused by STS", async (t) => {
    const { accessKey, secretKey } = minio;
    const role = { arn: "arn:aws:iam::000000000000:role/scorer", session: "scorer-1" };
    const s3 = config({ accessKey, secretKey, role });
    const keys = await (await bucketKeys(s3)).keys();
    assert.notEqual(keys.accessKey, accessKey);
    assert.ok(keys.sessionToken !== undefined && keys.expiresMs !== null && keys.expiresMs > Date.now());
    const store = await openBucket(s3);
    t.after(() => store.close());
    const key = `role/${randomBytes(4).toString("hex")}`;
    assert.equal(await store.putIfAbsent(key, Buffer.from("one")), "created");
    assert.equal((await store.head(key))?.sizeBytes, 3);
    // The keys of a profile take it on, too.
    const folder = await temporaryFolder(t);
    const credentialsFile = join(folder, "credentials");
    await writeFile(
      credentialsFile,
      `[base]\naws_access_key_id = ${accessKey}\naws_secret_access_key = ${secretKey}\n`,
    );
    const configFile = join(folder, "config");
    await writeFile(configFile, `[profile work]\nrole_arn = ${role.arn}\nsource_profile = base\n`);
    const byProfile = await openBucket(config({ profile: "work", credentialsFile, configFile }));
    t.after(() => byProfile.close());
    assert.equal(Buffer.from(await byProfile.get(key)).toString(), "one");
    await assert.rejects(
      openBucket(config({ accessKey, secretKey: "wrong", role }), { openPatienceMs: 500 }),
      (error) => {
        assert.ok(isSluiceError(error, "E_STORE_ACCESS"));
        return /AssumeRole.*s3\.role/.test(error.message);
      },
    );
  });

  test("keys that the store does not take are read again from their profile, and the work goes on", async (t) => {
    const folder = await temporaryFolder(t);
    const credentialsFile = join(folder, "credentials");
    const write = (id: string, secret: string): Promise<void> =>
      writeFile(credentialsFile, `[work]\naws_access_key_id = ${id}\naws_secret_access_key = ${secret}\n`);
    await write("AKIAOVER", "over");
    let waits = 0;
    const opening = openBucket(config({ profile: "work", credentialsFile, configFile: join(folder, "none") }), {
      openPatienceMs: 60_000,
      onRetry: () => {
        if (++waits === 2) void write(minio.accessKey, minio.secretKey);
      },
    });
    const store = await opening;
    t.after(() => store.close());
    assert.ok(waits >= 2);
    await store.put("profile/one", Buffer.from("1"));
  });

  test("what is written is encrypted with the key that is named, in one piece and in parts", async (t) => {
    const { accessKey, secretKey } = minio;
    const store = await openBucket(config({ accessKey, secretKey, kmsKey: KMS_KEY }));
    t.after(() => store.close());
    const large = randomBytes(20 * 1024 * 1024);
    await store.put("kms/one", Buffer.from("1"));
    assert.equal(await store.putIfAbsent("kms/two", Buffer.from("2")), "created");
    await store.putStream("kms/large", [large]);
    assert.ok(large.equals(Buffer.from(await store.get("kms/large"))));
    for (const key of ["kms/one", "kms/two", "kms/large"]) {
      const response = await fetch(await store.locate(key));
      await response.arrayBuffer();
      assert.equal(response.headers.get("x-amz-server-side-encryption"), "aws:kms", key);
      assert.match(response.headers.get("x-amz-server-side-encryption-aws-kms-key-id") ?? "", new RegExp(KMS_KEY));
    }
    const unknown = await openBucket(config({ accessKey, secretKey, kmsKey: "nobody" }));
    t.after(() => unknown.close());
    await assert.rejects(unknown.put("kms/none", Buffer.from("1")), (error) => isSluiceError(error));
  });
});
