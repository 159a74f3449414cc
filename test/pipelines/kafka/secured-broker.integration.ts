import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startKafka, type LocalKafka } from "../../../deploy/local/kafka.js";
import { openKafka } from "../../../pipelines/open/open-kafka.js";
import { configSchema } from "../../../schemas/config.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { makeCertificates, type Certificates } from "../../deploy/local/certificates.js";
import { cannotStart } from "../../deploy/local/require-service.js";

const PASSWORD = "a password of the test";
const JAAS = "org.apache.kafka.common.security";

/** A token without a signature, as a broker takes it that is told to believe everybody. */
function token(subject: string): string {
  const encoded = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url");
  const seconds = Math.floor(Date.now() / 1000);
  return `${encoded({ alg: "none" })}.${encoded({ sub: subject, iat: seconds, exp: seconds + 3600 })}.`;
}

describe("brokers that want TLS and a login", { skip: await cannotStart("kafka") }, () => {
  let broker: LocalKafka;
  let files: Certificates;
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-"));
    files = await makeCertificates(folder);
    const keystore = join(folder, "keystore.pem");
    await writeFile(keystore, (await readFile(files.server.key, "utf8")) + (await readFile(files.server.cert, "utf8")));
    const ssl = {
      "ssl.keystore.type": "PEM",
      "ssl.keystore.location": keystore,
      "ssl.truststore.type": "PEM",
      "ssl.truststore.location": files.ca,
    };
    const login = {
      ...ssl,
      "ssl.client.auth": "none",
      "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512,OAUTHBEARER",
      "plain.sasl.jaas.config": `${JAAS}.plain.PlainLoginModule required user_anna="${PASSWORD}";`,
      "scram-sha-512.sasl.jaas.config": `${JAAS}.scram.ScramLoginModule required;`,
      "oauthbearer.sasl.jaas.config": `${JAAS}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
    };
    broker = await startKafka({
      listeners: [
        { name: "MUTUAL", protocol: "SSL", properties: { ...ssl, "ssl.client.auth": "required" } },
        { name: "SECURE", protocol: "SASL_SSL", properties: login },
      ],
      scram: { username: "berta", password: PASSWORD },
    });
  });
  after(async () => {
    await broker.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** Opens with these settings, makes a topic and sees it; or what is said. */
  async function opened(listener: string, settings: object): Promise<string> {
    const brokers = broker.addresses[listener]!;
    const { kafka } = configSchema.parse({ kafka: { brokers, clientId: "a-test", ...settings } });
    try {
      const log = await openKafka(kafka!);
      try {
        await log.ensureTopic("seen", 1);
        return `${(await log.ends("seen")).length} partition`;
      } finally {
        await log.close();
      }
    } catch (error) {
      assert.ok(isSluiceError(error, "E_LOG_ACCESS"), String(error));
      assert.ok(!error.message.includes(PASSWORD));
      return error.message;
    }
  }

  test("clients are let in by PLAIN, SCRAM and OAUTHBEARER over TLS, and by a certificate of their own", async () => {
    const tls = { ca: files.ca };
    const tokenFile = join(folder, "token");
    await writeFile(tokenFile, `${token("clara")}\n`);
    const logins = [
      { mechanism: "plain", username: "anna", password: PASSWORD },
      { mechanism: "scram-sha-512", username: "berta", password: PASSWORD },
      { mechanism: "oauthbearer", tokenFile },
      { mechanism: "oauthbearer", tokenCommand: `cat '${tokenFile}'` },
    ];
    for (const sasl of logins) assert.equal(await opened("SECURE", { tls, sasl }), "1 partition", JSON.stringify(sasl));
    assert.equal(await opened("MUTUAL", { tls: { ...tls, ...files.client, serverName: "localhost" } }), "1 partition");
  });

  test("what is refused names its setting", async () => {
    const sasl = { mechanism: "plain", username: "anna", password: PASSWORD };
    assert.match(
      await opened("SECURE", { tls: true, sasl }),
      /SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_VERIFY.*kafka\.tls\.ca/s,
    );
    const wrongName = { ca: files.ca, serverName: "elsewhere" };
    assert.match(await opened("SECURE", { tls: wrongName, sasl }), /another name.*kafka\.tls\.serverName/s);
    const wrong = { ...sasl, password: "another" };
    assert.match(await opened("SECURE", { tls: { ca: files.ca }, sasl: wrong }), /user, password, mechanism/);
    const silent = { mechanism: "oauthbearer", tokenCommand: "exit 3" };
    assert.match(
      await opened("SECURE", { tls: { ca: files.ca }, sasl: silent }),
      /kafka\.sasl\.tokenCommand, found exit code 3/,
    );
  });
});
