import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { loadConfig } from "../../cli/load-config.js";
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

test("a secret on the command line is refused, since other users see it, and the message says where it belongs", async (t) => {
  const folder = await CommandFolder.make({ images: 1 }, t);
  for (const [assignment, variable] of [
    [`s3.secretKey=${SECRET_KEY}`, "SLUICE_S3__SECRET_KEY"],
    [`s3={secretKey: ${SECRET_KEY}}`, "SLUICE_S3__SECRET_KEY"],
    [`s3.sessionToken=${SESSION_TOKEN}`, "SLUICE_S3__SESSION_TOKEN"],
    [`kafka={sasl: {password: ${PASSWORD}}}`, "SLUICE_KAFKA__SASL__PASSWORD"],
  ] as const) {
    const [code, text] = await said(folder.path, ["status", "--set", assignment], {});
    assert.equal(code, 2, text);
    assert.match(text, new RegExp(`Expected no secret on the command line.* as ${variable}, or in sluice.yaml`));
    for (const secret of SECRETS) assert.ok(!text.includes(secret), text);
  }
});

test("a secret that was taken from a file with its line's end is the same secret", async () => {
  const config = async (variables: Record<string, string>): Promise<object | undefined> =>
    (await loadConfig({ file: null, folder: "/nowhere", environment: { ...SERVERS, ...variables }, flags: [] })).config
      .s3;
  const expected = await config({});
  assert.ok(expected !== undefined);
  assert.deepEqual(
    await config({ SLUICE_S3__SECRET_KEY: `${SECRET_KEY}\n`, SLUICE_S3__ACCESS_KEY: "access\n" }),
    expected,
  );
  const aws = {
    AWS_ACCESS_KEY_ID: "access\n",
    AWS_SECRET_ACCESS_KEY: `${SECRET_KEY}\n`,
    AWS_SESSION_TOKEN: `${SESSION_TOKEN}\r\n`,
  };
  const none = { SLUICE_S3__ACCESS_KEY: "", SLUICE_S3__SECRET_KEY: "", SLUICE_S3__SESSION_TOKEN: "" };
  assert.deepEqual(await config({ ...none, ...aws }), expected);
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
