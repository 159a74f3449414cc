import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { SluiceError, messageOf, orNull } from "../../../schemas/errors.js";
import { ABSENT, statIfThere } from "../../stat-if-there.js";
import { weightsDigest, type ModelCard } from "../../../schemas/model-card.js";

type WeightFile = ModelCard["weights"]["files"][number];

/** The `weights` member of a card for files under `folder`, the model's entry file first. Throws E_TEACHER_WEIGHTS. */
export async function describeWeights(folder: string, paths: readonly string[]): Promise<ModelCard["weights"]> {
  const files: WeightFile[] = [];
  for (const path of paths) files.push(await describeFile(folder, path));
  return { files, sha256: weightsDigest(files) };
}

/** Size and SHA-256 of `path` under `folder`. Throws E_TEACHER_WEIGHTS where it cannot be read. */
export async function describeFile(folder: string, path: string): Promise<WeightFile> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  try {
    for await (const part of createReadStream(join(folder, path)) as AsyncIterable<Buffer>) {
      hash.update(part);
      sizeBytes += part.length;
    }
  } catch (cause) {
    throw wrongWeights(join(folder, path), "a readable file", messageOf(cause), cause);
  }
  return { path, sizeBytes, sha256: hash.digest("hex") };
}

/**
 * Throws E_TEACHER_WEIGHTS where a file of weights is not there. `location`: the path as `namedBy`, the model's entry file, has it, relative to `folder`.
 */
export async function assertWeightsThere(folder: string, location: string, namedBy: string): Promise<void> {
  const path = join(folder, location);
  if ((await statIfThere(path)) !== null) return;
  const beside = (await orNull(readdir(dirname(path)), ...ABSENT)) ?? [];
  const alike = beside.filter((name) => extname(name) === extname(location) || name.startsWith(basename(namedBy)));
  const others = alike.filter((name) => name !== basename(namedBy)).slice(0, SHOWN);
  const there =
    beside.length === 0
      ? "no such folder"
      : `none of that name${others.length === 0 ? "" : ` (there ${others.length === 1 ? "is" : "are"} ${others.join(", ")})`}`;
  throw new SluiceError(
    "E_TEACHER_WEIGHTS",
    `Expected the file of weights ${location}, which ${namedBy} names, at ${path}, found ${there}. Copy it there from where the model comes from, under that name: all files of a model belong together.`,
    { path, location, namedBy },
  );
}

/** Files shown that the missing one may have been renamed to */
const SHOWN = 4;

export function wrongWeights(path: string, expected: string, found: string, cause?: unknown): SluiceError {
  return new SluiceError(
    "E_TEACHER_WEIGHTS",
    `Expected ${expected} in the teacher's file ${path}, found ${found}. Copy the model again, or write its card anew if it was changed on purpose.`,
    { path, expected, found, cause },
  );
}
