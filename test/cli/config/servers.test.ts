import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { loadConfig } from "../../../cli/load-config.js";
import { assignmentOverride } from "../../../cli/config/override.js";
import { openBucket } from "../../../pipelines/open/open-bucket.js";
import type { Config } from "../../../schemas/config.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { makeCertificates } from "../../deploy/local/certificates.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

async function load(settings: Record<string, string>, environment: Record<string, string> = {}): Promise<Config> {
  const flags = Object.entries(settings).map(([path, value]) => assignmentOverride(`${path}=${value}`));
  return (await loadConfig({ file: null, folder: "/nowhere", environment, flags })).config;
}

async function refused(settings: Record<string, string>, said: RegExp, environment = {}): Promise<void> {
  await assert.rejects(load(settings, environment), (error) => {
    assert.ok(isSluiceError(error, "E_CONFIG"), String(error));
    assert.match(error.message, said);
    return true;
  });
}

const AWS = {
  AWS_ACCESS_KEY_ID: "ASIA1",
  AWS_SECRET_ACCESS_KEY: "secret",
  AWS_SESSION_TOKEN: "token",
  AWS_REGION: "eu-central-1",
};
const KEYS = { "s3.bucket": "pictures", "s3.accessKey": "key", "s3.secretKey": "secret" };

test("a bucket takes keys, token, region and endpoint from AWS's environment where nothing else says them", async () => {
  assert.deepEqual((await load({ "s3.bucket": "pictures" }, AWS)).s3, {
    bucket: "pictures",
    accessKey: "ASIA1",
    secretKey: "secret",
    sessionToken: "token",
    region: "eu-central-1",
    endpoint: "https://s3.eu-central-1.amazonaws.com",
  });
  const own = (
    await load(
      { ...KEYS, "s3.region": "here" },
      { ...AWS, AWS_ENDPOINT_URL: "http://a:1", AWS_ENDPOINT_URL_S3: "http://b:1" },
    )
  ).s3;
  assert.deepEqual(
    [own?.accessKey, own?.sessionToken, own?.region, own?.endpoint],
    ["key", undefined, "here", "http://b:1"],
  );
  // Keys alone make nobody's store a bucket.
  assert.equal((await load({}, AWS)).s3, undefined);
});

test("temporary keys want their token, and it is sent with every request", async () => {
  await refused(
    { ...KEYS, "s3.accessKey": "ASIA1", "s3.endpoint": "http://127.0.0.1:1" },
    /s3\.sessionToken: expected the session token that belongs to a temporary key/,
  );
  const tokens: unknown[] = [];
  const server = createServer((request, response) => {
    tokens.push(request.headers["x-amz-security-token"]);
    response.statusCode = 403;
    response.end("<Error><Code>AccessDenied</Code></Error>");
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  try {
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { s3 } = await load({ "s3.bucket": "pictures", "s3.endpoint": endpoint }, AWS);
    await assert.rejects(openBucket(s3!), (error) => isSluiceError(error, "E_STORE_ACCESS"));
    assert.deepEqual(tokens, ["token"]);
  } finally {
    server.close();
  }
});

test("an endpoint's usual mistakes are named", async () => {
  for (const [endpoint, said] of [
    ["minio:9000", /s3\.endpoint: expected http:\/\/ or https:\/\/ before it, such as http:\/\/minio:9000/],
    ["localhost", /such as http:\/\/localhost/],
    ["ftp://host", /expected http:\/\/ or https:\/\/, found ftp:\/\//],
    [
      "https://host/pictures/",
      /expected the server alone, https:\/\/host, found \/pictures\/ after it: s3\.bucket and s3\.prefix/,
    ],
    [
      "https://pictures.s3.eu-central-1.amazonaws.com",
      /without the bucket, https:\/\/s3\.eu-central-1\.amazonaws\.com, found/,
    ],
    ["https://key:secret@host", /expected http:\/\/host:port or https:\/\/host/],
    ["http://host:99999", /expected http:\/\/host:port/],
    ["", /s3\.endpoint/],
  ] as const) {
    await refused({ ...KEYS, "s3.endpoint": endpoint }, said);
  }
  for (const endpoint of ["http://127.0.0.1:9000/", "https://host", "http://[::1]:9000"]) {
    assert.equal((await load({ ...KEYS, "s3.endpoint": endpoint })).s3?.endpoint, endpoint);
  }
});

test("brokers are host:port; what else people write is named at once", async () => {
  for (const brokers of ["kafka:9092", "a:1, b:2", "[::1]:9092,127.0.0.1:9092", "broker-1.example.com:29092"]) {
    assert.equal((await load({ "kafka.brokers": brokers })).kafka?.brokers, brokers);
  }
  for (const [brokers, said] of [
    [
      "PLAINTEXT://kafka:9092",
      /kafka\.brokers: expected host:port without the listener's protocol, found PLAINTEXT:\/\/kafka:9092: say kafka:9092/,
    ],
    ["SASL_SSL://kafka:9093", /say kafka:9093, with kafka\.tls: true and a login in kafka\.sasl/],
    ["kafka", /such as kafka:9092, found kafka/],
    ["::1:9092", /an IPv6 address in brackets and a port, such as \[::1\]:9092, found ::1:9092/],
    ["kafka:0", /port from 1 to 65535, found kafka:0/],
    ["kafka:99999", /port from 1 to 65535/],
    ["a:1,,b:2", /between the commas, found nothing/],
    ["a:1 b:2", /expected host:port/],
  ] as const) {
    await refused({ "kafka.brokers": brokers }, said);
  }
});

test("tls is said by true or by files, which begin where they are said; a login has what its mechanism takes", async () => {
  const broker = { "kafka.brokers": "kafka:9093" };
  assert.equal((await load({ ...broker, "kafka.tls": "true" })).kafka?.tls, true);
  const environment = { SLUICE_KAFKA__TLS__CA: "ca.crt", SLUICE_KAFKA__TLS__SERVER_NAME: "inside" };
  assert.deepEqual((await load(broker, environment)).kafka?.tls, { ca: "/nowhere/ca.crt", serverName: "inside" });
  await refused({ ...broker, "kafka.tls.cert": "a.crt" }, /certificate and key together/);
  await refused(
    { ...broker, "kafka.sasl.mechanism": "plain", "kafka.sasl.username": "anna" },
    /SLUICE_KAFKA__SASL__PASSWORD/,
  );
  await refused({ ...broker, "kafka.sasl.mechanism": "oauthbearer" }, /either tokenFile or tokenCommand/);
});

test("a store whose certificate nobody vouches for is refused by the name of the setting, and taken with it", async (t) => {
  const files = await makeCertificates(await temporaryFolder(t));
  const [cert, key] = [await readFile(files.server.cert), await readFile(files.server.key)];
  const server = createSecureServer({ cert, key }, (_, response) => {
    response.statusCode = 403;
    response.end("<Error><Code>AccessDenied</Code></Error>");
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => server.close());
  const own = { ...KEYS, "s3.endpoint": `https://localhost:${(server.address() as AddressInfo).port}` };
  const said = async (more: Record<string, string>): Promise<string> => {
    const { s3 } = await load({ ...own, ...more });
    return openBucket(s3!).then(
      () => "opened",
      (error: unknown) => (isSluiceError(error) ? `${error.code}: ${error.message}` : String(error)),
    );
  };
  assert.match(await said({}), /^E_STORE_ACCESS.*vouches.*: s3\.ca\./);
  assert.match(await said({ "s3.ca": files.ca }), /AccessDenied/);
  assert.match(await said({ "s3.ca": "/nowhere/ca.crt" }), /^E_FILE.*s3\.ca names, found ENOENT/);
  assert.match(await said({ "s3.ca": files.server.key.replace("server.key", "ca.srl") }), /^E_FILE.*PEM/);
});
