import { copyFile, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { makeQuickstartImages } from "../../examples/quickstart/make-images.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { writePictures } from "../fixtures/pictures.js";

/**
 * What the documents' hidden blocks call: `fixtures pictures <folder>` writes 60 pictures in three subfolders, some twice
 * and some broken; `fixtures model <file.onnx> [seed]` writes a small classifier without a model card; `fixtures digits <folder>` writes
 * handwritten digits: some labelled, some to test with, some hundred wild. false: it is none of these.
 */
export async function makeFixture([kind, name, seed]: readonly string[], within: string): Promise<boolean> {
  if (name === undefined) return false;
  const path = resolve(within, name);
  switch (kind) {
    case "pictures":
      await writePictures(path, { images: 60, duplicates: 6, broken: 2 });
      return true;
    case "digits":
      await makeQuickstartImages(path, { seed: 1, unlabelled: 300, test: 100, broken: 4 });
      return true;
    case "model":
      await writeModel(path, seed);
      return true;
    default:
      return false;
  }
}

async function writeModel(path: string, seed: string | undefined): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-model-"));
  try {
    await writeSmallTeacher(folder, "onnx", seed === undefined ? {} : { seed: Number(seed) });
    const model = (await readdir(folder)).find((name) => name.endsWith(".onnx"));
    await copyFile(join(folder, model!), path);
  } finally {
    await rm(folder, { recursive: true });
  }
}
