import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { runProgram } from "../../cli/program.js";
import type { SourceAccount } from "../../schemas/source-account.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { writePictures } from "../fixtures/pictures.js";
import { tarOf } from "../fixtures/tar-archive.js";
import { recordedTerminal } from "./recorded-terminal.js";

let folder = "";
let runs = 0;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-hints-"));
  await writeSmallTeacher(join(folder, "teacher"), "onnx");
  await writePictures(join(folder, "made"), { images: 3, duplicates: 0, broken: 0 });
  const [first] = execFileSync("find", [join(folder, "made"), "-type", "f"], { encoding: "utf8" }).split("\n");
  const picture = await readFile(first!);
  const extension = first!.split(".").at(-1)!;
  for (const path of ["my pictures/sub/a.PNG", "cache/b", "shards"])
    await mkdir(join(folder, path, ".."), { recursive: true });
  await writeFile(join(folder, `my pictures/sub/a.${extension.toUpperCase()}`), picture);
  await writeFile(join(folder, `cache/b.${extension}`), picture);
  await mkdir(join(folder, "links"));
  await symlink(`../cache/b.${extension}`, join(folder, `links/c.${extension}`));
  await mkdir(join(folder, "shards"));
  await writeFile(join(folder, "shards/0.tar"), await tarOf([{ name: `a.${extension}`, content: picture }]));
  await mkdir(join(folder, "empty"));
  await writeFile(
    join(folder, "sluice.yaml"),
    "teacher: teacher\nengine: { workers: 1, batch: 8 }\narchive: { topM: 10 }\n",
  );
});

after(() => rm(folder, { recursive: true, force: true }));

async function ingest(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const terminal = recordedTerminal({ folder });
  const data = join(folder, `data-${runs++}`);
  const code = await runProgram(["--data", data, "ingest", "--no-publish", "--no-progress", ...args], terminal);
  return { code, out: terminal.stdout.text, err: terminal.stderr.text };
}

/** What a shell makes of a hint's words. */
function words(hint: string): string[] {
  return execFileSync("sh", ["-c", `printf '%s\\n' ${hint}`], { encoding: "utf8" })
    .trimEnd()
    .split("\n");
}

test("each hint of a source with nothing to take, added to the command, takes the image", async () => {
  const cases: { args: string[]; isWhole?: true }[] = [
    { args: ["links"] },
    { args: ["my pictures", "--include", "*.gif"] },
    { args: ["my pictures", "--include", "my pictures/sub/*"] },
    { args: ["my pictures/sub/*"], isWhole: true },
  ];
  for (const { args, isWhole } of cases) {
    const refused = await ingest(...args);
    assert.notEqual(refused.code, 0, args.join(" "));
    const hint = /`([^`]*--[^`]*)`/.exec(refused.err)?.[1];
    assert.ok(hint !== undefined && !hint.includes("…"), refused.err);
    const taken = await ingest(...(isWhole === true ? [] : args.slice(0, 1)), ...words(hint), "--json");
    assert.equal(taken.code, 0, `${hint}: ${taken.err}`);
    const { source } = JSON.parse(taken.out) as { source: SourceAccount };
    assert.deepEqual([source.taken, source.given], [1, 1], hint);
  }
});

test("an empty folder is refused, with exit code 2, before anything is published; a folder of shards is read", async () => {
  const empty = await ingest("empty");
  assert.equal(empty.code, 2);
  assert.match(empty.err, /E_SOURCE_EMPTY: Expected images in .*empty, found nothing at all/);
  const shards = await ingest("shards", "--json");
  assert.equal((JSON.parse(shards.out) as { source: SourceAccount }).source.taken, 1);
});

test("what was passed over is said in numbers that add up, in the text and with --json", async () => {
  await writeFile(join(folder, "my pictures", ".hidden.png"), "hidden");
  await writeFile(join(folder, "my pictures", "notes.txt"), "notes");
  await writeFile(join(folder, "my pictures", "film.mp4"), "film");
  const said = await ingest("my pictures", "--include", "**/*.{png,jpg,webp}");
  assert.match(said.err, /Source: found 4: 1 taken, 3 passed over\n/);
  assert.match(said.err, /1 with a hidden name \(it begins with a dot\), such as \.hidden\.png/);
  assert.match(said.err, /1 left out by --include, such as film\.mp4 \(\.mp4 1\)/);
  const { out } = await ingest("my pictures", "--include", "**/*.{png,jpg,webp}", "--json");
  const { given, taken, known, passedOver } = (JSON.parse(out) as { source: SourceAccount }).source;
  const total = Object.values(passedOver).reduce((sum, { count }) => sum + count, 0);
  assert.deepEqual([given, taken, known, total], [4, 1, 0, 3]);
});

test("a path in Unicode's other normal form is named as such", async () => {
  await mkdir(join(folder, "café".normalize("NFD")));
  const missing = await ingest("café".normalize("NFC"));
  assert.equal(missing.code, 2);
  assert.match(
    missing.err,
    /There is one that looks the same, .*decomposed \(NFD\).* In bash it is \$'.*cafe\\xcc\\x81'/,
  );
});
