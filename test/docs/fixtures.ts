import { copyFile, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeQuickstartImages } from "../../examples/quickstart/make-images.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { writePictures } from "../fixtures/pictures.js";

/**
 * What the documents' hidden blocks call: `fixtures pictures <folder>` writes 60 pictures in three subfolders, some twice
 * and some broken; `fixtures model <file.onnx> [seed]` writes a small classifier without a model card; `fixtures digits <folder>` writes
 * handwritten digits: some labelled, some to test with, some hundred wild.
 */
const [kind, path, seed] = process.argv.slice(2);
if (kind === "pictures" && path !== undefined) {
  await writePictures(path, { images: 60, duplicates: 6, broken: 2 });
} else if (kind === "digits" && path !== undefined) {
  await makeQuickstartImages(path, { seed: 1, unlabelled: 300, test: 100, broken: 4 });
} else if (kind === "model" && path !== undefined) {
  const folder = await mkdtemp(join(tmpdir(), "sluice-model-"));
  try {
    await writeSmallTeacher(folder, "onnx", seed === undefined ? {} : { seed: Number(seed) });
    const model = (await readdir(folder)).find((name) => name.endsWith(".onnx"));
    await copyFile(join(folder, model!), path);
  } finally {
    await rm(folder, { recursive: true });
  }
} else {
  process.stderr.write(
    "expected: fixtures pictures <folder> | fixtures model <file.onnx> [seed] | fixtures digits <folder>\n",
  );
  process.exitCode = 64;
}
