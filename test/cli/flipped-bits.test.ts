import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, before, test } from "node:test";
import { runProgram } from "../../cli/program.js";
import { isClaim } from "../../operators/version/attempt.js";
import { uniform } from "../fixtures/seeded-weights.js";
import { writePictures } from "../fixtures/pictures.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { recordedTerminal } from "./recorded-terminal.js";

let folder = "";
let store = "";
let id = "";

/** A data folder with an object of every kind: runs and a tail, labels, names of classes, a relocation, versions with their shards. */
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-flipped-bits-"));
  store = join(folder, "sluice-data", "store");
  await writePictures(join(folder, "pictures"), { images: 24, duplicates: 2, broken: 1 });
  await writeSmallTeacher(join(folder, "teacher"), "onnx", { classes: 4, output: "logits" });
  const settings = [
    "teacher: teacher",
    "engine: { workers: 1, batch: 8 }",
    "archive: { topM: 4, segmentRecords: 8 }",
    "datasets: [{ name: few, select: { k: 4, p: 1 } }]",
  ];
  await writeFile(join(folder, "sluice.yaml"), settings.join("\n"));
  await done(["ingest", "pictures", "--no-publish"]);
  await done(["compact"]);
  await writePictures(join(folder, "pictures"), { images: 6 }, 2, (name) => `later/${name}`);
  await done(["ingest", "pictures"]);
  const picture = await readFile(join(folder, "pictures", "later", "0", "picture-0000.png"));
  await done(["label", "none", createHash("sha256").update(picture).digest("hex")]);
  await cp(join(folder, "pictures"), join(folder, "moved"), { recursive: true });
  await done(["relocate", "pictures", "moved"]);
  id = (JSON.parse(await done(["rebuild", "few", "--json"])) as { id: string }).id;
});

after(() => rm(folder, { recursive: true, force: true }));

async function sluice(args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const terminal = recordedTerminal({ folder });
  const code = await runProgram(args, terminal);
  return { code, out: terminal.stdout.text, err: terminal.stderr.text };
}

async function done(args: readonly string[]): Promise<string> {
  const { code, out, err } = await sluice(args);
  assert.equal(code, 0, err);
  return out;
}

/** The kind of an object: its key without what tells one of them from another. */
function kindOf(key: string): string {
  return key.replace(/[0-9a-f]{12,}|\d+/g, "*");
}

async function objectsByKind(): Promise<Map<string, string[]>> {
  const kinds = new Map<string, string[]>();
  for (const entry of await readdir(store, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isFile()) continue;
    // A publisher's claim on an attempt is read by nobody once the manifest stands; which runs stand is listed where it is not told.
    if (isClaim(path) || entry.name === "standing.json") continue;
    const kind = kindOf(relative(store, path));
    kinds.set(kind, [...(kinds.get(kind) ?? []), path]);
  }
  return kinds;
}

test("flip any bit of any object: what reads it names it, and nothing wrong is published", async () => {
  const next = uniform(3);
  const kinds = await objectsByKind();
  const unnoticed: string[] = [];
  for (const [kind, paths] of [...kinds].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const path = paths[Math.floor(next() * paths.length)]!;
    const whole = await readFile(path);
    if (whole.length === 0) continue;
    const bytes = Buffer.from(whole);
    const at = Math.floor(next() * bytes.length);
    bytes[at]! ^= 1 << Math.floor(next() * 8);
    await writeFile(path, bytes);
    const isOfVersion = /^versions\/[^/]+\/data\//.test(relative(store, path));
    const command = isOfVersion ? ["versions", "verify", "few/1", "--deep"] : ["archive", "verify"];
    const told = await sluice(command);
    const said = `${told.out}${told.err}`;
    const name = relative(store, path).split("/").at(-1)!;
    if (told.code === 0 || !said.includes(name)) unnoticed.push(`${kind} at ${at}: ${told.code} ${said.slice(0, 300)}`);
    const rebuilt = await sluice(["rebuild", "few", "--json"]);
    if (rebuilt.code === 0) assert.ok(rebuilt.out.includes(id), `${kind}: another version was published`);
    await writeFile(path, whole);
  }
  assert.deepEqual(unnoticed, []);
  assert.ok(kinds.size >= 16, [...kinds.keys()].join("\n"));
});
