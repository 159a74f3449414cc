import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseLabels } from "../../../connectors/engine/teacher/label-file.js";
import { readPythonLiteral } from "../../../connectors/engine/teacher/cards/python-literal.js";
import { innerNormalise } from "../../../connectors/engine/model-file/inner-normalise.js";
import { readOnnx } from "../../../connectors/engine/model-file/read-onnx.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { writeSmallTeacher } from "../../fixtures/models.js";
import type { FuzzTarget } from "../fuzz-target.js";
import { mutateBytes, oneOf } from "../mutate.js";

const LABELS = [
  '{"id2label": {"0": "cat", "1": "dog"}}',
  '["cat", "dog"]',
  "cat\ndog\n",
  "0 n01440764 tench\n1 n01443537 goldfish\n",
  "{0: 'cat', 1: \"dog\", 2: None}",
  "id,name\n0,cat\n1,dog\n",
];

export const MODELS: FuzzTarget = {
  name: "models",
  what: "model files (ONNX) and files of class names, as far as our own readers read them",
  extension: "bin",
  prepare: async (folder) => {
    await writeSmallTeacher(join(folder, "teacher"), "onnx");
    const names = (await readdir(join(folder, "teacher"))).filter((name) => name.endsWith(".onnx"));
    const models = await Promise.all(names.map((name) => readFile(join(folder, "teacher", name))));
    const labels = LABELS.map((text) => Buffer.from(text));
    return {
      make: (next) => {
        const corpus = next() < 0.6 ? models : labels;
        return mutateBytes(next, oneOf(next, corpus), oneOf(next, corpus));
      },
      run: async (bytes) => {
        const text = Buffer.from(bytes).toString();
        for (const read of [
          () => parseLabels(bytes, "labels.txt"),
          () => parseLabels(bytes, "labels.json"),
          () => readPythonLiteral(text),
          () => innerNormalise(readOnnx(bytes).graph),
        ]) {
          try {
            read();
          } catch (error) {
            // Their callers say of RangeErrors that the file does not read as a model.
            if (!(error instanceof RangeError) && !isSluiceError(error)) throw error;
          }
        }
      },
    };
  },
};
