import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { openUri } from "../../../connectors/source/open-uri.js";
import { openFilesystemStore } from "../../../connectors/store/filesystem/filesystem-store.js";
import { sameClasses } from "../../../operators/select/class-map.js";
import { saidExamples } from "../../../pipelines/training/said-examples.js";
import { sha256Hex } from "../../../schemas/canonical.js";
import { CommandFolder } from "../../fixtures/command-folder.js";

interface Row {
  readonly sha256: string;
  readonly uri: string;
  readonly class: string;
}

test("images that people said are of a class join the labelled ones, with their bytes, as long as that stands", async (t) => {
  const place = await CommandFolder.make(
    { images: 20, datasets: "[{ name: flowers, select: { k: 5, p: 1 }, reserve: 2 }]" },
    t,
  );
  const sluice = async (...args: string[]): Promise<string> => {
    const { code, out, err } = await place.sluice(...args);
    assert.equal(code, 0, err);
    return out;
  };
  await sluice("ingest", "pictures", "--set", "bytes=keep");
  const { rows } = JSON.parse(await sluice("audit", "latest", "--rows", "8", "--json")) as { rows: Row[] };
  const [a, b, c, d, e, f] = rows.map(({ sha256 }) => sha256) as [string, string, string, string, string, string];
  await sluice("label", "is", "class-3", a, b, c, d, e);
  await sluice("label", "none", b);
  await sluice("label", "not", "class-3", c);
  await sluice("label", "not", "class-4", d);
  await sluice("label", "not", "class-1", f);
  await sluice("label", "is", "class-7", e);
  await sluice("label", "is", "class-2", "0".repeat(64));
  // Bytes that packs keep need no source.
  await rm(join(place.path, "pictures"), { recursive: true });

  const labels = Array.from({ length: 10 }, (_, index) => `class-${index}`);
  const store = await openFilesystemStore(place.stored());
  t.after(() => store.close());
  const joined = async (without: readonly string[]): Promise<(string | number)[][]> => {
    const found: (string | number)[][] = [];
    for await (const { label, uri, bytes } of saidExamples({
      store,
      stream: "images",
      opener: openUri(),
      nowMs: () => 0,
      teacher: { labels },
      map: sameClasses(labels),
      without: () => Promise.resolve(new Set(without)),
    }))
      found.push([label, uri, sha256Hex(await bytes())]);
    return found;
  };
  const expected = [
    [3, `sha256:${a}`, a],
    [3, `sha256:${d}`, d],
    [7, `sha256:${e}`, e],
  ].sort((x, y) => (x[1]! < y[1]! ? -1 : 1));
  assert.deepEqual(await joined([]), expected);
  // What is tested with, or labelled already, does not join.
  assert.deepEqual(
    await joined([d]),
    expected.filter((one) => one[2] !== d),
  );
});
