import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { runProgram } from "../../cli/program.js";
import { scan } from "../fixtures/byte-scan.js";
import { CommandFolder } from "../fixtures/command-folder.js";
import { recordedTerminal } from "./recorded-terminal.js";

const SECRETS = ["kafka-password-6f1c", "s3-secret-key-92ab", "s3-session-token-11d0", "console-token-77e3"];
const [PASSWORD, SECRET_KEY, SESSION_TOKEN, CONSOLE_TOKEN] = SECRETS as [string, string, string, string];

/** A broker and a store that are nowhere: port 9 takes no connection. */
const SERVERS = {
  SLUICE_KAFKA__BROKERS: "127.0.0.1:9",
  SLUICE_KAFKA__SASL__USERNAME: "user",
  SLUICE_KAFKA__SASL__PASSWORD: PASSWORD,
  SLUICE_S3__ENDPOINT: "http://127.0.0.1:9",
  SLUICE_S3__BUCKET: "bucket",
  SLUICE_S3__ACCESS_KEY: "access",
  SLUICE_S3__SECRET_KEY: SECRET_KEY,
  SLUICE_S3__SESSION_TOKEN: SESSION_TOKEN,
  SLUICE_SERVE_TOKEN: CONSOLE_TOKEN,
};

async function said(folder: string, args: string[], environment: Record<string, string>): Promise<[number, string]> {
  const terminal = recordedTerminal({ folder, environment });
  const code = await runProgram(args, terminal);
  return [code, terminal.stdout.text + terminal.stderr.text];
}

test("no secret is in what commands print, also where servers are away or settings are wrong", async (t) => {
  const folder = await CommandFolder.make({ images: 1 }, t);
  const wrong = { ...SERVERS, SLUICE_S3__ENDPOINT: "nowhere", SLUICE_KAFKA__SASL__MECHANISM: "md5" };
  // A secret where another setting is expected, as a slip of the hand puts it
  const slipped = { ...SERVERS, SLUICE_S3__SECRET_KEYS: SECRET_KEY, SLUICE_KAFKA__SASL: PASSWORD };
  const yaml = `kafka: { brokers: 3 }\ns3:\n  secretKey: 7\n  accessKey: [${SECRET_KEY}]\n`;
  await folder.yaml(yaml);
  const calls: [string[], Record<string, string>][] = [
    [["status", "--json"], SERVERS],
    [["status"], wrong],
    [["check", "--json"], wrong],
    [["produce", "pictures"], wrong],
    [["status"], slipped],
    [["status"], {}],
    [["status", "--set", `kafka.sasl.password=[${PASSWORD}]`, "--set", `s3.secretKey=${SECRET_KEY}`], wrong],
    [
      ["status", "--set", `kafka.sasl=${PASSWORD}`, "--set", `s3=${SECRET_KEY}`, "--set", `s3.secret=${SECRET_KEY}`],
      {},
    ],
  ];
  for (const [args, environment] of calls) {
    const [code, text] = await said(folder.path, args, environment);
    assert.notEqual(code, 0, `${args.join(" ")}: ${text}`);
    assert.ok(text.length > 20, args.join(" "));
    for (const secret of SECRETS)
      assert.ok(!text.includes(secret), `sluice ${args.join(" ")} printed a secret: ${text}`);
  }
});

test("no secret is written into the data folder, the archive or a version", async (t) => {
  const folder = await CommandFolder.make({ images: 12 }, t);
  const environment = {
    SLUICE_SERVE_TOKEN: CONSOLE_TOKEN,
    AWS_SECRET_ACCESS_KEY: SECRET_KEY,
    AWS_SESSION_TOKEN: SESSION_TOKEN,
  };
  const [code, text] = await said(
    folder.path,
    ["ingest", "pictures", "--teacher", "teacher", "--k", "3", "--p", "1", "--workers", "1"],
    environment,
  );
  assert.equal(code, 0, text);
  await writeFile(join(folder.path, "sluice-data", "witness"), CONSOLE_TOKEN);
  assert.deepEqual(
    (await scan(folder.path, [], SECRETS)).map((file) => file.split("/").at(-1)),
    ["witness"],
    "the witness alone",
  );
});
