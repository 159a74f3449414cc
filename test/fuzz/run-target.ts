import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { orNull } from "../../schemas/errors.js";
import type { Told } from "./fuzz-child.js";
import type { FuzzTarget } from "./fuzz-target.js";

export interface Finding {
  readonly target: string;
  readonly seed: number;
  readonly tryNumber: number;
  readonly kind: "error" | "hang" | "memory" | "crash" | "outside";
  readonly said: string;
  /** The smallest input that was found to show it */
  readonly file: string;
}

export interface TargetOutcome {
  readonly target: string;
  readonly tries: number;
  readonly taken: number;
  readonly findings: readonly Finding[];
}

export interface RunTargetOptions {
  readonly seed: number;
  readonly forMs: number;
  /** Where inputs of findings are put */
  readonly keepIn: string;
  /** This input alone, as a finding left it */
  readonly file?: string;
}

/** A process that says nothing for so long stands still in one input. */
const SILENT_MS = 40_000;
/** Of making what a target's inputs are made from */
const PREPARED_WITHIN_MS = 180_000;

/** Tries inputs of one target in a process of its own, and in another one where that died, until the time is over. */
export async function runTarget(target: FuzzTarget, options: RunTargetOptions): Promise<TargetOutcome> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-fuzz-"));
  const findings: Finding[] = [];
  let [tries, taken] = [0, 0];
  try {
    // What nothing may touch.
    await mkdir(join(folder, "outside"));
    await writeFile(join(folder, "outside", "secret.jpg"), "nobody's");
    await writeFile(join(folder, "outside.jpg"), "nobody's");
    const before = await digestOf(folder);
    const until = Date.now() + options.forMs;
    for (let seed = options.seed; ; seed += 1_000_003) {
      const left = until - Date.now();
      const run = await oneProcess(target, folder, { ...options, seed, forMs: left });
      tries += run.tries;
      taken += run.taken;
      for (const { input, ...found } of run.found)
        findings.push({ ...found, file: await kept(target, options, input) });
      if (run.isDone || findings.length >= 5 || Date.now() > until) break;
    }
    const after = await digestOf(folder);
    if (after !== before) {
      const said = `files beside the target's own folder are others now:\n${before}\n${after}`;
      const file = await kept(target, options, new Uint8Array(0));
      findings.push({ target: target.name, seed: options.seed, tryNumber: 0, kind: "outside", said, file });
    }
    return { target: target.name, tries, taken, findings };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

type Found = Omit<Finding, "file"> & { readonly input: Uint8Array };
interface ProcessOutcome {
  readonly tries: number;
  readonly taken: number;
  readonly found: readonly Found[];
  /** false: it died, and there may be time for another one */
  readonly isDone: boolean;
}

async function oneProcess(
  target: FuzzTarget,
  folder: string,
  { seed, forMs, file }: RunTargetOptions,
): Promise<ProcessOutcome> {
  await rm(join(folder, "inside"), { recursive: true, force: true });
  await mkdir(join(folder, "tmp"), { recursive: true });
  const child = spawn(
    process.execPath,
    [
      "--max-old-space-size=1024",
      join(import.meta.dirname, "fuzz-child.js"),
      ...[target.name, String(seed), folder, String(forMs)],
      ...(file === undefined ? [] : [file]),
    ],
    { stdio: ["ignore", "ignore", "pipe", "ipc"], cwd: folder, env: { ...process.env, TMPDIR: join(folder, "tmp") } },
  );
  const found: Found[] = [];
  let [tries, taken, words, isReady, silentSince] = [0, 0, "", false, Date.now()];
  child.stderr?.on("data", (chunk: Buffer) => (words = `${words}${chunk.toString()}`.slice(-4000)));
  child.on("message", (told: Told) => {
    silentSince = Date.now();
    if (told.type === "ready") isReady = true;
    else if (told.type === "tries") ({ tries, taken } = told);
    else {
      const { kind, said, tryNumber, input } = told;
      found.push({ target: target.name, seed, tryNumber, kind, said, input: Buffer.from(input, "base64") });
    }
  });
  const silence = { isTooLong: false };
  const watch = setInterval(() => {
    if (Date.now() - silentSince < (isReady ? SILENT_MS : PREPARED_WITHIN_MS)) return;
    silence.isTooLong = true;
    child.kill("SIGKILL");
  }, 500);
  const code = await new Promise<number | null>((done, fail) => {
    child.on("error", fail);
    child.on("close", done);
  });
  clearInterval(watch);
  if (!isReady) throw new Error(`${target.name} could not be prepared: ${words}`);
  if (code === 0) return { tries, taken, found, isDone: true };
  const input = (await orNull(readFile(join(folder, "current")), "ENOENT")) ?? new Uint8Array(0);
  const said = silence.isTooLong
    ? `it stood still for ${SILENT_MS / 1000} s`
    : `the process ended with ${code ?? child.signalCode}: ${words}`;
  found.push({ target: target.name, seed, tryNumber: tries, kind: silence.isTooLong ? "hang" : "crash", said, input });
  return { tries, taken, found, isDone: false };
}

async function kept({ name, extension }: FuzzTarget, { keepIn }: RunTargetOptions, input: Uint8Array): Promise<string> {
  await mkdir(keepIn, { recursive: true });
  const digest = createHash("sha256").update(input).digest("hex").slice(0, 12);
  const path = join(keepIn, `${name}-${digest}.${extension}`);
  await writeFile(path, input);
  return path;
}

/** Of every file beside the target's own folder, its temporary files, and the input of the moment. */
async function digestOf(folder: string): Promise<string> {
  const lines: string[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = relative(folder, path);
    if (!entry.isFile() || /^(inside|tmp)\/|^current$/.test(name)) continue;
    lines.push(
      `${name} ${createHash("sha256")
        .update(await readFile(path))
        .digest("hex")}`,
    );
  }
  return lines.sort().join("\n");
}
