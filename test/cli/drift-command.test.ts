import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import sharp from "sharp";
import type { TeacherStatus } from "../../pipelines/status.js";
import type { Manifest } from "../../schemas/manifest.js";
import { CommandFolder } from "../fixtures/command-folder.js";

interface Seen {
  readonly teachers: readonly TeacherStatus[];
}

test("a version says how what came since the one before differs, and status warns beyond the limits; without `drift` nobody looks", async (t) => {
  const place = await CommandFolder.make(
    {
      images: 60,
      datasets: "[{ name: watched, select: { k: 9, p: 1 }, drift: {} }, { name: other, select: { k: 9, p: 1 } }]",
    },
    t,
  );
  const ingest = async (): Promise<void> => {
    const { code, err } = await place.sluice("ingest", "pictures");
    assert.equal(code, 0, err);
  };
  const manifest = (name: string): Promise<Manifest> => place.json<Manifest>("versions", "show", `${name}/latest`);
  await ingest();
  assert.equal((await manifest("watched")).provenance.drift, undefined);
  // Pictures of one kind alone.
  await mkdir(join(place.path, "pictures", "white"));
  for (let seed = 0; seed < 80; seed++) {
    const background = { r: 250, g: 250, b: 170 + seed };
    await sharp({ create: { width: 20, height: 18, channels: 3, background } })
      .png()
      .toFile(join(place.path, "pictures", "white", `${seed}.png`));
  }
  await ingest();
  const { drift } = (await manifest("watched")).provenance;
  assert.deepEqual([drift?.since, drift?.rowsNow, drift?.rowsBefore], [1, 80, 60]);
  assert.equal((await manifest("other")).provenance.drift, undefined);
  const { teachers } = await place.json<Seen>("status");
  const [watched, other] = teachers[0]!.datasets;
  assert.ok(watched!.drift!.beyond.includes("psi"), JSON.stringify(drift));
  assert.equal(other!.drift, null);
  const { out } = await place.sluice("status");
  assert.match(
    out,
    /^ {4}drift +warning: PSI \d\.\d\d, KS \d\.\d\d of 80 looked at since version 1, PSI.* beyond the dataset's limits: \S.* to \d+\.\d %/m,
  );
  assert.match((await place.sluice("versions", "show", "watched/latest")).out, /^ {2}drift +PSI/m);
  // Another version of the same images tells of the same drift.
  await place.sluice("datasets", "set", "watched", "k=7");
  assert.equal((await place.json<{ outcome: string }>("rebuild", "watched")).outcome, "created");
  assert.deepEqual((await manifest("watched")).provenance.drift, drift);
  assert.ok((await place.json<Seen>("status")).teachers[0]!.datasets[0]!.drift!.beyond.includes("psi"));
  // The limits are no part of what a version is.
  await place.sluice("datasets", "set", "watched", "drift={psi: 9, ks: 1}");
  assert.equal((await place.json<{ outcome: string }>("rebuild", "watched")).outcome, "unchanged");
  assert.deepEqual((await place.json<Seen>("status")).teachers[0]!.datasets[0]!.drift!.beyond, []);
});
