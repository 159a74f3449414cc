import assert from "node:assert/strict";
import { request } from "node:http";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { gzipSync } from "node:zlib";
import { openFolderIntake } from "../../../pipelines/gateway/open-intake.js";
import type { ErasedImages } from "../../../operators/archive/erased-images.js";
import { openWorkspace, type Workspace } from "../../../pipelines/open/workspace.js";
import { configSchema } from "../../../schemas/config.js";
import { isSluiceError, SluiceError } from "../../../schemas/errors.js";
import { decodeImageRecord, type StoredRecord } from "../../../schemas/image-record.js";
import type { Observed } from "../../../schemas/observed.js";
import type { Gateway, GatewayOptions } from "../../../web/server/gateway/open-gateway.js";
import { gatewayTo, heldIntake, HeldLog, MAX_BYTES, senderTo, type Answered } from "../../fixtures/gateway-site.js";
import { tarOf } from "../../fixtures/tar-archive.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

const TOKEN = "0123456789abcdef0123";

/** On the log of a data folder, as `sluice gateway` opens it */
async function site(t: TestContext, settings: object = {}) {
  const data = join(await temporaryFolder(t), "data");
  const config = configSchema.parse({ data, partitions: 2, decode: { maxBytes: MAX_BYTES }, ...settings });
  const workspace = await openWorkspace(config, "test");
  t.after(() => workspace.close());
  const { intake, waiting } = await openFolderIntake(workspace, workspace.embedded!, {
    nowMs: () => 77,
    onAppended: () => undefined,
  });
  return { config, workspace, intake, waiting, send: senderTo(await gatewayTo(t, intake)) };
}

async function logged({ log, config }: Workspace): Promise<StoredRecord[]> {
  const all: StoredRecord[] = [];
  for (const [partition, { end }] of (await log.ends(config.stream)).entries())
    all.push(
      ...(await log.fetch(
        config.stream,
        partition,
        Array.from({ length: end }, (_, offset) => offset),
      )),
    );
  return all;
}

const bytesOf = (seed: number, length = 100): Buffer => Buffer.alloc(length, seed);
const LINES = { "content-type": "application/x-ndjson" };
const TAR = { "content-type": "application/x-tar" };

test("an image is in the log when the answer says so, with what its headers say of it; the same key again is known, another image under it refused", async (t) => {
  const { workspace, intake, send } = await site(t);
  const headers = {
    "idempotency-key": "camera 7/1",
    "sluice-licence": Buffer.from("CC-BY-4.0 ©").toString("latin1"),
    "sluice-origin": "camera 7",
    "sluice-event-time": "1700000000123",
  };
  const first = await send(bytesOf(1), headers);
  assert.equal(first.status, 200, JSON.stringify(first));
  const { partition, offset } = first.body.images![0]!;
  const [record] = await workspace.log.fetch("images", partition, [offset]);
  const image = decodeImageRecord(record!, { stream: "images", partition });
  assert.deepEqual(Buffer.from(image.bytes!), bytesOf(1));
  assert.deepEqual(
    [image.uri, image.licence, image.origin, image.eventTimeMs],
    [`log://images/${partition}/${offset}`, "CC-BY-4.0 ©", "camera 7", 1_700_000_000_123],
  );
  assert.equal(Buffer.from(record!.key!).toString(), "camera 7/1");

  const again = await send(bytesOf(1), headers);
  assert.deepEqual(again.body.images, [{ key: "camera 7/1", partition, offset, known: true }]);
  const other = await send(bytesOf(2), headers);
  assert.deepEqual([other.status, other.body.error!.code], [409, "E_GATEWAY_KEY"]);
  assert.equal((await logged(workspace)).length, 1);

  // Without a key nothing says that it is a repeat: the scorers know it by its digest.
  assert.equal((await send(bytesOf(1))).body.taken, 1);
  assert.equal((await send(bytesOf(1))).body.taken, 1);
  assert.equal((await logged(workspace)).length, 3);
  const { given, taken, known, passedOver } = intake.account();
  assert.deepEqual([given, taken, known, passedOver.refused?.count], [5, 3, 1, 1]);
});

test("many come as lines or as a tar; what is wrong with one costs that one, is told, and the numbers add up", async (t) => {
  const { workspace, intake, send } = await site(t);
  const lines = [
    JSON.stringify({
      key: "a",
      bytes: bytesOf(1).toString("base64"),
      licence: "CC0-1.0",
      eventTimeMs: 1_700_000_000_000,
    }),
    "",
    "nonsense",
    JSON.stringify({ key: "b", bytes: bytesOf(2).toString("base64"), colour: "red" }),
    JSON.stringify({ key: "c" }),
    JSON.stringify({ key: "d", bytes: bytesOf(3).toString("base64"), eventTimeMs: 1_700_000_000 }),
    JSON.stringify({ key: "e", bytes: bytesOf(4, MAX_BYTES + 1).toString("base64") }),
    JSON.stringify({ key: "f", bytes: "A".repeat(200_000) }),
    JSON.stringify({ key: "g", bytes: bytesOf(5).toString("base64") }),
  ].join("\n");
  const told = await send(lines, LINES);
  assert.equal(told.status, 422);
  assert.deepEqual([told.body.taken, told.body.refused], [2, 6]);
  assert.deepEqual(told.body.images!.map(({ key }) => key).sort(), ["a", "g"]);
  assert.deepEqual(told.body.refusals!.map(({ code }) => code).sort(), [
    "E_IMAGE_SIZE",
    "E_IMAGE_SIZE",
    ...Array<string>(4).fill("E_RECORD_SCHEMA"),
  ]);

  const tar = await tarOf([
    { name: "pictures/a.jpg", content: bytesOf(11) },
    { name: "./b.png", content: bytesOf(12) },
    { name: "b.json", content: "{}" },
    { name: ".hidden.jpg", content: bytesOf(13) },
    { name: "large.jpg", content: bytesOf(14, MAX_BYTES + 1) },
  ]);
  const keyed = { ...TAR, "idempotency-key": "shard 9" };
  const many = await send(tar, keyed);
  assert.equal(many.status, 422);
  assert.deepEqual(many.body.images!.map(({ key }) => key).sort(), ["shard 9/b.png", "shard 9/pictures/a.jpg"]);
  assert.deepEqual(many.body.passedOver, { sidecar: 1, hidden: 1 });
  assert.deepEqual(
    many.body.refusals!.map(({ code }) => code),
    ["E_IMAGE_SIZE"],
  );
  const packed = await send(gzipSync(tar), { ...keyed, "content-type": "application/gzip" });
  assert.deepEqual([packed.body.taken, packed.body.known], [0, 2]);
  // One that breaks off: what lies before is in, and known when all of it comes.
  const broken = await send(tar.subarray(0, 1300), { ...TAR, "idempotency-key": "shard 10" });
  assert.deepEqual([broken.status, broken.body.error!.code], [422, "E_SOURCE_READ"]);
  assert.equal((await send(tar, { ...TAR, "idempotency-key": "shard 10" })).body.known, 1);

  const { given, taken, known, passedOver } = intake.account();
  const counted = Object.values(passedOver).reduce((sum, { count }) => sum + count, 0);
  assert.equal(given, taken + known + counted);
  assert.equal((await logged(workspace)).length, taken);
});

test("a place that a sender names is opened only where sources.allow says so; an erased image does not come back", async (t) => {
  const { send } = await site(t);
  const place = { uri: "file:///etc/passwd" };
  const refused = await send(JSON.stringify(place), LINES);
  assert.deepEqual(
    refused.body.refusals!.map(({ code }) => code),
    ["E_IMAGE_REFUSED"],
  );
  assert.equal((await send(bytesOf(1), { "sluice-uri": "file:///etc/passwd" })).body.error!.code, "E_IMAGE_REFUSED");

  const open = await site(t, { sources: { allow: { roots: ["/photographs"] } } });
  const allowed = await open.send(
    `${JSON.stringify(place)}\n${JSON.stringify({ uri: "file:///photographs/a.jpg" })}\n`,
    LINES,
  );
  assert.deepEqual([allowed.body.taken, allowed.body.refused], [1, 1]);
});

test("a token, this machine alone and foreign pages: as `serve`", async (t) => {
  const { intake } = await site(t);
  const open = (options: Partial<GatewayOptions>): Promise<Gateway> => gatewayTo(t, intake, options);
  await assert.rejects(open({ host: "0.0.0.0" }), (error) => {
    assert.ok(isSluiceError(error, "E_USAGE"));
    return /SLUICE_GATEWAY_TOKEN/.test(error.message);
  });
  await assert.rejects(open({ token: "short" }), /at least 16/);
  const guarded = senderTo(await open({ token: TOKEN }));
  const without = await guarded(bytesOf(1));
  assert.equal(without.status, 401);
  assert.match(without.body.error!.message, /Authorization: Bearer/);
  assert.equal((await guarded(bytesOf(1), { authorization: `Bearer ${TOKEN}x` })).status, 401);
  assert.equal((await guarded(bytesOf(1), { authorization: `Bearer ${TOKEN}` })).status, 200);
  const plain = senderTo(await open({}));
  assert.equal((await plain(bytesOf(1), { origin: "http://evil.example" })).status, 403);
  assert.equal((await plain(bytesOf(1), { "content-type": "multipart/form-data; boundary=x" })).status, 415);
  assert.equal((await plain(bytesOf(1), { "content-encoding": "gzip" })).status, 415);
  assert.equal((await plain("")).body.error!.code, "E_IMAGE_EMPTY");
  const large = await plain(bytesOf(1, MAX_BYTES + 1));
  assert.deepEqual([large.status, large.body.error!.code], [413, "E_IMAGE_SIZE"]);
  const soon = await plain(bytesOf(1), { "sluice-event-time": "soon" });
  assert.deepEqual([soon.status, soon.body.error!.code], [400, "E_USAGE"]);
});

test("while the log is slower than the senders they are answered 429 with Retry-After, before they send; what waits is appended together", async (t) => {
  const log = new HeldLog();
  const send = senderTo(await gatewayTo(t, heldIntake(log), { maxInFlightBytes: 350 }));
  const sending = [send(bytesOf(1)), send(bytesOf(2)), send(bytesOf(3))];
  const busy = await (async (): Promise<Answered> => {
    for (;;) {
      // Once three hundred bytes are in hand a fourth finds no room.
      const answered = await send(bytesOf(4), { "sluice-event-time": "x" });
      if (answered.status === 429) return answered;
    }
  })();
  assert.deepEqual([busy.retryAfter, busy.body.error!.code], ["1", "E_GATEWAY_BUSY"]);
  await log.turn();
  await log.turn();
  const offsets = (await Promise.all(sending)).map(({ status, body }) => [status, body.images![0]!.offset]);
  assert.deepEqual(
    offsets.map(([status]) => status),
    [200, 200, 200],
  );
  assert.deepEqual(offsets.map(([, offset]) => offset).sort(), [0, 1, 2]);
  assert.deepEqual(
    log.appends.map(({ length }) => length),
    [1, 2],
  );
});

test("where the log fails the sender is told to send again, and nothing is said to be in", async (t) => {
  const log = new HeldLog();
  const faults: string[] = [];
  const send = senderTo(await gatewayTo(t, heldIntake(log), { onFault: (message) => faults.push(message) }));
  const sending = send(bytesOf(1), { "idempotency-key": "a" });
  await log.turn(new SluiceError("E_LOG_IO", "the broker is away", { retryable: true }));
  const away = await sending;
  assert.deepEqual([away.status, away.retryAfter, away.body.error!.code], [503, "5", "E_LOG_IO"]);
  assert.match(faults[0]!, /the broker is away/);
  const again = send(bytesOf(1), { "idempotency-key": "a" });
  await log.turn();
  assert.deepEqual((await again).body.images![0], { key: "a", partition: 0, offset: 0, known: false });
});

test("while too many wait to be scored, or the stream is paused, nothing is taken", async (t) => {
  const { workspace, intake, waiting } = await site(t);
  let held: string | null = "Paused by anna.";
  const send = senderTo(await gatewayTo(t, intake, { mostWaiting: 2, waiting, held: () => held, nowMs: clock() }));
  const paused = await send(bytesOf(1));
  assert.deepEqual([paused.status, paused.retryAfter], [503, "5"]);
  assert.match(paused.body.error!.message, /anna/);
  held = null;
  assert.equal((await send(bytesOf(1))).status, 200);
  assert.equal((await send(bytesOf(2))).status, 200);
  const full = await send(bytesOf(3));
  assert.deepEqual([full.status, full.body.error!.code], [429, "E_GATEWAY_BUSY"]);
  assert.match(full.body.error!.message, /fewer than 2 images .* found 2/);
  assert.equal((await logged(workspace)).length, 2);
});

/** Each look is later than how many wait is believed. */
function clock(): () => number {
  let nowMs = 0;
  return () => (nowMs += 10_000);
}

test("a sender that asks first is told before it sends; one that goes away costs nothing", async (t) => {
  const { workspace, intake } = await site(t);
  const { port } = await gatewayTo(t, intake, { held: () => "not now" });
  const refused = await new Promise<number>((resolve, reject) => {
    const asking = request({ port, path: "/images", method: "POST", headers: { expect: "100-continue" } });
    asking.on("continue", () => {
      reject(new Error("it was told to go on"));
    });
    asking.on("response", (response) => {
      response.resume();
      resolve(response.statusCode!);
    });
    asking.flushHeaders();
  });
  assert.equal(refused, 503);
  const open = await gatewayTo(t, intake);
  const leaving = request({ port: open.port, path: "/images", method: "POST", headers: { "content-length": "1000" } });
  leaving.on("error", () => undefined);
  await new Promise<unknown>((resolve) => leaving.write(bytesOf(1, 10), resolve));
  leaving.destroy();
  assert.equal((await senderTo(open)(bytesOf(2))).status, 200);
  assert.equal((await logged(workspace)).length, 1);
});

test("of one key that is sent twice at once one image is appended, and the other sending is told its place", async () => {
  const log = new HeldLog();
  const latch: (() => void)[] = [];
  const erased = { size: 0, has: () => false, look: () => new Promise<void>((resolve) => latch.push(resolve)) };
  const intake = heldIntake(log, erased as unknown as ErasedImages);
  const image = { key: "a", bytes: bytesOf(1), uri: null, eventTimeMs: null, licence: null, origin: null };
  const taking = [1, 2].map(() => intake.take({ ...image, traceparent: null }));
  for (const go of latch) go();
  await log.turn();
  const taken = await Promise.all(taking);
  assert.deepEqual(
    taken.map(({ offset, known }) => [offset, known]),
    [
      [0, false],
      [0, true],
    ],
  );
  assert.equal(log.appends.flat().length, 1);
});

test("keys hold in one stream of one log: in another stream nothing is known under them", async (t) => {
  const { workspace, config, send } = await site(t);
  const headers = { "idempotency-key": "a" };
  assert.equal((await send(bytesOf(1), headers)).body.taken, 1);
  assert.equal((await send(bytesOf(1), headers)).body.known, 1);
  const other = { store: workspace.store, config: { ...config, stream: "others" } };
  const told = { nowMs: () => 77, onAppended: () => undefined };
  const { intake } = await openFolderIntake(other, workspace.embedded!, told);
  assert.equal((await senderTo(await gatewayTo(t, intake))(bytesOf(1), headers)).body.taken, 1);
});

test("a packed tar takes as much room as it may unpack to; long names and faults are refused and told in short", async (t) => {
  const log = new HeldLog();
  const gateway = await gatewayTo(t, heldIntake(log), { maxInFlightBytes: 1.5 * MAX_BYTES });
  const send = senderTo(gateway);
  const packed = gzipSync(await tarOf([{ name: "a.jpg", content: bytesOf(1, MAX_BYTES) }]));
  const first = send(packed, TAR);
  while (log.appends.length === 0) await new Promise(setImmediate);
  const second = await send(packed, TAR);
  assert.deepEqual([second.status, second.body.error!.code], [429, "E_GATEWAY_BUSY"]);
  await log.turn();
  assert.equal((await first).body.taken, 1);

  const long = "x".repeat(1001);
  const bytes = bytesOf(1).toString("base64");
  const lines = [{ key: long }, { origin: long }, { licence: long }, { uri: `made://${"x".repeat(4096)}` }];
  const unknown = { bytes, ["y".repeat(50_000)]: 1 };
  const told = await send(
    [...lines.map((one) => ({ bytes, ...one })), unknown].map((one) => JSON.stringify(one)).join("\n"),
    LINES,
  );
  assert.deepEqual([told.body.taken, told.body.refused], [0, 5]);
  assert.ok(JSON.stringify(told.body).length < 5000);
  const tar = await tarOf([{ name: "a.jpg", content: bytesOf(1) }]);
  const composed = await send(tar, { ...TAR, "idempotency-key": "k".repeat(999) });
  assert.deepEqual(
    composed.body.refusals!.map(({ code }) => code),
    ["E_RECORD_SCHEMA"],
  );
});

test("what was taken before a request was refused is told as taken, and a sender that went away as 499", async (t) => {
  const { intake } = await site(t);
  const seen: Observed[] = [];
  const observer = { take: (event: Observed) => seen.push(event), watch: () => undefined };
  const gateway = await gatewayTo(t, intake, { observer });
  const tar = await tarOf([
    { name: "a.jpg", content: bytesOf(1) },
    { name: "b.jpg", content: bytesOf(2) },
  ]);
  assert.equal((await senderTo(gateway)(tar.subarray(0, 1300), TAR)).status, 422);
  const leaving = request({ port: gateway.port, path: "/images", method: "POST", headers: { "content-length": "9" } });
  leaving.on("error", () => undefined);
  await new Promise<unknown>((resolve) => leaving.write(bytesOf(1, 5), resolve));
  leaving.destroy();
  while (seen.length < 2) await new Promise(setImmediate);
  assert.deepEqual(
    seen.map((event) => (event.event === "images.sent" ? [event.status, event.taken] : event)),
    [
      [422, 1],
      [499, 0],
    ],
  );
});
