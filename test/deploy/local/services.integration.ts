import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "minio";
import { kafkaTool, startKafka } from "../../../deploy/local/kafka.js";
import type { LocalService } from "../../../deploy/local/local-service.js";
import { startMinio } from "../../../deploy/local/minio.js";
import { startVersitygw } from "../../../deploy/local/versitygw.js";
import { cannotStart } from "./require-service.js";

const MAIN = join(import.meta.dirname, "../../../deploy/local/main.js");

async function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => {
      resolve(false);
    });
  });
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function eventually(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (await condition()) return;
    await sleep(100);
  }
  assert.fail(`Expected within 20 s: ${what}`);
}

/** Killed, and started again on the same port and data; stopped, and gone with its folder. */
async function survivesKill(
  service: LocalService,
  write: () => Promise<void>,
  check: () => Promise<void>,
): Promise<void> {
  const first = service.pid;
  await write();
  await service.kill("SIGKILL");
  assert.equal(alive(first), false);
  assert.equal(await answers(service.port), false);
  await service.restart();
  assert.notEqual(service.pid, first);
  await check();
  const second = service.pid;
  await service.stop();
  assert.equal(alive(second), false);
  assert.equal(await stat(service.folder).catch(() => null), null);
}

test("Kafka keeps its records over kill -9", { skip: await cannotStart("kafka") }, async (t) => {
  const kafka = await startKafka();
  t.after(() => kafka.stop());
  const at = ["--bootstrap-server", kafka.address];
  await survivesKill(
    kafka,
    async () => {
      await kafkaTool("org.apache.kafka.tools.TopicCommand", [...at, "--create", "--topic", "kept"]);
      await kafkaTool("org.apache.kafka.tools.ConsoleProducer", [...at, "--topic", "kept"], "one\ntwo\n");
    },
    async () => {
      const args = [...at, "--topic", "kept", "--from-beginning", "--max-messages", "2"];
      const read = await kafkaTool("org.apache.kafka.tools.consumer.ConsoleConsumer", args);
      assert.deepEqual(read.trim().split("\n"), ["one", "two"]);
    },
  );
});

for (const [name, start] of [
  ["minio", startMinio],
  ["versitygw", startVersitygw],
] as const) {
  test(`${name} keeps its objects over kill -9`, { skip: await cannotStart(name) }, async (t) => {
    const store = await start();
    t.after(() => store.stop());
    const { port, accessKey, secretKey, bucket } = store;
    const client = new Client({ endPoint: "127.0.0.1", port, useSSL: false, accessKey, secretKey });
    await survivesKill(
      store,
      async () => {
        await client.putObject(bucket, "kept/object", Buffer.from("bytes"));
      },
      async () => {
        const chunks: Buffer[] = [];
        for await (const chunk of await client.getObject(bucket, "kept/object")) chunks.push(chunk as Buffer);
        assert.equal(Buffer.concat(chunks).toString(), "bytes");
      },
    );
  });
}

test(
  "the command prints what to export, stops on Ctrl-C and keeps data where asked",
  { skip: await cannotStart("versitygw") },
  async (t) => {
    const keep = await mkdtemp(join(tmpdir(), "sluice-keep-test-"));
    t.after(() => rm(keep, { recursive: true }));
    const command = spawn(process.execPath, [MAIN, "versitygw", "--keep", keep], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    command.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
    await eventually("the lines to export", () => said.includes("export SLUICE_S3__SECRET_KEY="));
    const port = Number(/export SLUICE_S3__ENDPOINT=http:\/\/127\.0\.0\.1:(\d+)/.exec(said)?.[1]);
    const pid = Number(/\(pid (\d+),/.exec(said)?.[1]);
    assert.equal(await answers(port), true);
    const ended = new Promise((resolve) =>
      command.once("exit", (code) => {
        resolve(code);
      }),
    );
    command.kill("SIGINT");
    assert.equal(await ended, 0);
    assert.equal(alive(pid), false);
    assert.equal(await answers(port), false);
    assert.deepEqual((await readdir(join(keep, "versitygw"))).includes("objects"), true);
  },
);

test("a server does not outlive a command that was killed", { skip: await cannotStart("versitygw") }, async () => {
  const command = spawn(process.execPath, [MAIN, "versitygw"], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  command.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
  await eventually("the lines to export", () => said.includes("export SLUICE_S3__SECRET_KEY="));
  const [, pid, log] = /\(pid (\d+), log ([^)]+)\)/.exec(said) ?? [];
  command.kill("SIGKILL");
  await eventually("the server's end", () => !alive(Number(pid)));
  await eventually("the removal of its folder", async () => (await stat(log ?? "").catch(() => null)) === null);
});

test("an unknown server is refused with the usage", async () => {
  const command = spawn(process.execPath, [MAIN, "rabbitmq"], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  command.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  assert.equal(await new Promise((resolve) => command.once("close", resolve)), 2);
  assert.match(said, /Expected kafka, minio or versitygw, found rabbitmq/);
});
