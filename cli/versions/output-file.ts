import { rename, rm, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { isSluiceError, messageOf, SluiceError } from "../../schemas/errors.js";
import type { Invocation } from "../invocation.js";

/**
 * Writes a file where a flag says, under its name once it is whole; returns its whole path. Throws E_USAGE where it cannot be written, and what
 * `content` throws.
 */
export async function writeOutput(
  run: Invocation,
  path: string,
  content: string | AsyncIterable<Uint8Array>,
  flag = "--html",
): Promise<string> {
  const place = resolve(run.terminal.folder, path);
  const part = `${place}.part`;
  try {
    await writeFile(part, content);
    await rename(part, place);
    return place;
  } catch (cause) {
    await rm(part, { force: true });
    if (isSluiceError(cause)) throw cause;
    throw new SluiceError(
      "E_USAGE",
      `Expected a file that can be written with ${flag}, found ${place}: ${messageOf(cause)}.`,
      { cause },
    );
  }
}
