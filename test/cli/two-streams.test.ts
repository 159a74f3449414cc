import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { test } from "node:test";
import { CommandFolder, ENGINE, type Ingested } from "../fixtures/command-folder.js";

test("two streams of one data folder have the same images, each with scores and kept bytes of its own", async (t) => {
  const place = await CommandFolder.make({ images: 12, datasets: "[{ name: few, select: { k: 2, p: 1 } }]" }, t);
  const keep = ["--set", "bytes=keep", "--set", "retainBytes=all"];
  await place.ingest(...keep, "--no-publish");
  const other = ["--set", "stream=other", "--set", "datasets=[{ name: many, select: { k: 2, p: 1 } }]"];
  const { counts } = await place.json<Ingested>("ingest", "pictures", ...ENGINE, ...keep, ...other, "--allow-starving");
  assert.deepEqual([counts.scored, counts.copied, counts.quarantined], [12, 0, 0]);
  // A collection over the one stream looks at nothing that the other one needs.
  const [teacher] = await readdir(place.stored("packs"));
  const packs = await readdir(place.stored("packs", teacher!), { recursive: true });
  for (const stream of ["images", "other"])
    assert.ok(
      packs.some((name) => name.startsWith(`${stream}/`) && name.endsWith(".pack")),
      `${stream}: ${packs.join(", ")}`,
    );
});
