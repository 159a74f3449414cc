import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { kafkaLogin, kafkaTls } from "../../../pipelines/open/kafka-login.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { kafkaSchema } from "../../../schemas/kafka-config.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

const PEM = "-----BEGIN CERTIFICATE-----\n";

test("a mechanism is taken as brokers write it, in capitals or not", () => {
  const mechanismOf = (mechanism: string): string | undefined =>
    kafkaSchema.parse({ brokers: "a:1", sasl: { mechanism, username: "u", password: "p" } }).sasl?.mechanism;
  assert.equal(mechanismOf("SCRAM-SHA-512"), "scram-sha-512");
  assert.equal(mechanismOf("scram-sha-256"), "scram-sha-256");
  assert.equal(mechanismOf("PLAIN"), "plain");
  assert.throws(() => mechanismOf("GSSAPI"));
});

test("certificates are read again for each connection, since they are renewed while processes run; what is wrong with one is said first", async (t) => {
  const folder = await temporaryFolder(t);
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  await writeFile(cert, `${PEM}one`);
  await writeFile(key, `${PEM}one`);
  const options = kafkaTls({ tls: { cert, key } });
  assert.ok(options !== null && options !== true);
  assert.equal({ ...options }.cert, `${PEM}one`);
  await writeFile(cert, `${PEM}two`);
  assert.equal({ ...options }.cert, `${PEM}two`);
  assert.throws(
    () => kafkaTls({ tls: { cert: join(folder, "none.pem"), key } }),
    (error) => isSluiceError(error, "E_FILE") && error.message.includes("kafka.tls.cert"),
  );
});

test("a token that is away is an error at the start, and waited for once there has been one", async (t) => {
  const file = join(await temporaryFolder(t), "token");
  const token = async (sasl: object): Promise<() => Promise<string>> => {
    const login = kafkaLogin({ mechanism: "oauthbearer", ...sasl });
    assert.ok("oauthBearerProvider" in login);
    return async () => (await login.oauthBearerProvider()).value;
  };
  const isRetried = async (asked: Promise<string>): Promise<boolean> => {
    try {
      await asked;
    } catch (error) {
      assert.ok(isSluiceError(error));
      return error.retryable;
    }
    return assert.fail("a token was given");
  };
  for (const sasl of [{ tokenFile: file }, { tokenCommand: `cat '${file}'` }]) {
    await writeFile(file, "");
    const ask = await token(sasl);
    assert.equal(await isRetried(ask()), false);
    await writeFile(file, "one\n");
    assert.equal(await ask(), "one");
    await writeFile(file, "");
    assert.equal(await isRetried(ask()), true);
    await writeFile(file, "two");
    assert.equal(await ask(), "two");
  }
});
