import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { z } from "zod";
import type { Config } from "../../schemas/config.js";
import { declaredSourceSchema, withSource, type DeclaredSource } from "../../schemas/declared-source.js";
import { messageOf, SluiceError, codeOf } from "../../schemas/errors.js";
import { FOLDERS } from "./workspace.js";

/** Beside the listings, whose names are digests */
const FILE = "sources.json";

/**
 * What `produce` was told of its sources under this data folder: a producer has no store to declare them in.
 * Throws E_SOURCE_READ where that cannot be read.
 */
export async function producedSources(config: Config): Promise<readonly DeclaredSource[]> {
  const file = join(folderOf(config), FILE);
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  });
  if (text === null) return [];
  try {
    return z.array(declaredSourceSchema).parse(JSON.parse(text));
  } catch (cause) {
    throw new SluiceError(
      "E_SOURCE_READ",
      `Expected in ${file} what was said of sources, found something else: ${messageOf(cause)}. Remove it, and say --include and --follow-links once more.`,
      { cause },
    );
  }
}

/** Remembers what this source is opened by, in place of what was said of it before. */
export async function keepProducedSource(config: Config, source: DeclaredSource): Promise<void> {
  const folder = folderOf(config);
  const before = await producedSources(config);
  await mkdir(folder, { recursive: true });
  const file = join(folder, FILE);
  await writeFile(`${file}.new`, `${JSON.stringify(withSource(before, source), null, 2)}\n`);
  await rename(`${file}.new`, file);
}

function folderOf({ data, stream }: Config): string {
  return resolve(data, FOLDERS.produced, stream);
}
