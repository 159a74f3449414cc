import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { selectedSource } from "../../cli/declare-call.js";
import { keepProducedSource, producedSources } from "../../pipelines/open/produced-sources.js";
import { configSchema } from "../../schemas/config.js";
import { temporaryFolder } from "../fixtures/temporary-folder.js";

test("a producer remembers in its data folder what it was told of each source, until it is told otherwise", async (t) => {
  const folder = await temporaryFolder(t);
  const config = configSchema.parse({ data: join(folder, "d"), stream: "cats" });
  const choose = async (place: string, flags: object): Promise<ReturnType<typeof selectedSource>> => {
    const selected = selectedSource(await producedSources(config), [place], flags, folder);
    await keepProducedSource(config, selected.source);
    return selected;
  };
  await choose("/a", { include: ["*.jpg"], followLinks: true });
  await choose("/b", {});
  const again = await choose("/a", {});
  assert.deepEqual(again.source, { places: ["/a"], include: ["*.jpg"], followLinks: true });
  assert.equal(again.notes.length, 2);
  assert.match(again.notes[0]!, /^only \*\.jpg, as said of this source before/);
  const otherwise = await choose("/a", { include: ["**"], followLinks: false });
  assert.deepEqual(otherwise.source, { places: ["/a"], include: ["**"], followLinks: false });
  assert.deepEqual((await choose("/b", {})).source.include, []);
  assert.deepEqual(await producedSources(configSchema.parse({ data: join(folder, "d"), stream: "dogs" })), []);

  await writeFile(join(folder, "d/produced/cats/sources.json"), "[{");
  await assert.rejects(producedSources(config), { code: "E_SOURCE_READ" });
});
