// `npm start`: the main job on real images, with the commands that anyone would type. `npm start -- <folder>` puts it elsewhere.
import "../../cli/start-up-signals.js";
import { existsSync } from "node:fs";
import { rename } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { Writable } from "node:stream";
import { runProgram } from "../../cli/program.js";
import { openProgress } from "../../cli/progress/progress.js";
import { processTerminal } from "../../cli/terminal.js";
import { tableText } from "../../cli/wording.js";
import { readIndex, readManifest } from "../../pipelines/versions/versions.js";
import { openStore } from "../../pipelines/open/workspace.js";
import { configSchema } from "../../schemas/config.js";
import { makeQuickstartImages } from "./make-images.js";
import { precisionOf } from "./precision.js";
import { PROTOCOL } from "./protocol.js";

const terminal = processTerminal();
const folder = resolve(terminal.folder, process.argv[2] ?? "sluice-quickstart");
const at = (...names: string[]): string => relative(terminal.folder, join(folder, ...names)) || ".";
const say = (line = ""): void => {
  terminal.stdout.write(`${line}\n`);
};

/** Types a command, so that what it did can be read and typed again. Returns what it printed. */
async function sluice(...args: string[]): Promise<string> {
  say(`\n$ npx sluice ${args.join(" ")}`);
  let printed = "";
  const stdout = new Writable({
    decodeStrings: false,
    write(text: string | Buffer, _encoding, done) {
      printed += text.toString();
      terminal.stdout.write(text, done);
    },
  });
  const code = await runProgram(args, { ...terminal, stdout });
  if (code !== 0) process.exit(code);
  return printed;
}

async function makeImages(): Promise<void> {
  if (existsSync(join(folder, "images"))) return;
  say(
    `Writing MNIST as image files into ${at("images")}: 100 labelled, 30,000 wild (a fifth of them no digits), 2,000 to test on`,
  );
  const progress = openProgress(terminal.stderr.isTTY === true ? "block" : "lines", terminal.stderr, terminal.nowMs);
  const counts = { scored: 0, copied: 0, kept: 0, quarantined: 0 };
  await makeQuickstartImages(join(folder, "images.making"), {
    seed: PROTOCOL.seed,
    onProgress: ({ written, total }) => {
      progress.onProgress({ phase: "write images", done: written, total, ...counts });
    },
  });
  progress.close();
  await rename(join(folder, "images.making"), join(folder, "images"));
}

/** What the version is made of, by the truth about the wild images. */
async function reportPrecision(): Promise<void> {
  const store = await openStore(configSchema.parse({ data: join(folder, "data") }));
  const manifest = await readManifest(store, "default", "latest");
  const classes = await precisionOf(
    readIndex(store, manifest),
    join(folder, "images", "truth.csv"),
    join(folder, "images", "wild"),
  );
  await store.close();
  say("\nHow right the version is (the wild images' true labels serve this table only):");
  const share = (part: number, all: number): string => `${((100 * part) / Math.max(1, all)).toFixed(1)} %`;
  say(
    tableText(
      ["class", "rows", "right", "no digit"],
      classes.map(({ label, rows, right, distractors }) => [label, rows, share(right, rows), share(distractors, rows)]),
    ),
  );
}

const { side, k, p, seed } = PROTOCOL;
const data = ["--data", at("data")];
await makeImages();
await sluice(
  "train",
  "teacher",
  at("images", "labelled"),
  "--test",
  at("images", "test"),
  "--out",
  at("teacher"),
  "--side",
  String(side),
  "--colour",
  "grey",
  "--seed",
  String(seed),
);
await sluice("ingest", at("images", "wild"), "--teacher", at("teacher"), "--k", String(k), "--p", String(p), ...data);
await reportPrecision();
const trained = await sluice(
  "train",
  "student",
  at("images", "labelled"),
  "--test",
  at("images", "test"),
  "--out",
  at("student"),
  "--seed",
  String(seed),
  ...data,
);
await sluice("versions", "verify", "latest", ...data);

say(`
Where everything lies
  ${at("images")}     the image files: labelled, wild, test
  ${at("teacher")}    the teacher and its model card
  ${at("data")}       the log, the archived scores, version 1 (data/store/versions)
  ${at("student")}    the student, which can be the next teacher

Try next
  npx sluice versions show latest ${data.join(" ")}
  npx sluice quarantine list ${data.join(" ")}
  npx sluice ingest <a folder of your pictures> --teacher <your model.onnx>

${trained.trimEnd().split("\n").at(-1)!}

Look at what was chosen, and why:
  npx sluice serve ${data.join(" ")}`);
