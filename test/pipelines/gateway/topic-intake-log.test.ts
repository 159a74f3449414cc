import assert from "node:assert/strict";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { openEmbeddedLog, type EmbeddedLog } from "../../../connectors/log/embedded/embedded-log.js";
import { Intake, type TakenImage } from "../../../pipelines/gateway/intake.js";
import { TopicIntakeLog } from "../../../pipelines/gateway/topic-intake-log.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

/** Two topics stand in turn for one that is deleted and made anew. */
async function site(t: TestContext) {
  const folder = await temporaryFolder(t);
  const open = async (name: string): Promise<EmbeddedLog> => {
    const log = await openEmbeddedLog(join(folder, name), { exclusive: true, command: "test" });
    t.after(() => log.close());
    return log;
  };
  const [before, after, remembered] = await Promise.all(["before", "after", "remembered"].map(open));
  await before!.ensureTopic("images", 3);
  await after!.ensureTopic("images", 1);
  const standing = { log: before!, lostFrom: Number.POSITIVE_INFINITY };
  const warnings: string[] = [];
  const openIntake = async (): Promise<Intake> => {
    const log = await TopicIntakeLog.open({
      log: {
        identity: (topic) => standing.log.identity(topic),
        append: (...asked) => standing.log.append(...asked),
        ends: async (topic) =>
          (await standing.log.ends(topic)).map(({ start, end }) => ({ start, end: Math.min(end, standing.lostFrom) })),
      },
      stream: "images",
      keys: remembered!.table("keys"),
      onWarning: (message, code) => warnings.push(`${code} ${message}`),
      nowMs: Date.now,
    });
    const bounds = { maxBatchBytes: 1024 * 1024, maxImageBytes: 4000 };
    const told = { erased: null, onAppended: () => undefined, nowMs: () => 1_700_000_000_000 };
    return new Intake({ log, ...bounds, ...told, mayRefer: () => true });
  };
  const remake = (): void => {
    standing.log = after!;
  };
  return { standing, warnings, openIntake, remake };
}

const send = (intake: Intake, key: string): Promise<TakenImage> =>
  intake.take({
    key,
    bytes: Buffer.from(`image of ${key}`),
    uri: null,
    eventTimeMs: null,
    licence: null,
    origin: null,
    traceparent: null,
  });

test("a topic that is made anew while a gateway runs: nothing that is sent meanwhile is answered as taken, it is said, and sent again it goes into the new one", async (t) => {
  const { warnings, openIntake, remake } = await site(t);
  const intake = await openIntake();
  assert.equal((await send(intake, "a")).known, false);
  assert.equal((await send(intake, "a")).known, true);
  remake();
  // The new one has fewer partitions: an append is refused there, or lands there unasked.
  for (const key of ["b", "c", "d", "e"]) {
    if (warnings.length > 0) break;
    await assert.rejects(send(intake, key), (error) => {
      assert.ok(isSluiceError(error, "E_LOG_RECREATED"));
      return error.retryable;
    });
  }
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /^E_LOG_RECREATED .*deleted and made anew.*`sluice topics adopt`/);
  // What the old one had is not known of the new one.
  assert.deepEqual(
    [(await send(intake, "a")).known, (await send(intake, "b")).known, (await send(intake, "b")).known],
    [false, false, true],
  );
  assert.equal(warnings.length, 1);
});

test("a topic that was made anew while no gateway ran is said at the next start, once", async (t) => {
  const { warnings, openIntake, remake } = await site(t);
  await send(await openIntake(), "a");
  await openIntake();
  assert.deepEqual(warnings, []);
  remake();
  await openIntake();
  assert.equal(warnings.length, 1);
  await openIntake();
  assert.equal(warnings.length, 1);
});

test("an image whose place is beyond the log's end is not known: brokers lost it, and it is put there again", async (t) => {
  const { standing, openIntake } = await site(t);
  const intake = await openIntake();
  const { partition, offset } = await send(intake, "a");
  assert.deepEqual(await send(intake, "a"), { partition, offset, known: true });
  standing.lostFrom = offset;
  assert.equal((await send(await openIntake(), "a")).known, false);
});
