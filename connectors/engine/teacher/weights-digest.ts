import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { SluiceError, messageOf } from "../../../schemas/errors.js";
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

export function wrongWeights(path: string, expected: string, found: string, cause?: unknown): SluiceError {
  return new SluiceError(
    "E_TEACHER_WEIGHTS",
    `Expected ${expected} in the teacher's file ${path}, found ${found}. Copy the model again, or write its card anew if it was changed on purpose.`,
    { path, expected, found, cause },
  );
}
