import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { test } from "node:test";
import { openEmbeddedLog } from "../../connectors/log/embedded/embedded-log.js";
import { eraseFromLog, openLogToErase } from "../../pipelines/erase/erase-log.js";
import { sha256Hex } from "../../schemas/canonical.js";
import { scan, windowsOf } from "../fixtures/byte-scan.js";
import { temporaryFolder } from "../fixtures/temporary-folder.js";

test("images inside their records leave the log's file, also those that it has forgotten; offsets, cursors and the rest stay", async (t) => {
  const root = await temporaryFolder(t);
  const folder = join(root, "log");
  const nowMs = (): number => 1_800_000_000_000;
  const images = [200, 9000, 50_000, 300].map((size) => randomBytes(size));
  const before = await openEmbeddedLog(folder, { exclusive: true, command: "test" });
  await before.ensureTopic("images", 2);
  const record = (value: Buffer | null, uri: string) => ({
    key: null,
    value,
    headers: { "sluice-uri": uri },
    timestampMs: 5,
  });
  await before.append(
    "images",
    0,
    images.map((value, at) => record(value, `made://${at}`)),
  );
  await before.append("images", 1, [record(null, "file:///somewhere")], { name: "source", value: "place" });
  await before.truncate("images", 0, { before: 1 });
  await before.table("gateway keys").put(Buffer.from("key"), Buffer.from("place"));
  const identity = await before.identity("images");
  await before.close();
  // The first was forgotten, the second is known by its bytes, and that of the other partition by its offset.
  const gone = [images[0]!, images[1]!];
  const windows = gone.flatMap((bytes) => windowsOf(bytes));
  assert.deepEqual((await scan(root, windows)).length, 1);

  const log = await openLogToErase(folder, nowMs);
  const digests = new Set(gone.map((bytes) => sha256Hex(bytes)));
  const offsets = new Map([["images/1", new Set([0])]]);
  assert.equal(await eraseFromLog({ log, folder, digests, offsets }), 2);
  assert.deepEqual(await scan(root, windows, ["file:///somewhere"]), []);

  const after = await openLogToErase(folder, nowMs);
  assert.deepEqual(await after.ends("images"), [
    { start: 1, end: 4 },
    { start: 0, end: 1 },
  ]);
  assert.deepEqual([await after.cursor("source"), await after.identity("images")], ["place", identity]);
  const remembered = after.table("gateway keys").get(Buffer.from("key"));
  assert.equal(Buffer.from(remembered ?? "").toString(), "place", "what senders sent before is still known");
  const found = await after.fetch("images", 0, [1, 2, 3]);
  assert.deepEqual(
    found.map(({ headers, value }) => [headers["sluice-uri"], value === null ? null : Buffer.from(value)]),
    [
      ["erased:", null],
      ["made://2", images[2]],
      ["made://3", images[3]],
    ],
  );
  assert.equal(await after.append("images", 0, [record(null, "made://4")]), 4);
  assert.equal(await eraseFromLog({ log: after, folder, digests, offsets }), 0, "done already");
});
