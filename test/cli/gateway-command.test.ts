import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";
import { openEmbeddedLog } from "../../connectors/log/embedded/embedded-log.js";
import { CommandFolder, ENGINE, type Ingested } from "../fixtures/command-folder.js";
import { temporaryFolder } from "../fixtures/temporary-folder.js";

/** None of them is to keep a test that fails waiting. */
const LONG = { timeout: 120_000 };

const MAIN = join(import.meta.dirname, "../../cli/main.js");
/** All of them stand for as many images. */
const SENT = 120;
const KILLS = 2;
const SENDERS = 8;

/** `sluice gateway` as a process that is killed and started again; where it listens each time. */
class KilledGateway {
  readonly #folder: string;
  #child: ChildProcess | null = null;
  /** Settles once it listens; anew at each start */
  url: Promise<string> = new Promise(() => undefined);

  constructor(t: TestContext, folder: string) {
    this.#folder = folder;
    t.after(() => this.kill());
  }

  start(): void {
    const child = spawn(process.execPath, [MAIN, "gateway", "--port", "0"], {
      cwd: this.#folder,
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#child = child;
    this.url = new Promise((resolve) => {
      createInterface({ input: child.stderr }).on("line", (line) => {
        const url = /images are taken at (\S+)/.exec(line)?.[1];
        if (url !== undefined) resolve(url);
      });
    });
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, "close");
    child.kill("SIGKILL");
    await closed;
  }
}

test(
  "a gateway killed while it takes images loses none that it said to have, and puts none in twice that its sender sends again under its key",
  LONG,
  async (t) => {
    const folder = await temporaryFolder(t);
    const gateway = new KilledGateway(t, folder);
    gateway.start();
    let answered = 0;
    let next = 0;
    let repeats = 0;
    const send = async (key: number): Promise<void> => {
      for (;;) {
        const url = await gateway.url;
        try {
          const headers = { "idempotency-key": String(key) };
          const response = await fetch(url, { method: "POST", body: Buffer.from(`image ${key}`), headers });
          const { known } = (await response.json()) as { known: number };
          assert.equal(response.status, 200);
          repeats += known;
          return;
        } catch (error) {
          // Nobody answers: the gateway was killed, with the image in the log or without.
          if (error instanceof assert.AssertionError) throw error;
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      }
    };
    const sender = async (): Promise<void> => {
      while (next < SENT) {
        await send(next++);
        answered++;
      }
    };
    const all = Promise.all(Array.from({ length: SENDERS }, sender));
    for (let kill = 1; kill <= KILLS; kill++) {
      while (answered < (kill * SENT) / (KILLS + 1)) await new Promise((resolve) => setTimeout(resolve, 1));
      await gateway.kill();
      gateway.start();
    }
    await all;
    await gateway.kill();

    const log = await openEmbeddedLog(join(folder, "sluice-data", "log"), { exclusive: false });
    t.after(() => log.close());
    const values: string[] = [];
    for (const [partition, { end }] of (await log.ends("images")).entries()) {
      const offsets = Array.from({ length: end }, (_, offset) => offset);
      for (const { value } of await log.fetch("images", partition, offsets))
        values.push(Buffer.from(value!).toString());
    }
    assert.deepEqual(values.sort(), Array.from({ length: SENT }, (_, key) => `image ${key}`).sort());
    t.diagnostic(`${SENT} images, ${KILLS} kills: 0 lost, 0 doubled, ${repeats} known when they came again`);
  },
);

test(
  "what is sent to a running ingest flows into a version: the id that the same files give from a folder",
  LONG,
  async (t) => {
    const folder = await CommandFolder.make({ images: 20 }, t);
    const ingest = folder.begin(
      "--data",
      "sent",
      "ingest",
      "--follow",
      "--gateway-port",
      "0",
      "--teacher",
      "teacher",
      ...ENGINE,
      "--json",
    );
    const url = await said(ingest, /images are taken at (http:[^\s"]+)/);
    const entries = await readdir(join(folder.path, "pictures"), { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    for (const name of files) {
      const body = await readFile(name);
      const response = await fetch(url, { method: "POST", body, headers: { "idempotency-key": name } });
      assert.equal(response.status, 200);
    }
    const broken = await fetch(url, { method: "POST", body: Buffer.from("no image at all") });
    assert.equal(broken.status, 200);
    assert.equal((await folder.sluice("--data", "sent", "pause", "--reason", "the disk is moved")).code, 0);
    const paused = async (): Promise<Response> => {
      const body = await readFile(files[0]!);
      return fetch(url, { method: "POST", body, headers: { "idempotency-key": files[0]! } });
    };
    let answer = await paused();
    while (answer.status === 200) answer = await paused();
    assert.equal(answer.status, 503);
    assert.match(await answer.text(), /Paused by .*the disk is moved/);
    assert.equal((await folder.sluice("--data", "sent", "resume")).code, 0);
    assert.equal((await folder.sluice("--data", "sent", "drain")).code, 0);
    const { code, out, err } = await ingest.ended;
    assert.equal(code, 0, out + err);
    const { counts, published } = JSON.parse(out) as Ingested;
    assert.deepEqual([counts.scored, counts.quarantined], [20, 1]);
    const { published: local } = await folder.ingest("--data", "local", "--teacher", "teacher");
    assert.equal(published[0].id, local[0].id);
    const { count } = await folder.json<{ count: number }>("--data", "sent", "quarantine", "list");
    assert.equal(count, 1);
  },
);

async function said({ err, ended }: ReturnType<CommandFolder["begin"]>, words: RegExp): Promise<string> {
  for (;;) {
    const found = words.exec(err())?.[1];
    if (found !== undefined) return found;
    const end = await Promise.race([ended, new Promise<null>((resolve) => setTimeout(resolve, 20, null))]);
    if (end !== null) assert.fail(`it ended with ${String(end.code)}:\n${end.err}`);
  }
}

test("it says what is missing, and shares its folder with nobody", LONG, async (t) => {
  const folder = await CommandFolder.make({ images: 1 }, t);
  const open = await folder.sluice("gateway", "--host", "0.0.0.0", "--port", "0");
  assert.equal(open.code, 2);
  assert.match(open.err, /E_USAGE: .*SLUICE_GATEWAY_TOKEN or --token-file/);
  const ends = await folder.sluice("ingest", "--gateway-port", "0");
  assert.equal(ends.code, 2);
  assert.match(ends.err, /E_USAGE: .*--follow/);
  const gateway = folder.begin("gateway", "--port", "0", "--metrics-port", "0", "--json");
  const url = await said(gateway, /images are taken at (http:[^\s"]+)/);
  const metrics = await said(gateway, /metrics at (http:[^\s"]+)/);
  const second = await folder.sluice("gateway", "--port", "0");
  assert.equal(second.code, 4, second.err);
  assert.equal((await fetch(url, { method: "POST", body: Buffer.from("an image") })).status, 200);
  assert.equal((await fetch(url, { method: "POST", body: Buffer.alloc(0) })).status, 422);
  const figures = await (await fetch(metrics)).text();
  assert.match(figures, /sluice_appended_total 1\n/);
  assert.match(figures, /sluice_gateway_seconds_count\{status="200"\} 1\n/);
  assert.match(figures, /sluice_ready\{loop="gateway"\} 1\n/);
  assert.equal((await fetch(metrics.replace("metrics", "readyz"))).status, 200);
  assert.equal((await folder.sluice("drain")).code, 0);
  const { code, out } = await gateway.ended;
  assert.equal(code, 0);
  const { appended, source } = JSON.parse(out) as { appended: number; source: { given: number } };
  assert.deepEqual([appended, source.given], [1, 2]);
});
