import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import type { Invocation } from "../invocation.js";

/** Writes a file where a flag says; returns its whole path. Throws E_USAGE where it cannot be written. */
export async function writeOutput(run: Invocation, path: string, text: string, flag = "--html"): Promise<string> {
  const place = resolve(run.terminal.folder, path);
  try {
    await writeFile(place, text);
    return place;
  } catch (cause) {
    throw new SluiceError(
      "E_USAGE",
      `Expected a file that can be written with ${flag}, found ${place}: ${messageOf(cause)}.`,
      {
        cause,
      },
    );
  }
}
