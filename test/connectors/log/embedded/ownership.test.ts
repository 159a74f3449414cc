import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openEmbeddedLog } from "../../../../connectors/log/embedded/embedded-log.js";
import { LmdbFolder } from "../../../../connectors/log/embedded/lmdb-folder.js";
import { takeOwnership, type Holder } from "../../../../connectors/log/embedded/ownership.js";
import { ownIdentity, processStart } from "../../../../connectors/process-identity.js";
import { isSluiceError } from "../../../../schemas/errors.js";
import { text } from "../../../conformance/log.js";
import { LineProcess } from "../../../fixtures/line-process.js";
import { temporaryFolder } from "../../../fixtures/temporary-folder.js";

const LOCK_PROGRAM = fileURLToPath(new URL("./lock-program.js", import.meta.url));
const WRITER = { exclusive: true, command: "test" } as const;

test("of processes that open at once exactly one wins, and the others learn who", async (t) => {
  const folder = await temporaryFolder(t);
  const racers = Array.from({ length: 3 }, () => new LineProcess(t, LOCK_PROGRAM, [folder]));
  for (let round = 0; round < 20; round++) {
    for (const racer of racers) racer.say("open");
    const answers = await Promise.all(racers.map((racer) => racer.hear()));
    const winners = racers.filter((_, i) => answers[i] === "won");
    assert.equal(winners.length, 1, `round ${round}: ${answers.join(", ")}`);
    for (const answer of answers)
      assert.ok(answer === "won" || answer === `refused ${winners[0]!.pid}`, answer ?? "ended");
    winners[0]!.say("close");
    assert.equal(await winners[0]!.hear(), "closed");
  }
});

test("the refusal names the holder; a killed holder's lock does not outlive it", async (t) => {
  const folder = await temporaryFolder(t);
  const holder = new LineProcess(t, LOCK_PROGRAM, [folder]);
  holder.say("open");
  assert.equal(await holder.hear(), "won");
  await assert.rejects(openEmbeddedLog(folder, WRITER), (error) => {
    assert.ok(isSluiceError(error, "E_LOCKED"));
    assert.equal(error.context.pid, holder.pid);
    assert.equal(error.context.command, "lock");
    const sinceMs = error.context.sinceMs as number;
    assert.ok(Math.abs(Date.now() - sinceMs) < 3_600_000);
    for (const said of [String(holder.pid), "`lock`", new Date(sinceMs).toISOString(), folder]) {
      assert.ok(error.message.includes(said), `${error.message} does not say ${said}`);
    }
    return true;
  });
  await holder.kill();
  const log = await openEmbeddedLog(folder, WRITER);
  await log.close();
});

test("one process cannot open a folder for writing twice, but again once it has closed it", async (t) => {
  const folder = await temporaryFolder(t);
  const log = await openEmbeddedLog(folder, WRITER);
  await assert.rejects(openEmbeddedLog(folder, WRITER), (error) => isSluiceError(error, "E_LOCKED"));
  await log.ensureTopic("images", 1);
  await log.append("images", 0, [text("still works")]);
  await log.close();
  await (await openEmbeddedLog(folder, WRITER)).close();
});

test("a pid that is in use again does not keep a dead holder's lock alive", async (t) => {
  const folder = await temporaryFolder(t);
  await plant(folder, { startedAt: "not when this process started" });
  const log = await openEmbeddedLog(folder, WRITER);
  assert.equal(log.holder()?.holder.command, "test");
  await log.close();
});

test("a holder elsewhere is alive while its beat goes on, and dead when it has stopped", async (t) => {
  const folder = await temporaryFolder(t);
  await plant(folder, { place: "another container" });
  await writeFile(join(folder, "owner.beat"), "");
  const beating = setInterval(() => void utimes(join(folder, "owner.beat"), new Date(), new Date()), 20);
  await assert.rejects(take(folder), (error) => isSluiceError(error, "E_LOCKED"));
  clearInterval(beating);
  const { files, ownership } = await take(folder);
  ownership.release();
  await files.close();
});

test("whoever lost the folder to another cannot write any more", async (t) => {
  const folder = await temporaryFolder(t);
  const log = await openEmbeddedLog(folder, WRITER);
  await log.ensureTopic("images", 1);
  await plant(folder, { nonce: "the one that took over" });
  await assert.rejects(log.append("images", 0, [text("a")]), (error) => isSluiceError(error, "E_LOCKED"));
  await assert.rejects(log.table("t").put(Buffer.from("a"), Buffer.from("a")), (error) =>
    isSluiceError(error, "E_LOCKED"),
  );
  assert.deepEqual(await log.ends("images"), [{ start: 0, end: 0 }]);
  await log.close();
  const files = LmdbFolder.open(folder, true);
  assert.match(
    files.table("meta")!.get(Buffer.from("owner"))!.toString(),
    /the one that took over/,
    "closing took it away",
  );
  await files.close();
});

test("a process's start is its own: the same while it lives, none once it is dead", async (t) => {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  t.after(() => child.kill("SIGKILL"));
  const pid = child.pid!;
  const start = processStart(pid);
  assert.notEqual(start, null);
  assert.equal(processStart(pid), start);
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
  assert.equal(processStart(pid), null);
  assert.equal(ownIdentity().startedAt, processStart(process.pid));
});

/** Writes a holder into the folder as if another process had. */
async function plant(folder: string, holder: Partial<Holder>): Promise<void> {
  const files = LmdbFolder.open(folder, false);
  const whole: Holder = { ...ownIdentity(), command: "planted", sinceMs: 0, nonce: "planted", ...holder };
  files.writeNow(() => {
    files.table("meta")!.put(Buffer.from("owner"), Buffer.from(JSON.stringify(whole)));
  });
  await files.close();
}

async function take(
  folder: string,
): Promise<{ files: LmdbFolder; ownership: Awaited<ReturnType<typeof takeOwnership>> }> {
  const files = LmdbFolder.open(folder, false);
  try {
    return { files, ownership: await takeOwnership(files, files.table("meta")!, "test", { watchMs: 400 }) };
  } catch (error) {
    await files.close();
    throw error;
  }
}
