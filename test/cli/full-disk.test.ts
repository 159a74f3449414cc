import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import sharp from "sharp";
import { CommandFolder, ENGINE, type Ingested } from "../fixtures/command-folder.js";
import { mountedFolder } from "../fixtures/mounted-folder.js";
import { uniform } from "../fixtures/seeded-weights.js";

const IMAGES = 60;

/** Pictures of noise, some 11 KB each: nothing of them packs smaller. */
async function writeNoise(folder: string): Promise<void> {
  await mkdir(folder);
  for (let index = 0; index < IMAGES; index++) {
    const next = uniform(index + 1);
    const pixels = Uint8Array.from({ length: 60 * 60 * 3 }, () => Math.floor(next() * 256));
    const picture = sharp(pixels, { raw: { width: 60, height: 60, channels: 3 } });
    await writeFile(join(folder, `${index}.png`), await picture.png().toBuffer());
  }
}

for (const size of ["350k", "700k"]) {
  test(`an ingest whose disk of ${size} fills up says so, loses nothing, and goes on once there is room`, async (t) => {
    const mounted = await mountedFolder(t, `size=${size}`);
    if (mounted === null) return;
    const place = await CommandFolder.make({ images: 1 }, t);
    await writeNoise(join(place.path, "noise"));
    const settings = ["--k", "40", "--p", "1", "--set", "bytes=keep", "--set", "archive.segmentRecords=8"];
    const ingest = ["ingest", "noise", "--teacher", "teacher", ...ENGINE, ...settings];
    const data = ["--data", join(mounted, "data")];

    const full = await place.sluice(...ingest, ...data);
    assert.equal(full.code, 1);
    assert.match(
      full.err,
      /^error E_STORE_FULL: Expected room for .*, found none \(ENOSPC\).*free space and run again\.$/m,
    );
    assert.equal((await place.sluice("versions", "list", ...data)).out.includes("default"), false, "no half a version");

    execFileSync("mount", ["-o", "remount,size=64m", mounted]);
    const rest = await place.json<Ingested>(...ingest, ...data);
    assert.ok(rest.counts.scored < IMAGES, "what was archived before is not scored again");
    await place.json("versions", "verify", "latest", ...data);
    const shown = await place.json<{ totals: { records: { in: number; scored: number } } }>(
      "versions",
      "show",
      "latest",
      ...data,
    );
    assert.deepEqual([shown.totals.records.in, shown.totals.records.scored], [IMAGES, IMAGES]);
    const elsewhere = await place.json<Ingested>(...ingest);
    assert.equal(rest.published[0].id, elsewhere.published[0].id, "the version that a disk with room gives");
  });
}
