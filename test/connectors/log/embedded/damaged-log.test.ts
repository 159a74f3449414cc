import assert from "node:assert/strict";
import { cp, mkdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { openEmbeddedLog, type EmbeddedLog } from "../../../../connectors/log/embedded/embedded-log.js";
import { Salvage } from "../../../../connectors/log/embedded/salvage.js";
import { walkLogFile } from "../../../../connectors/log/embedded/walk-log-file.js";
import { uniform } from "../../../fixtures/seeded-weights.js";
import { isSluiceError } from "../../../../schemas/errors.js";
import { collect, text, textOf } from "../../../conformance/log.js";
import { temporaryFolder } from "../../../fixtures/temporary-folder.js";

const WRITER = { exclusive: true, command: "test" } as const;
const PAGE_BYTES = 4096;

/** Small and large records, cut and appended again, so that the file has free pages, stale ones and values in pages of their own. */
async function writeLog(folder: string): Promise<readonly string[]> {
  const log = await openEmbeddedLog(folder, WRITER);
  await log.ensureTopic("images", 1);
  const values: string[] = [];
  for (let round = 0; round < 12; round++) {
    const group = Array.from({ length: 40 }, (_, at) => `${round}/${at} ${"x".repeat(at % 10 === 0 ? 9_000 : 150)}`);
    await log.append("images", 0, group.map(text), { name: "source", value: String(round) });
    values.push(...group);
    await log.truncate("images", 0, { before: round * 20 });
  }
  await log.close();
  return values;
}

async function readAll(log: EmbeddedLog): Promise<{ start: number; values: string[]; cursor: string | null }> {
  const [{ start, end } = { start: 0, end: 0 }] = await log.ends("images");
  const records = await collect(log, "images", start, end - start);
  return { start, values: records.map(textOf), cursor: await log.cursor("source") };
}

test("any damage of the file is found before lmdb dies of it, or as it is read, or changes nothing", async (t) => {
  const root = await temporaryFolder(t);
  const whole = join(root, "whole");
  const values = await writeLog(whole);
  const bytes = await readFile(join(whole, "data.mdb"));
  const next = uniform(11);
  const pages = bytes.length / PAGE_BYTES;
  const damages: ((copy: Buffer) => Buffer)[] = [];
  const flip = (from: number, length: number): void => {
    const at = from + Math.floor(next() * length);
    const bit = 1 << Math.floor(next() * 8);
    damages.push((copy) => {
      copy[at]! ^= bit;
      return copy;
    });
  };
  for (let trial = 0; trial < 40; trial++) flip((trial % 2) * PAGE_BYTES, 168);
  for (let trial = 0; trial < 80; trial++) flip(Math.floor(next() * pages) * PAGE_BYTES, 64);
  for (let trial = 0; trial < 30; trial++) flip(0, bytes.length);
  for (const keep of [0, 100, 4096, 8191, Math.floor(bytes.length / 2), bytes.length - 1])
    damages.push((copy) => copy.subarray(0, keep));
  for (const at of [0, 1, 5, Math.floor(pages / 2)])
    damages.push((copy) => copy.fill(0x5a, at * PAGE_BYTES, (at + 1) * PAGE_BYTES));
  const seen = { found: 0, harmless: 0 };
  for (const [trial, damage] of damages.entries()) {
    const folder = join(root, String(trial));
    await cp(whole, folder, { recursive: true });
    await writeFile(join(folder, "data.mdb"), damage(Buffer.from(bytes)));
    for (const options of [{ exclusive: false }, WRITER] as const) {
      try {
        const log = await openEmbeddedLog(folder, options);
        try {
          assert.deepEqual(await readAll(log), { start: 220, values: values.slice(220), cursor: "11" });
          seen.harmless++;
        } finally {
          await log.close();
        }
      } catch (error) {
        if (!isSluiceError(error, "E_LOG_CORRUPT")) throw error;
        assert.match(error.message, /data\.mdb.*`sluice log rebuild`/);
        seen.found++;
      }
    }
    await rm(folder, { recursive: true });
  }
  assert.ok(seen.found > 60 && seen.harmless > 30, JSON.stringify(seen));
});

test("a log that was not closed is walked, and is sound", async (t) => {
  const folder = await temporaryFolder(t);
  await writeLog(folder);
  await rm(join(folder, "standing.json"));
  const walked = walkLogFile(folder, { values: true });
  assert.ok(walked.entries > 260 && walked.pages > 10, JSON.stringify(walked));
  const log = await openEmbeddedLog(folder, WRITER);
  assert.equal((await readAll(log)).start, 220);
  await log.close();
});

test("of a damaged file every record that is as it was written can be had, and cursors only with all of them", async (t) => {
  const root = await temporaryFolder(t);
  const folder = join(root, "log");
  const values = await writeLog(folder);
  const salvaged = (): { values: string[]; end: number | undefined; cursor: string | undefined } => {
    const salvage = Salvage.of(folder, "images")!;
    try {
      const all = [...salvage.records(0, 220, 1_000)].map(textOf);
      return { values: all, end: salvage.partitions.get(0)?.end, cursor: salvage.cursors?.get("source") };
    } finally {
      salvage.close();
    }
  };
  assert.deepEqual(salvaged(), { values: values.slice(220), end: 480, cursor: "11" });
  // Both meta pages: nothing leads anywhere any more.
  const bytes = await readFile(join(folder, "data.mdb"));
  await writeFile(join(folder, "data.mdb"), Buffer.from(bytes).fill(0, 0, 2 * PAGE_BYTES));
  assert.deepEqual(salvaged(), { values: values.slice(220), end: 480, cursor: "11" });
  await truncate(join(folder, "data.mdb"), bytes.length / 2);
  const half = salvaged();
  assert.ok(half.values.every((value) => values.includes(value)));
  assert.equal(Salvage.of(join(root, "none"), "images"), null);
});

test("a file that is gone or empty is no new log where there was one", async (t) => {
  const folder = await temporaryFolder(t);
  await writeLog(folder);
  await truncate(join(folder, "data.mdb"), 0);
  await assert.rejects(openEmbeddedLog(folder, WRITER), (error) => isSluiceError(error, "E_LOG_CORRUPT"));
  await rm(join(folder, "data.mdb"));
  await assert.rejects(openEmbeddedLog(folder, WRITER), (error) => isSluiceError(error, "E_LOG_CORRUPT"));
  const other = join(folder, "other");
  await mkdir(other);
  const log = await openEmbeddedLog(other, WRITER);
  await log.close();
  assert.ok((await stat(join(other, "standing.json"))).size > 0);
});
