import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { openSharpDecoder } from "../../../connectors/decoder/libvips/libvips-decoder.js";
import { loadTeacher } from "../../../connectors/engine/teacher/teacher-files.js";
import { nativeAbsence } from "../../../connectors/native-tfjs.js";
import { addTeacher } from "../../../pipelines/training/add-teacher.js";
import { decodeSchema, engineSchema } from "../../../schemas/config.js";
import { withFolder } from "../../conformance/engine.js";
import { writeSmallTeacher } from "../../fixtures/models.js";

test("a SavedModel's folder becomes a teacher", { skip: nativeAbsence("node") ?? false }, async () => {
  await withFolder(async (folder) => {
    const { card: expected } = await writeSmallTeacher(folder, "saved-model");
    await rm(join(folder, "model-card.json"));
    const { card, engine } = await addTeacher({
      model: folder,
      choices: { normalise: expected.normalise, resize: { mode: "stretch" } },
      overwrite: false,
      engine: engineSchema.parse({ workers: 1, batch: 4 }),
      decode: decodeSchema.parse({}),
      decoder: openSharpDecoder(),
    });
    assert.deepEqual(card.input, expected.input);
    assert.deepEqual(card.weights, expected.weights);
    assert.deepEqual(card.output, expected.output);
    assert.match(engine?.version ?? "", /with TensorFlow \d/);
    assert.deepEqual((await loadTeacher(folder)).card, card);
  });
});
