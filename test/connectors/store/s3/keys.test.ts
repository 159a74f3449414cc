import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { S3Bucket } from "../../../../connectors/store/s3/bucket.js";
import { imageBuckets } from "../../../../connectors/store/s3/images.js";
import { renewedKeys, type S3Keys } from "../../../../connectors/store/s3/keys/key-source.js";
import { readProfile } from "../../../../connectors/store/s3/keys/profile-file.js";
import { gather, readObject } from "../../../../connectors/store/s3/read.js";
import { withAwsDefaults } from "../../../../cli/config/aws-environment.js";
import { bucketKeys, stsRole } from "../../../../pipelines/open/bucket-keys.js";
import { isSluiceError, SluiceError } from "../../../../schemas/errors.js";
import { s3Schema, type S3Config } from "../../../../schemas/s3-config.js";
import { temporaryFolder } from "../../../fixtures/temporary-folder.js";

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** A tiny server that gives keys; what it was asked. */
async function server(t: TestContext, answer: (seen: Seen) => readonly [number, string]) {
  const seen: Seen[] = [];
  const listening = createServer((request, response) => {
    let body = "";
    request.on("data", (piece: Buffer) => (body += piece.toString()));
    request.on("end", () => {
      const one = { method: request.method!, path: request.url!, headers: request.headers, body };
      seen.push(one);
      const [status, text] = answer(one);
      response.writeHead(status, { "Content-Length": Buffer.byteLength(text) }).end(text);
    });
  }).listen(0, "127.0.0.1");
  await once(listening, "listening");
  t.after(() => listening.close());
  return { url: `http://127.0.0.1:${(listening.address() as AddressInfo).port}`, seen };
}

const END = "2030-01-02T03:04:05Z";
const given = (id: string): string =>
  `<R><Credentials><AccessKeyId>${id}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken><Expiration>${END}</Expiration></Credentials></R>`;
const config = (settings: object): S3Config =>
  s3Schema.parse({ endpoint: "http://127.0.0.1:9", bucket: "sluice", ...settings });
const keysOf = async (settings: object): Promise<S3Keys> => (await bucketKeys(config(settings))).keys();

test("keys are read before they end, once for all who wait; held ones do while nobody gives others", async () => {
  let nowMs = 0;
  let reads = 0;
  let isAway = false;
  let attempts = 0;
  const source = renewedKeys(
    async () => {
      await Promise.resolve();
      attempts++;
      if (isAway) throw new SluiceError("E_STORE_IO", "away", { retryable: true });
      reads++;
      return { accessKey: `key ${reads}`, secretKey: "", expiresMs: nowMs + 3_600_000 };
    },
    () => nowMs,
  );
  const id = async (): Promise<string> => (await source.keys()).accessKey;
  assert.deepEqual(await Promise.all([id(), id(), id()]), ["key 1", "key 1", "key 1"]);
  nowMs = 3_290_000;
  assert.equal(await id(), "key 1");
  nowMs = 3_310_000;
  isAway = true;
  assert.equal(await id(), "key 1", "five minutes are left");
  const asked = attempts;
  nowMs += 14_999;
  assert.equal(await id(), "key 1");
  assert.equal(attempts, asked, "a look that failed is not made for every request");
  nowMs += 1;
  await id();
  assert.equal(attempts, asked + 1);
  nowMs = 3_600_000;
  await assert.rejects(id(), (error) => isSluiceError(error, "E_STORE_IO"));
  isAway = false;
  assert.equal(await id(), "key 2");
  source.forget();
  assert.equal(await id(), "key 3", "the store refused them");
});

test("while a profile's file is being written, the keys that are held go on, until the store refuses them", async (t) => {
  const folder = await temporaryFolder(t);
  const file = join(folder, "credentials");
  await writeFile(file, "[base]\naws_access_key_id = AKIA1\naws_secret_access_key = s1\n");
  let nowMs = 0;
  const source = renewedKeys(
    async () => (await readProfile({ credentials: file, config: join(folder, "config") }, "base")).keys!,
    () => nowMs,
  );
  const id = async (): Promise<string> => (await source.keys()).accessKey;
  assert.equal(await id(), "AKIA1");
  await writeFile(file, "");
  nowMs = 40_000;
  assert.equal(await id(), "AKIA1");
  await writeFile(file, "[base]\naws_access_key_id = AKIA2\naws_secret_access_key = s2\n");
  nowMs = 60_000;
  assert.equal(await id(), "AKIA2");
  await writeFile(file, "");
  source.forget();
  await assert.rejects(id(), (error) => isSluiceError(error, "E_STORE_ACCESS"));
});

test("a web identity: the token is read from its file each time, and STS's answer taken; its refusal is told", async (t) => {
  const folder = await temporaryFolder(t);
  const tokenFile = join(folder, "token");
  await writeFile(tokenFile, "first\n");
  const { url, seen } = await server(t, ({ body }) =>
    new URLSearchParams(body).get("WebIdentityToken") === "bad"
      ? [403, "<Error><Code>AccessDenied</Code><Message>not you</Message></Error>"]
      : [200, given(`for ${new URLSearchParams(body).get("WebIdentityToken") ?? ""}`)],
  );
  const role = { arn: "arn:aws:iam::1:role/a", tokenFile, sts: url };
  const keys = await keysOf({ role });
  assert.deepEqual(keys, {
    accessKey: "for first",
    secretKey: "secret",
    sessionToken: "token",
    expiresMs: Date.parse(END),
  });
  const asked = new URLSearchParams(seen[0]!.body);
  assert.deepEqual(
    [asked.get("Action"), asked.get("RoleArn"), asked.get("RoleSessionName")],
    ["AssumeRoleWithWebIdentity", role.arn, "sluice"],
  );
  await writeFile(tokenFile, "second");
  assert.equal((await keysOf({ role })).accessKey, "for second");
  await writeFile(tokenFile, "bad");
  await assert.rejects(keysOf({ role }), (error) => {
    assert.ok(isSluiceError(error, "E_STORE_ACCESS"));
    return /AccessDenied: not you.*s3\.role/.test(error.message);
  });
  await assert.rejects(keysOf({ role: { ...role, tokenFile: join(folder, "none") } }), /s3\.role\.tokenFile/);
});

test("a role by keys of one's own, from a profile that leads to another; the files are read again", async (t) => {
  const folder = await temporaryFolder(t);
  const { url, seen } = await server(t, ({ headers }) => [
    200,
    given(`by ${/Credential=([^/]+)\//.exec(headers.authorization ?? "")?.[1] ?? "nobody"}`),
  ]);
  const files = { credentialsFile: join(folder, "credentials"), configFile: join(folder, "config") };
  await writeFile(files.credentialsFile, "[base]\naws_access_key_id = AKIA1\naws_secret_access_key=s1\n");
  await writeFile(
    files.configFile,
    "[profile work]\nrole_arn = arn:aws:iam::1:role/b\nsource_profile = base\n[profile sso]\nsso_session = x\n[default]\nregion = eu-central-1\n",
  );
  const sts = { role: { sts: url } };
  assert.equal((await keysOf({ profile: "base", ...files })).accessKey, "AKIA1");
  assert.equal((await keysOf({ profile: "base", ...files, ...sts })).accessKey, "by AKIA1");
  const signed = seen[0]!;
  assert.equal(new URLSearchParams(signed.body).get("Action"), "AssumeRole");
  assert.match(
    signed.headers.authorization!,
    /^AWS4-HMAC-SHA256 Credential=AKIA1\/\d{8}\/us-east-1\/sts\/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date, Signature=[0-9a-f]{64}$/,
  );
  const { roleArn, sourceProfile } = await readProfile(
    { credentials: files.credentialsFile, config: files.configFile },
    "work",
  );
  assert.deepEqual([roleArn, sourceProfile], ["arn:aws:iam::1:role/b", "base"]);
  const source = await bucketKeys(config({ profile: "base", ...files }));
  assert.equal((await source.keys()).accessKey, "AKIA1");
  await writeFile(
    files.credentialsFile,
    "[base]\naws_access_key_id = ASIA2\naws_secret_access_key=s2\naws_session_token=t2\n",
  );
  source.forget();
  assert.deepEqual(
    [(await source.keys()).accessKey, (await source.keys()).sessionToken],
    ["ASIA2", "t2"],
    "written anew meanwhile",
  );
  await assert.rejects(keysOf({ profile: "sso", ...files }), /found sso_session\. `aws configure export-credentials/);
  await assert.rejects(keysOf({ profile: "none", ...files }), /profile "none"/);
});

test("an instance's keys, where a setting says so, by its second protocol", async (t) => {
  const role = "/latest/meta-data/iam/security-credentials/";
  const { url, seen } = await server(t, ({ method, path, headers }) => {
    if (method === "PUT" && path === "/latest/api/token") return [200, "session"];
    if (headers["x-aws-ec2-metadata-token"] !== "session") return [401, ""];
    if (path === role) return [200, "worker\n"];
    const keys = { Code: "Success", AccessKeyId: "ASIA", SecretAccessKey: "s", Token: "t", Expiration: END };
    return path === `${role}worker` ? [200, JSON.stringify(keys)] : [404, ""];
  });
  const keys = await keysOf({ instanceMetadata: true, instanceEndpoint: url });
  assert.deepEqual(keys, { accessKey: "ASIA", secretKey: "s", sessionToken: "t", expiresMs: Date.parse(END) });
  assert.equal(seen[0]!.headers["x-aws-ec2-metadata-token-ttl-seconds"], "300");
  const none = await server(t, () => [404, ""]);
  await assert.rejects(keysOf({ instanceMetadata: true, instanceEndpoint: none.url }), (error) =>
    isSluiceError(error, "E_STORE_ACCESS"),
  );
});

test("AWS's variables name a web identity or a profile where nothing else is said; without any keys both are asked for", () => {
  const s3 = { bucket: "b", endpoint: "http://127.0.0.1:9" };
  const by = (environment: Record<string, string>, said: object = {}): unknown =>
    withAwsDefaults({ s3: { ...s3, ...said } }, environment)["s3"];
  const web = { AWS_WEB_IDENTITY_TOKEN_FILE: "/t", AWS_ROLE_ARN: "arn", AWS_PROFILE: "p" };
  assert.deepEqual(by(web), { ...s3, role: { arn: "arn", tokenFile: "/t" } });
  assert.deepEqual(by({ AWS_PROFILE: "p", AWS_CONFIG_FILE: "/c" }), { ...s3, profile: "p", configFile: "/c" });
  const own = { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "s" };
  assert.deepEqual(by({ ...web, ...own }), { ...s3, accessKey: "a", secretKey: "s" });
  assert.deepEqual(by(web, { accessKey: "x", secretKey: "y" }), { ...s3, accessKey: "x", secretKey: "y" });
  const missing = s3Schema.safeParse(s3);
  assert.deepEqual(
    missing.error?.issues.map(({ path }) => path.join(".")),
    ["accessKey", "secretKey"],
  );
  const half = s3Schema.safeParse({ ...s3, profile: "p", accessKey: "a" });
  assert.deepEqual(
    half.error?.issues.map(({ path }) => path.join(".")),
    ["secretKey"],
  );
});

test("a role without a token, and an instance that is not asked, leave the keys and the profile of AWS's variables in force", () => {
  const s3 = { bucket: "b", endpoint: "http://127.0.0.1:9" };
  const by = (environment: Record<string, string>, said: object): S3Config =>
    s3Schema.parse(withAwsDefaults({ s3: { ...s3, ...said } }, environment)["s3"]);
  const role = { arn: "arn:aws:iam::1:role/a" };
  const own = { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "s" };
  assert.deepEqual(by(own, { role }), { ...s3, role, accessKey: "a", secretKey: "s" });
  assert.deepEqual(by({ AWS_PROFILE: "p" }, { role }), { ...s3, role, profile: "p" });
  const web = { AWS_WEB_IDENTITY_TOKEN_FILE: "/t", AWS_ROLE_ARN: "another" };
  assert.deepEqual(by(web, { role }), { ...s3, role: { ...role, tokenFile: "/t" } });
  const no = { instanceMetadata: false };
  assert.deepEqual(by(own, no), { ...s3, ...no, accessKey: "a", secretKey: "s" });
  const said = { role: { ...role, tokenFile: "/own" } };
  assert.deepEqual(by({ ...own, AWS_PROFILE: "p" }, said), { ...s3, ...said });
});

test("STS is asked where the store's servers are: Amazon's by the region, China's in their own domain, others themselves", () => {
  const of = (endpoint: string, region?: string): string =>
    stsRole(
      config({ endpoint, accessKey: "a", secretKey: "s", ...(region === undefined ? {} : { region }) }),
      undefined,
    ).endpoint;
  assert.equal(of("https://s3.eu-central-1.amazonaws.com", "eu-central-1"), "https://sts.eu-central-1.amazonaws.com");
  assert.equal(of("https://s3.amazonaws.com"), "https://sts.us-east-1.amazonaws.com");
  assert.equal(
    of("https://s3.cn-northwest-1.amazonaws.com.cn", "cn-northwest-1"),
    "https://sts.cn-northwest-1.amazonaws.com.cn",
  );
  assert.equal(of("http://127.0.0.1:9000"), "http://127.0.0.1:9000");
});

/** A store that takes the second pair of keys alone, and what reads from it with keys that are read anew where they are refused. */
async function rotated(t: TestContext, status: number, code: string) {
  const store = await server(t, ({ headers }) =>
    headers.authorization?.includes("Credential=new/") === true
      ? [200, "an object"]
      : [status, `<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`],
  );
  const account = {
    endPoint: "127.0.0.1",
    port: Number(new URL(store.url).port),
    useSSL: false,
    region: "us-east-1",
    patienceMs: 5000,
  };
  let reads = 0;
  const keySource = renewedKeys(
    () => Promise.resolve({ accessKey: reads++ === 0 ? "old" : "new", secretKey: "s", expiresMs: null }),
    Date.now,
  );
  return { account, keySource };
}

test("an object whose reading meets keys that are over is read with new ones", async (t) => {
  for (const code of ["ExpiredToken", "ExpiredTokenException", "InvalidTokenId"]) {
    const { account, keySource } = await rotated(t, 400, code);
    const bucket = new S3Bucket({ ...account, keySource, bucket: "sluice" });
    t.after(() => {
      bucket.close();
    });
    assert.equal(Buffer.from(await gather(readObject(bucket, "a", 0, null))).toString(), "an object", code);
  }
});

test("keys that are over are read anew for images too; without new ones no image is put into quarantine for them", async (t) => {
  for (const code of ["InvalidTokenId", "ExpiredTokenException"]) {
    const { account, keySource } = await rotated(t, 403, code);
    const room = (sizeBytes: number): Uint8Array => new Uint8Array(sizeBytes);
    const image = await imageBuckets({ ...account, keySource }).read("crawl", "a.jpg", room);
    assert.equal(Buffer.from(image).toString(), "an object");
    const fixed = imageBuckets({ ...account, accessKey: "old", secretKey: "s" });
    await assert.rejects(fixed.read("crawl", "a.jpg", room), (error) => isSluiceError(error, "E_SOURCE_READ"), code);
  }
});
