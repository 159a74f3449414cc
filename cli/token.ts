import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { messageOf, SluiceError } from "../schemas/errors.js";
import type { Invocation } from "./invocation.js";

/** The token that callers of a server have to have, from a file or the environment; null for none. Throws E_USAGE. */
export async function tokenOf(run: Invocation, variable: string, file: string | undefined): Promise<string | null> {
  if (file === undefined) return run.terminal.environment[variable] ?? null;
  const path = resolve(run.terminal.folder, file);
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (cause) {
    throw new SluiceError("E_USAGE", `Expected a file with a token at ${path}: ${messageOf(cause)}.`, { cause });
  }
}
