import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { packageFile } from "../../cli/package-root.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { writePictures } from "../fixtures/pictures.js";
import { temporaryFolder } from "../fixtures/temporary-folder.js";

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

async function ran(program: string, args: readonly string[], folder: string, environment: NodeJS.ProcessEnv) {
  const child = spawn(program, args, { cwd: folder, env: environment, stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, out, err } satisfies Ran;
}

/** Variables that `npm run` has set for this process are not the ones that a person has who installs. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^npm_(?!config_(cache|registry|cafile)$)/i.test(name)),
);

test("packed and installed globally, from the registry alone, it works in a folder elsewhere", async (t) => {
  const folder = await temporaryFolder(t);
  const ping = await ran("npm", ["ping", "--fetch-retries=0", "--fetch-timeout=20000"], folder, environment);
  if (ping.code !== 0) {
    console.log(`Skipped: npm does not reach its registry (${ping.err.split("\n", 1)[0]}).`);
    t.skip("npm does not reach its registry");
    return;
  }

  // What is in dist/ was just built; `prepare` would build it again.
  const packed = await ran(
    "npm",
    ["pack", "--json", "--ignore-scripts", "--pack-destination", folder],
    packageFile("."),
    environment,
  );
  assert.equal(packed.code, 0, packed.err);
  const [{ filename, files }] = JSON.parse(packed.out) as [{ filename: string; files: { path: string }[] }];
  const places = new Set(files.map(({ path }) => path.split("/").slice(0, 2).join("/")));
  for (const place of ["dist/test", "dist/bench", "dist/examples", "dist/deploy"]) assert.ok(!places.has(place), place);

  const prefix = join(folder, "prefix");
  // A tarball on this machine is installed with its name alone, as a person would write it.
  const installed = await ran("npm", ["install", "--global", `./${filename}`, "--prefix", prefix], folder, environment);
  assert.equal(installed.code, 0, installed.err);
  const modules = join(prefix, "lib/node_modules/sluice/node_modules");
  const asked = JSON.parse(await readFile(join(modules, "global-agent/package.json"), "utf8")) as { main: string };
  assert.equal(asked.main, "skip-download.cjs", "onnxruntime-node's script asks the stand-in what to download");
  await assert.rejects(stat(join(modules, "onnxruntime-node/node_modules/global-agent")), { code: "ENOENT" });
  if (process.platform === "linux" && process.arch === "x64") {
    const libraries = await readdir(join(modules, "onnxruntime-node/bin/napi-v6/linux/x64"));
    assert.deepEqual(
      libraries.filter((name) => name.includes("providers")),
      [],
      "CUDA's provider was not downloaded",
    );
  }

  const elsewhere = join(folder, "elsewhere");
  await mkdir(elsewhere);
  await writePictures(join(folder, "pictures"), { images: 30 });
  const sluice = async (...args: string[]): Promise<string> => {
    const plain = { PATH: process.env["PATH"], HOME: elsewhere };
    const { code, out, err } = await ran(join(prefix, "bin/sluice"), args, elsewhere, plain);
    assert.equal(code, 0, `${args.join(" ")}: ${err}`);
    return out;
  };
  assert.match(await sluice("--version"), /^\d+\.\d+\.\d+\n$/);
  await sluice("init");
  const [first] = (await readFile(join(elsewhere, "sluice.yaml"), "utf8")).split("\n", 1);
  const schema = join(elsewhere, /\$schema=(.*)$/.exec(first!)![1]!);
  assert.ok((await stat(schema)).isFile(), "the editor finds the schema");
  for (const format of ["onnx", "tfjs-layers"] as const) {
    await writeSmallTeacher(join(folder, format), format);
    const call = ["--teacher", join(folder, format), "--data", format, "--k", "3", "--p", "1"];
    assert.match(await sluice("ingest", join(folder, "pictures"), ...call), /^Dataset default, version 1: /m);
    await sluice("versions", "verify", "latest", "--data", format);
  }
  assert.deepEqual((await readdir(elsewhere)).sort(), ["onnx", "sluice.yaml", "tfjs-layers"]);
});
