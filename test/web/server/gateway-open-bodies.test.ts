import assert from "node:assert/strict";
import { once } from "node:events";
import { request, type ClientRequest, type IncomingMessage } from "node:http";
import { test } from "node:test";
import type { GatewayOptions } from "../../../web/server/gateway/open-gateway.js";
import { gatewayTo, heldIntake, HeldLog, MAX_BYTES, senderTo, type Answered } from "../../fixtures/gateway-site.js";
import { tarOf } from "../../fixtures/tar-archive.js";

const bytesOf = (seed: number, length = 100): Buffer => Buffer.alloc(length, seed);
const LINES = { "content-type": "application/x-ndjson" };
const TAR = { "content-type": "application/x-tar" };
const line = (key: string, length = 100): string =>
  `${JSON.stringify({ key, bytes: bytesOf(key.charCodeAt(0), length).toString("base64") })}\n`;

/** Appends at once */
class QuickLog extends HeldLog {
  override append(partition: number, records: Parameters<HeldLog["append"]>[1]): Promise<number> {
    const appended = super.append(partition, records);
    void this.turn();
    return appended;
  }

  get records(): number {
    return this.appends.flat().length;
  }
}

/** A request whose body is open, and its answer. */
function opened(port: number, headers: Readonly<Record<string, string>>): [ClientRequest, Promise<Answered>] {
  const sending = request({ port, path: "/images", method: "POST", headers });
  const answered = (async (): Promise<Answered> => {
    const [response] = (await once(sending, "response")) as [IncomingMessage];
    let text = "";
    for await (const piece of response) text += String(piece);
    const retryAfter = response.headers["retry-after"] ?? null;
    return { status: response.statusCode!, retryAfter, body: JSON.parse(text) as Answered["body"] };
  })();
  sending.flushHeaders();
  return [sending, answered];
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}

test("bodies of many that are open and between two images keep nobody out, however many they are", async (t) => {
  const log = new QuickLog();
  const { port, url } = await gatewayTo(t, heldIntake(log), { maxInFlightBytes: 2 * MAX_BYTES });
  const bodies = Array.from({ length: 5 }, () => opened(port, LINES));
  for (const [at, [sending]] of bodies.entries()) sending.write(line(`${at}`));
  await until(() => log.records === 5);
  const send = senderTo({ url });
  assert.equal((await send(bytesOf(1, MAX_BYTES))).status, 200);
  assert.equal((await send(await tarOf([{ name: "a.jpg", content: bytesOf(2, MAX_BYTES) }]), TAR)).status, 200);
  for (const [sending, answered] of bodies) {
    sending.end(line("z"));
    assert.deepEqual((await answered).body.taken, 2);
  }
});

test("images of open bodies wait for room in turn, each no longer than one is on its way", async (t) => {
  const log = new HeldLog();
  const { port } = await gatewayTo(t, heldIntake(log), { maxInFlightBytes: 1.5 * MAX_BYTES });
  const bodies: Promise<Answered>[] = [];
  const open: ClientRequest[] = [];
  for (let seed = 1; seed <= 3; seed++) {
    const [sending, answered] = opened(port, { ...TAR, expect: "100-continue" });
    await once(sending, "continue");
    open.push(sending);
    bodies.push(answered);
  }
  for (const [at, sending] of open.entries()) {
    const content = bytesOf(at + 1, MAX_BYTES);
    sending.end(
      await tarOf([
        { name: "a.jpg", content },
        { name: "b.jpg", content },
      ]),
    );
  }
  // Never two of them in hand: what is appended at a time is one.
  for (let turn = 0; turn < 6; turn++) await log.turn();
  const taken = (await Promise.all(bodies)).map(({ body }) => body.taken);
  assert.deepEqual(taken, [2, 2, 2]);
  assert.ok(log.appends.every((records) => records.length === 1));
});

/** Time passes until something has come. */
async function passing<T>(coming: Promise<T>, pass: () => void): Promise<T> {
  const timer = setInterval(pass, 20);
  return coming.finally(() => {
    clearInterval(timer);
  });
}

async function heldBody(t: Parameters<typeof gatewayTo>[0], options: Partial<GatewayOptions>) {
  const log = new QuickLog();
  const { port } = await gatewayTo(t, heldIntake(log), options);
  const [sending, answered] = opened(port, LINES);
  sending.write(line("a"));
  await until(() => log.records === 1);
  return { log, sending, answered };
}

test("an open body is not read on while the stream is paused, and goes on when it is resumed", async (t) => {
  let held: string | null = null;
  const { log, sending, answered } = await heldBody(t, { held: () => held });
  held = "Paused by anna.";
  sending.end(line("b") + line("c"));
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(log.records, 1);
  held = null;
  assert.deepEqual((await answered).body.taken, 3);
});

test("what is left of an open body is refused where a pause lasts, and it is said how much is in", async (t) => {
  let held: string | null = null;
  let nowMs = 0;
  const { log, sending, answered } = await heldBody(t, { held: () => held, nowMs: () => nowMs });
  held = "Paused by anna.";
  sending.write(line("b"));
  const { status, retryAfter, body } = await passing(answered, () => (nowMs += 10_000));
  assert.deepEqual([status, retryAfter, body.error!.code], [503, "5", "E_GATEWAY_BUSY"]);
  assert.match(body.error!.message, /1 image went into the log before\. Paused by anna/);
  assert.equal(log.records, 1);
  sending.destroy();
});

test("a tar whose reading is refused for a pause says so, and is not taken for one that breaks off", async (t) => {
  let held: string | null = null;
  let nowMs = 0;
  const log = new QuickLog();
  const { port } = await gatewayTo(t, heldIntake(log), { held: () => held, nowMs: () => nowMs });
  const tar = await tarOf([
    { name: "a.jpg", content: bytesOf(1) },
    { name: "b.jpg", content: bytesOf(2) },
  ]);
  const [sending, answered] = opened(port, TAR);
  sending.write(tar.subarray(0, 1024));
  await until(() => log.records === 1);
  held = "Paused by anna.";
  sending.write(tar.subarray(1024));
  const { status, body } = await passing(answered, () => (nowMs += 10_000));
  assert.deepEqual([status, body.error!.code], [503, "E_GATEWAY_BUSY"]);
  sending.destroy();
});

test("an open body heeds how many wait to be scored, with what came since that was asked", async (t) => {
  let waiting = 0;
  let nowMs = 0;
  const options = { waiting: () => Promise.resolve(waiting), mostWaiting: 3, nowMs: () => nowMs };
  const { log, sending, answered } = await heldBody(t, options);
  // Within two seconds nobody is asked again.
  for (const key of ["b", "c"]) {
    sending.write(line(key));
    await until(() => log.records === (key === "b" ? 2 : 3));
  }
  sending.write(line("d"));
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(log.records, 3);
  waiting = 1;
  nowMs = 3_000;
  await until(() => log.records === 4);
  sending.end();
  assert.equal((await answered).status, 200);
});

test("an image that drips in is refused while others want its room, and goes on while nobody does", async (t) => {
  let nowMs = 0;
  const log = new QuickLog();
  const options = { maxInFlightBytes: 1.5 * MAX_BYTES, nowMs: () => nowMs };
  const { port, url } = await gatewayTo(t, heldIntake(log), options);
  const length = String(MAX_BYTES);
  const drip = (): ReturnType<typeof opened> => {
    const one = opened(port, { "content-length": length });
    one[0].on("error", () => undefined).write(bytesOf(7, 10));
    return one;
  };
  const [patient, served] = drip();
  await new Promise((resolve) => setTimeout(resolve, 50));
  nowMs = 3_600_000;
  await new Promise((resolve) => setTimeout(resolve, 400));
  patient.end(bytesOf(7, MAX_BYTES - 10));
  assert.equal((await served).status, 200);

  const [, refused] = drip();
  const send = senderTo({ url });
  const found = async (status: number): Promise<void> => {
    while ((await send(bytesOf(1, MAX_BYTES))).status !== status) await new Promise(setImmediate);
  };
  await found(429);
  nowMs += 31_000;
  await found(429);
  const { status, body } = await refused;
  assert.deepEqual([status, body.error!.code], [408, "E_GATEWAY_BUSY"]);
  assert.equal((await send(bytesOf(1, MAX_BYTES))).status, 200);
});

test("keys and names that are no UTF-8 stay apart, and a line that is none is refused", async (t) => {
  const log = new QuickLog();
  const gateway = await gatewayTo(t, heldIntake(log));
  const send = senderTo(gateway);
  const keyed = (key: string): Promise<Answered> => send(bytesOf(1), { "idempotency-key": key });
  const [first, second] = [await keyed("caf\u00e9"), await keyed("caf\u00e8")];
  assert.notEqual(first.body.images![0]!.key, second.body.images![0]!.key);
  const latin = Buffer.concat([
    Buffer.from(`{"key":"caf`),
    Buffer.from([0xe9]),
    Buffer.from(`","bytes":"${bytesOf(1).toString("base64")}"}\n`),
  ]);
  const told = await send(Buffer.concat([Buffer.from("\ufeff"), Buffer.from(line("a")), latin]), LINES);
  assert.deepEqual([told.body.taken, told.body.refused], [1, 1]);
});
