import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openEmbeddedLog, type EmbeddedLog } from "../../../../connectors/log/embedded/embedded-log.js";
import { isSluiceError } from "../../../../schemas/errors.js";
import { batchesOf, collect, logConformance, text, textOf } from "../../../conformance/log.js";
import { LineProcess } from "../../../fixtures/line-process.js";
import { mountedFolder } from "../../../fixtures/mounted-folder.js";
import { temporaryFolder } from "../../../fixtures/temporary-folder.js";

const WRITER = { exclusive: true, command: "test" } as const;
const APPEND_PROGRAM = fileURLToPath(new URL("./append-program.js", import.meta.url));

const shared = mkdtempSync(join(tmpdir(), "sluice-log-"));
logConformance({
  name: "embedded",
  open: () => openEmbeddedLog(shared, WRITER),
  afterwards: () => rm(shared, { recursive: true, force: true }),
});

test("times of arrival never fall, outlive the process, and are forgotten with their records", async (t) => {
  const folder = await temporaryFolder(t);
  let now = 1_000;
  const writer = { ...WRITER, nowMs: () => now };
  const log = await openEmbeddedLog(folder, writer);
  await log.ensureTopic("images", 1);
  const appendAt = async (timeMs: number, into = log): Promise<number> => {
    now = timeMs;
    return into.append("images", 0, [text("a"), text("b")]);
  };
  await appendAt(1_000);
  await appendAt(2_000);
  // The clock is set back.
  await appendAt(500);
  await appendAt(3_000);
  assert.deepEqual(
    await Promise.all([0, 1_000, 1_001, 2_000, 2_001, 3_000, 3_001].map((at) => log.offsetsAt("images", at))),
    // What came behind the clock's setting back stands a millisecond later, and is told from what came before.
    [[0], [0], [2], [2], [4], [6], [8]],
  );
  await log.truncate("images", 0, { before: 3 });
  assert.deepEqual(await Promise.all([0, 1_500, 2_500].map((at) => log.offsetsAt("images", at))), [[3], [3], [6]]);
  await log.close();
  const again = await openEmbeddedLog(folder, writer);
  assert.equal(await appendAt(2_500, again), 8);
  assert.deepEqual(await Promise.all([2_500, 3_001, 3_002].map((at) => again.offsetsAt("images", at))), [
    [6],
    [8],
    [10],
  ]);
  await again.close();
});

test("records before a truncation are gone, their offsets stay a hole", async (t) => {
  const log = await openEmbeddedLog(await temporaryFolder(t), WRITER);
  await log.ensureTopic("images", 2);
  for (const partition of [0, 1])
    await log.append(
      "images",
      partition,
      Array.from({ length: 25 }, (_, i) => text(String(i))),
    );
  await log.truncate("images", 0, { before: 20 });
  assert.deepEqual(await log.ends("images"), [
    { start: 20, end: 25 },
    { start: 0, end: 25 },
  ]);
  const [batch] = await batchesOf(log, "images", 3, { maxRecords: 100, maxBytes: 1e6, until: 25 });
  assert.deepEqual(batch?.records.map(textOf), ["20", "21", "22", "23", "24"]);
  assert.equal(batch.records[0]?.offset, 20);
  assert.deepEqual(await log.fetch("images", 0, [3, 20]), (await collect(log, "images", 20, 1)).slice(0, 1));
  assert.equal((await collect(log, "images", 0, 25, 1)).length, 25);

  await log.truncate("images", 0, { before: 1_000 });
  assert.deepEqual((await log.ends("images"))[0], { start: 25, end: 25 }, "nothing past the end is forgotten");
  assert.deepEqual(await batchesOf(log, "images", 3, { maxRecords: 1, maxBytes: 1, until: 25 }), []);
  assert.equal(await log.append("images", 0, [text("next")]), 25);
  await log.close();
});

test("a truncation of more records than one transaction takes is complete", async (t) => {
  const log = await openEmbeddedLog(await temporaryFolder(t), WRITER);
  await log.ensureTopic("images", 1);
  for (let i = 0; i < 5; i++)
    await log.append(
      "images",
      0,
      Array.from({ length: 5_000 }, () => text("x")),
    );
  await log.truncate("images", 0, { before: 24_999 });
  assert.deepEqual(await log.ends("images"), [{ start: 24_999, end: 25_000 }]);
  assert.equal((await collect(log, "images", 0, 1))[0]?.offset, 24_999);
  await log.close();
});

test("cursor, table and records agree after kill -9 at any moment", async (t) => {
  const folder = await temporaryFolder(t);
  let acknowledged = 0;
  for (let round = 0; round < 8; round++) {
    const child = new LineProcess(t, APPEND_PROGRAM, [folder]);
    for (let line = 0; line < 2 + round * 3; line++) acknowledged = Number(await child.hear());
    await child.kill();

    const log = await openEmbeddedLog(folder, WRITER);
    const [ends] = await log.ends("images");
    assert.equal(await log.cursor("source"), String(ends?.end));
    assert.equal(Buffer.from(log.table("seen").get(Buffer.from("count")) ?? "").toString(), String(ends?.end));
    assert.ok(ends!.end >= acknowledged, `${acknowledged} were acknowledged, ${ends!.end} are there`);
    const records = await collect(log, "images", 0, ends!.end);
    assert.deepEqual(
      records.map(textOf),
      Array.from({ length: ends!.end }, (_, i) => String(i)),
    );
    await log.close();
  }
});

test("a transaction that throws leaves nothing behind", async (t) => {
  const log = await openEmbeddedLog(await temporaryFolder(t), WRITER);
  const table = log.table("state");
  await log.ensureTopic("images", 1);
  await table.put(bytes("kept"), bytes("1"));
  const failing = log.transaction((transaction) => {
    transaction.append("images", 0, [text("a")], { name: "c", value: "1" });
    transaction.commit("g", "images", 0, 1);
    transaction.put(table, bytes("new"), bytes("1"));
    transaction.delete(table, bytes("kept"));
    assert.deepEqual(transaction.get(table, bytes("new")), bytes("1"), "a transaction sees its own writes");
    throw new RangeError("no");
  });
  const beside = log.append("images", 0, [text("b")]);
  await assert.rejects(failing, new RangeError("no"));
  assert.equal(await beside, 0);
  assert.equal(await log.cursor("c"), null);
  assert.equal(await log.committed("g", "images", 0), null);
  assert.equal(table.get(bytes("new")), undefined);
  assert.deepEqual(table.get(bytes("kept")), bytes("1"));
  await log.close();
});

test("a log opened read-only looks on beside the writer and cannot write", async (t) => {
  const folder = await temporaryFolder(t);
  await rejects("E_LOG_IO", openEmbeddedLog(folder, { exclusive: false }));
  const log = await openEmbeddedLog(folder, WRITER);
  await log.ensureTopic("images", 1);
  await log.append("images", 0, [text("a")]);
  const other = new LineProcess(t, fileURLToPath(new URL("./look-program.js", import.meta.url)), [folder]);
  assert.equal(await other.hear(), `holder ${process.pid} test alive, end 1, cursor null, write E_LOG_IO`);
  other.say("tail");
  assert.equal(await other.hear(), "a");
  // Grown well past the map that the other process has opened.
  await log.append(
    "images",
    0,
    Array.from({ length: 2_000 }, (_, i) => ({ ...text(`b${i}`), headers: { pad: "x".repeat(5_000) } })),
  );
  await log.append("images", 0, [text("last")]);
  let line: string | null;
  while ((line = await other.hear()) !== "last") assert.match(line ?? "", /^b\d+$/);
  await log.close();
});

test("a closed log says so, and ends who still waits", async (t) => {
  const log = await openEmbeddedLog(await temporaryFolder(t), WRITER);
  await log.ensureTopic("images", 1);
  const waiting = batchesOf(log, "images", 0, { maxRecords: 1, maxBytes: 1 });
  await new Promise((resolve) => setImmediate(resolve));
  await log.close();
  await rejects("E_LOG_IO", waiting);
  await rejects("E_LOG_IO", log.append("images", 0, [text("a")]));
  await log.close();
});

test("a full disk is said to be full; cursor and records still agree, and room given back is used", async (t) => {
  const folder = await mountedFolder(t, "size=3m");
  if (folder === null) return;
  let log = await openEmbeddedLog(folder, WRITER);
  await log.ensureTopic("images", 1);
  const records = Array.from({ length: 5 }, () => ({ ...text(""), value: Buffer.alloc(50_000, 1) }));
  let kept = 0;
  const filling = async (): Promise<void> => {
    for (;;) {
      await log.append("images", 0, records, { name: "source", value: String(kept + 5) });
      kept += 5;
    }
  };
  for (let again = 0; again < 3; again++) {
    await assert.rejects(filling(), (error) => isSluiceError(error, "E_LOG_IO") && error.context.noRoom === true);
  }
  assert.ok(kept > 0);
  for (let opened = 0; opened < 2; opened++) {
    assert.deepEqual(await log.ends("images"), [{ start: 0, end: kept }]);
    assert.equal(await log.cursor("source"), String(kept));
    assert.equal((await collect(log, "images", 0, kept)).length, kept);
    await log.close();
    log = await openEmbeddedLog(folder, WRITER);
  }
  await log.truncate("images", 0, { before: kept });
  // LMDB gives the pages of one transaction out again in the one after the next.
  assert.equal(await log.append("images", 0, [text("small")]), kept);
  assert.equal(await log.append("images", 0, records), kept + 1);
  await log.close();
});

test("names of any length and content keep apart", async (t) => {
  const log = await openEmbeddedLog(await temporaryFolder(t), WRITER);
  const names = ["", "a", 'a","b', "a/b", "ä".repeat(3_000), `${"ä".repeat(3_000)}2`];
  for (const [i, name] of names.entries()) {
    await log.ensureTopic(name, 1);
    await log.append(name, 0, [text(name)], { name, value: String(i) });
  }
  for (const [i, name] of names.entries()) {
    assert.equal(await log.cursor(name), String(i));
    assert.deepEqual((await collect(log, name, 0, 1)).map(textOf), [name]);
  }
  await log.close();
});

test("reading and appending much more than is held keeps anonymous memory flat", async (t) => {
  if (process.platform !== "linux") {
    t.skip("reads /proc/self/status, which only Linux has");
    return;
  }
  const log = await openEmbeddedLog(await temporaryFolder(t), WRITER);
  await log.ensureTopic("images", 1);
  await pass(log, 20);
  const before = await anonymousBytes();
  await pass(log, 200);
  const grown = (await anonymousBytes()) - before;
  assert.ok(grown < 64e6, `400 MB went through, anonymous memory grew by ${(grown / 1e6).toFixed(0)} MB`);
  await log.close();
});

/** Appends `batches` of 1 MB and reads them. */
async function pass(log: EmbeddedLog, batches: number): Promise<void> {
  const [ends] = await log.ends("images");
  const record = { ...text(""), value: Buffer.alloc(50_000, 1) };
  for (let i = 0; i < batches; i++)
    await log.append(
      "images",
      0,
      Array.from({ length: 20 }, () => record),
    );
  let bytesRead = 0;
  await log.consume(
    "images",
    "memory",
    async (assignment) => {
      const options = { maxRecords: 100, maxBytes: 4e6, until: ends!.end + batches * 20 };
      for await (const batch of assignment.read(ends!.end, options)) {
        for (const { value } of batch.records) bytesRead += value!.length;
      }
    },
    new AbortController().signal,
  );
  assert.equal(bytesRead, batches * 1e6);
}

async function anonymousBytes(): Promise<number> {
  const { readFile } = await import("node:fs/promises");
  return Number(/RssAnon:\s+(\d+)/.exec(await readFile("/proc/self/status", "utf8"))![1]) * 1024;
}

function bytes(value: string): Uint8Array {
  return Buffer.from(value);
}

async function rejects(code: Parameters<typeof isSluiceError>[1], promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error) => isSluiceError(error, code));
}
