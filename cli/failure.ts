import { EXIT, messageOf, SluiceError, codeOf } from "../schemas/errors.js";
import { logRecord, plainValue } from "./log-record.js";
import type { Terminal } from "./terminal.js";

/**
 * `object`: with `--json`. `record`: with `--log json`. `line`: with `--progress json` alone, where all that stands on stderr is
 * objects.
 */
export type FailureForm = "text" | "object" | "record" | "line";

/** Told from the words of the command line: it may be one that does not parse. */
export function failureForm(args: readonly string[]): FailureForm {
  if (args.includes("--json")) return "object";
  const saysJson = (flag: string): boolean =>
    args.some((arg, at) => arg === `${flag}=json` || (arg === flag && args[at + 1] === "json"));
  return saysJson("--log") ? "record" : saysJson("--progress") ? "line" : "text";
}

/**
 * Reports what ended a command, and returns what the process exits with: `error E_CODE: message` on stderr, with
 * `--json` one object on stdout, with `--progress json` one more line on stderr. A stack only with SLUICE_DEBUG.
 * `placed` says the message's hints as the call that failed would be given them.
 */
export function reportFailure(
  error: unknown,
  terminal: Terminal,
  form: FailureForm,
  placed: (message: string) => string = (message) => message,
): number {
  const failure = asSluiceError(error);
  const { code, context } = failure;
  const message = placed(failure.message);
  if (form === "object") {
    terminal.stdout.write(`${JSON.stringify({ error: { code, message, context } }, plainValue)}\n`);
  } else if (form === "record") {
    terminal.stderr.write(`${logRecord(terminal.nowMs(), "error", "failed", { code, message, context })}\n`);
  } else if (form === "line") {
    terminal.stderr.write(`${JSON.stringify({ type: "error", code, message, context }, plainValue)}\n`);
  } else {
    terminal.stderr.write(`error ${code}: ${message}\n`);
    if (code === "E_INTERNAL") {
      terminal.stderr.write("This is a fault of Sluice. Please report it, with what SLUICE_DEBUG=1 prints.\n");
    }
  }
  if ((terminal.environment["SLUICE_DEBUG"] ?? "") !== "") terminal.stderr.write(`${stackText(error)}\n`);
  return failure.exitCode;
}

function asSluiceError(error: unknown): SluiceError {
  if (error instanceof SluiceError) return error;
  const code = codeOf(error);
  if (code === "EMFILE" || code === "ENFILE") {
    const message = `Expected to open one more file, found ${code}: this shell or machine allows no more. Allow 256 or more (\`ulimit -n 1024\`).`;
    return new SluiceError("E_FILE_HANDLES", message, { cause: error });
  }
  const { path, syscall } = error as { readonly path?: unknown; readonly syscall?: unknown };
  if (typeof path === "string" && typeof syscall === "string") {
    const message = `Expected to use ${path}, found: ${messageOf(error)}. Mend its permissions or the disk, or name another place.`;
    return new SluiceError("E_FILE", message, { cause: error, path });
  }
  return new SluiceError("E_INTERNAL", messageOf(error), { cause: error });
}

function stackText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const stack = error.stack ?? `${error.name}: ${error.message}`;
  return error.cause === undefined ? stack : `${stack}\ncaused by ${stackText(error.cause)}`;
}

/** Exit codes with their meaning, for `--help`. */
export const EXIT_TEXT: readonly (readonly [code: number, meaning: string])[] = [
  [EXIT.ok, "done"],
  [EXIT.failed, "failed; the error says why"],
  [EXIT.usage, "the command line or the configuration is wrong; nothing was done"],
  [EXIT.verification, "a version does not verify"],
  [EXIT.locked, "another process works on this data folder"],
  [EXIT.budget, "the time given with --budget is used up; the same command goes on from there"],
  [EXIT.interrupted, "stopped by Ctrl-C or SIGTERM; the same command goes on from there"],
  [143, "ended by SIGTERM before its work began"],
];
