import { spawn } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { SluiceError } from "../../schemas/errors.js";
import type { Report } from "./cache.js";

/** Which of `programs` are not on the PATH. */
export async function missingPrograms(programs: readonly string[]): Promise<string[]> {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const missing: string[] = [];
  for (const program of programs) {
    const found = await Promise.any(folders.map((folder) => access(join(folder, program), constants.X_OK))).then(
      () => true,
      () => false,
    );
    if (!found) missing.push(program);
  }
  return missing;
}

export interface CommandOptions {
  readonly folder: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Gets a line every 15 s while the command runs. */
  readonly report?: Report;
  /** What the command does, for the report and the error. */
  readonly doing: string;
  readonly input?: string;
  /** Ends the program. */
  readonly signal?: AbortSignal;
}

/** Runs a program to its end and returns its standard output. Throws E_SERVICE with the last lines of what it said. */
export async function run(program: string, args: readonly string[], options: CommandOptions): Promise<string> {
  const child = spawn(program, args, {
    cwd: options.folder,
    env: { ...process.env, ...options.environment },
    stdio: ["pipe", "pipe", "pipe"],
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
  // A program that ends without reading its input breaks the pipe; its exit code tells.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");
  // Should this process end meanwhile (Ctrl-C), the command ends too.
  const end = (): boolean => child.kill();
  process.once("exit", end);
  const startedMs = Date.now();
  const progress = setInterval(() => {
    options.report?.(`${options.doing}: ${Math.round((Date.now() - startedMs) / 1000)} s so far`);
  }, 15_000);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    const stdout = Buffer.concat(out).toString();
    if (code === 0) return stdout;
    const said = `${stdout}\n${Buffer.concat(err).toString()}`.trim().split("\n").slice(-15).join("\n");
    throw new SluiceError(
      "E_SERVICE",
      `Expected "${program} ${args.join(" ")}" (${options.doing}) to end with 0, found ${code ?? "a signal"}:\n${said}`,
    );
  } catch (error) {
    if (error instanceof SluiceError) throw error;
    throw new SluiceError("E_SERVICE", `Cannot run ${program} (${options.doing}): is it installed and on the PATH?`, {
      cause: error,
    });
  } finally {
    clearInterval(progress);
    process.removeListener("exit", end);
  }
}
