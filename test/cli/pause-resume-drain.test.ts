import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CommandFolder } from "../fixtures/command-folder.js";
import { writePictures } from "../fixtures/pictures.js";

interface Status {
  readonly control: { readonly want: string; readonly reason: string | null; readonly number: number } | null;
  readonly teachers: readonly { readonly frontier: readonly { readonly origin: number; readonly end: number }[] }[];
}

const archivedIn = ({ teachers }: Status): number =>
  teachers.flatMap(({ frontier }) => frontier).reduce((sum, { origin, end }) => sum + end - origin, 0);

test("a paused stream is not scored, which is said at the start and in status; resumed, it is; drained, the run ends", async (t) => {
  const place = await CommandFolder.make({ images: 24, datasets: "[{ name: flowers, select: { k: 3, p: 2 } }]" }, t);
  assert.equal((await place.json<{ counts: { scored: number } }>("ingest", "pictures")).counts.scored, 24);
  const add = (name: string, seed: number): Promise<unknown> =>
    writePictures(join(place.path, "pictures", name), { images: 24 }, seed);
  const empty = await place.json<{ control: { want: string } }>("pause", "--reason", "the disk is moved");
  assert.equal(empty.control.want, "pause");

  await add("second", 2);
  const running = place.begin("ingest", "pictures", "--follow", "--rescan", "1");
  await until(() => Promise.resolve(running.err().includes("Paused by")));
  let paused = await place.json<Status>("status");
  for (let looks = 0; looks < 10; looks++) {
    await sleep(150);
    paused = await place.json<Status>("status");
  }
  assert.equal(archivedIn(paused), 24, "nothing more was scored");
  assert.deepEqual([paused.control?.want, paused.control?.reason], ["pause", "the disk is moved"]);
  assert.match(
    (await place.sluice("status")).out,
    /Paused by \S+ at .*: the disk is moved\. `sluice resume` goes on\./,
  );

  assert.match((await place.sluice("resume")).out, /^Set going by /);
  await until(async () => archivedIn(await place.json<Status>("status")) >= 48);

  // What comes before the drain is noticed is scored, and published.
  await add("third", 3);
  await until(async () => archivedIn(await place.json<Status>("status")) >= 72);
  assert.match((await place.sluice("drain")).out, /^Asked to drain by .* and end\.$/m);
  const { code, out, err } = await running.ended;
  assert.equal(code, 0, err);
  assert.match(err, /Paused by .*: the disk is moved\. Nothing is taken or scored until `sluice resume`\./);
  assert.match(err, /What the log has is scored, and then this ends\./);
  assert.match(out, /48/);

  const after = await place.json<{ counts: { scored: number } }>("ingest", "pictures");
  assert.equal(after.counts.scored, 0, "a drain is of those who ran then: who starts later runs");
});

async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    if (await isSo()) return;
    await sleep(100);
  }
  assert.fail("it did not come to that");
}
