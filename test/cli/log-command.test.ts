import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { runProgram } from "../../cli/program.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { writePictures } from "../fixtures/pictures.js";
import { temporaryFolder } from "../fixtures/temporary-folder.js";
import { recordedTerminal } from "./recorded-terminal.js";

test("a damaged log: status tells what is archived and the damage, ingest refuses, a rebuild mends it", async (t) => {
  const root = await temporaryFolder(t);
  await writeSmallTeacher(join(root, "teacher"), "onnx", { classes: 10, output: "logits" });
  await writePictures(join(root, "pictures"), { images: 12, duplicates: 1, broken: 1 });
  const call = async (...args: string[]): Promise<{ code: number; object: Record<string, unknown>; text: string }> => {
    const terminal = recordedTerminal({ folder: root });
    const code = await runProgram([...args, "--json", "--data", join(root, "data")], terminal);
    return { code, text: terminal.stdout.text, object: JSON.parse(terminal.stdout.text) as Record<string, unknown> };
  };
  assert.equal((await call("ingest", "pictures", "--teacher", "teacher", "--k", "3", "--no-publish")).code, 0);
  const held = (await call("status")).object["log"] as { start: number; end: number; sinceMs: number }[];
  assert.deepEqual([held[0]!.start, held[0]!.end, held[0]!.sinceMs > 0], [0, 14, true]);
  const sound = await call("log", "rebuild");
  assert.deepEqual([sound.code, sound.object["fault"]], [0, null]);

  const file = join(root, "data", "log", "data.mdb");
  const bytes = await readFile(file);
  bytes[50]! ^= 4;
  await writeFile(file, bytes);
  const seen = await call("status");
  assert.equal(seen.code, 1);
  assert.match(String(seen.object["logDamage"]), /meta page 0.*`sluice log rebuild/);
  assert.equal((seen.object["teachers"] as unknown[]).length, 1, "what is archived is told all the same");
  const refused = await call("ingest", "pictures");
  assert.equal(refused.code, 1);
  assert.match(refused.text, /E_LOG_CORRUPT/);
  assert.equal((await call("versions", "list")).code, 0);

  const dry = await call("log", "rebuild", "--dry-run");
  const done = await call("log", "rebuild");
  assert.deepEqual(dry.object["partitions"], done.object["partitions"]);
  assert.deepEqual(done.object["partitions"], [
    { stream: "images", partition: 0, archivedTo: 14, start: 0, end: 14, lost: { start: 14, end: 14 } },
  ]);
  assert.equal(done.object["sourcesGoOn"], true);
  const again = await call("ingest", "pictures", "--no-publish");
  assert.deepEqual([again.code, (again.object["counts"] as { appended: number }).appended], [0, 0]);
});
