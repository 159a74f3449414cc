import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import kafkajs from "kafkajs";
import type { Admin } from "kafkajs";
import { startKafka, type LocalKafka } from "../../../deploy/local/kafka.js";
import { askedRights, assertRights } from "../../../pipelines/kafka/needed-rights.js";
import { openKafka } from "../../../pipelines/open/open-kafka.js";
import { configSchema } from "../../../schemas/config.js";
import { isSluiceError } from "../../../schemas/errors.js";
import type { KafkaConfig } from "../../../schemas/kafka-config.js";
import { KAFKA_ROLES, rightText } from "../../../schemas/kafka-rights.js";
import { makeCertificates, type Certificates } from "../../deploy/local/certificates.js";
import { cannotStart } from "../../deploy/local/require-service.js";
import { AllowedRoles } from "../../fixtures/allowed-roles.js";
import { MAIN, ranSluice, RunProcess, type Ran } from "../../fixtures/kafka-site.js";
import { picture } from "../../fixtures/make-images.js";
import { writeSmallTeacher } from "../../fixtures/models.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

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
    const plainUsers = ["anna", "nobody", ...KAFKA_ROLES].map((user) => `user_${user}="${PASSWORD}"`);
    const login = {
      ...ssl,
      "ssl.client.auth": "none",
      "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512,OAUTHBEARER",
      "plain.sasl.jaas.config": `${JAAS}.plain.PlainLoginModule required ${plainUsers.join(" ")};`,
      "scram-sha-512.sasl.jaas.config": `${JAAS}.scram.ScramLoginModule required;`,
      "oauthbearer.sasl.jaas.config": `${JAAS}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
    };
    broker = await startKafka({
      listeners: [
        { name: "MUTUAL", protocol: "SSL", properties: { ...ssl, "ssl.client.auth": "required" } },
        { name: "SECURE", protocol: "SASL_SSL", properties: login },
      ],
      scram: { username: "berta", password: PASSWORD },
      properties: {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS;User:anna;User:berta;User:clara;User:CN=client",
      },
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

  describe("each role, allowed what `sluice topics acls` prints", () => {
    const STREAM = "guarded";
    let admin: Admin;
    let allowed: AllowedRoles;
    let environment: Record<string, string>;
    let place: { readonly stream: string; readonly kafka: KafkaConfig };
    before(async () => {
      admin = new kafkajs.Kafka({ brokers: [broker.address], logLevel: kafkajs.logLevel.NOTHING }).admin();
      await admin.connect();
      environment = {
        SLUICE_KAFKA__BROKERS: broker.addresses["SECURE"]!,
        SLUICE_KAFKA__TLS__CA: files.ca,
        SLUICE_KAFKA__SASL__MECHANISM: "plain",
        SLUICE_KAFKA__SASL__PASSWORD: PASSWORD,
        SLUICE_KAFKA__ONE_MACHINE: "true",
        SLUICE_STREAM: STREAM,
        SLUICE_PARTITIONS: "1",
        SLUICE_TEACHER: "teacher",
        SLUICE_BYTES: "keep",
        SLUICE_ARCHIVE__SEGMENT_DELAY_MS: "200",
      };
      const sasl = { mechanism: "plain", username: "anna", password: PASSWORD };
      const config = configSchema.parse({
        stream: STREAM,
        kafka: { brokers: broker.addresses["SECURE"], tls: { ca: files.ca }, sasl },
      });
      place = { stream: STREAM, kafka: config.kafka! };
      allowed = new AllowedRoles(admin, place);
      await allowed.allow(KAFKA_ROLES);
    });
    after(() => admin.disconnect());

    const as = (user: string): NodeJS.ProcessEnv => ({
      ...process.env,
      ...environment,
      SLUICE_KAFKA__SASL__USERNAME: user,
    });
    const site = async (t: TestContext): Promise<string> => {
      const at = await temporaryFolder(t);
      await writeSmallTeacher(join(at, "teacher"), "onnx", { seed: 3 });
      const dataset = { name: "best", select: { k: 2, p: 3 }, trigger: { everyImages: 6 } };
      await writeFile(join(at, "sluice.yaml"), JSON.stringify({ datasets: [dataset] }));
      return at;
    };

    test("every role does its work with them, and a user without them is told which right is missing", async (t) => {
      const at = await site(t);
      const sluice = (user: string, ...args: string[]): Promise<Ran> => ranSluice(args, { cwd: at, env: as(user) });
      const succeeds = async (user: string, ...args: string[]): Promise<Ran> => {
        const done = await sluice(user, ...args);
        assert.equal(done.code, 0, `${user}: sluice ${args.join(" ")}\n${done.stdout}${done.stderr}`);
        return done;
      };
      await succeeds("administrator", "topics", "create");
      for (let seed = 0; seed < 6; seed++)
        await writeFile(join(at, `${seed}.jpg`), await picture(24, 16, seed).jpeg().toBuffer());
      const denied = await sluice("nobody", "produce", ".", "--include", "*.jpg");
      assert.equal(denied.code, 1);
      assert.match(denied.stderr, /E_LOG_ACCESS: .*found that Write on topic guarded, .* are missing/);
      assert.match(denied.stderr, /`sluice topics acls --role producer` prints what to allow/);
      assert.doesNotMatch(denied.stderr, /topics create/);
      const looked = await sluice("nobody", "topics", "check");
      assert.equal(looked.code, 1);
      assert.match(looked.stdout + looked.stderr, /lacks the right Describe on topic guarded/);
      assert.doesNotMatch(looked.stdout + looked.stderr, /Create it/);

      await succeeds("producer", "produce", ".", "--include", "*.jpg");
      const running = (user: string, ...args: string[]): RunProcess => {
        const one = new RunProcess([MAIN, "run", ...args, "--progress", "lines"], at, as(user));
        t.after(() => one.end("SIGKILL"));
        return one;
      };
      const scorer = running("scorer", "score");
      const others = [running("topk", "topk"), running("publisher", "publish")];
      const all = [scorer, ...others];
      const deadline = Date.now() + 180_000;
      while ((await admin.fetchTopicOffsets("sluice-guarded-versions"))[0]!.high === "0") {
        for (const one of all) assert.equal(one.ended, null, one.said);
        assert.ok(Date.now() < deadline, all.map(({ said }) => said).join("\n"));
        await sleep(200);
      }
      for (const one of all) assert.equal(await one.end("SIGTERM"), 0, one.said);

      assert.match((await succeeds("observer", "topics", "check")).stdout, /Nothing to mend\./);
      await succeeds("observer", "status");
      await succeeds("ingest", "ingest", "--no-publish");
      await succeeds("compactor", "compact");
    });

    test("without one of them the right is named before anything is done", async () => {
      const teacher = "0123456789abcdef0123456789abcdef";
      for (const role of ["scorer", "topk", "publisher", "producer"] as const) {
        const sasl = { ...place.kafka.sasl!, username: role } as KafkaConfig["sasl"];
        const log = await openKafka({ ...place.kafka, sasl });
        try {
          const needed = { roles: [role], ...place, teacher };
          const missing = async (): Promise<string> => {
            const found = await log.lacking(askedRights(needed));
            return found.map(rightText).join(", ");
          };
          const becomes = async (expected: string): Promise<void> => {
            const deadline = Date.now() + 60_000;
            let found = await missing();
            while (found !== expected && Date.now() < deadline) found = await missing();
            assert.equal(found, expected);
          };
          await becomes("");
          for (const right of allowed.rights(role)) {
            await allowed.take(role, right);
            const name = right.pattern === "literal" ? right.name : `${right.name}${teacher.slice(0, 16)}`;
            const named = rightText({ ...right, pattern: "literal", name });
            await becomes(named);
            await assert.rejects(assertRights(log, needed), (error) => {
              assert.ok(isSluiceError(error, "E_LOG_ACCESS"));
              assert.match(error.message, /sluice topics acls --role/);
              return error.message.includes(`found that ${named} is missing`);
            });
            await allowed.allowAs(role, right);
          }
          await becomes("");
        } finally {
          await log.close();
        }
      }
    });
  });
});
