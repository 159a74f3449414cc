import assert from "node:assert/strict";
import { appendFile, copyFile, mkdir, readFile, rename, rm, truncate, writeFile, symlink } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { openEngine } from "../../../../connectors/engine/open.js";
import { loadTeacher, writeCard, writeCardBeside } from "../../../../connectors/engine/teacher/teacher-files.js";
import { describeWeights } from "../../../../connectors/engine/teacher/weights-digest.js";
import { countText } from "../../../../schemas/counted.js";
import { engineSchema } from "../../../../schemas/config.js";
import { sha256Hex } from "../../../../schemas/canonical.js";
import { isSluiceError, type ErrorCode } from "../../../../schemas/errors.js";
import { withFolder } from "../../../conformance/engine.js";
import { teacherDigest } from "../../../../schemas/model-card.js";
import { withExternalWeights } from "../../../fixtures/external-weights.js";
import { writeSmallTeacher } from "../../../fixtures/models.js";

async function refused(path: string, code: ErrorCode, message: RegExp) {
  await assert.rejects(loadTeacher(path), (error) => {
    assert.ok(isSluiceError(error, code), String(error));
    assert.match(error.message, message);
    return true;
  });
}

describe("a teacher's files", () => {
  test("are found from the folder, the card, or the model", async () => {
    await withFolder(async (folder) => {
      const { card } = await writeSmallTeacher(folder, "tfjs-layers");
      for (const path of [folder, join(folder, "model-card.json"), join(folder, "model.json")]) {
        const cardPath = join(folder, "model-card.json");
        assert.deepEqual(await loadTeacher(path), { card, folder, cardPath, assumptions: [] });
      }
    });
  });

  test("are found from a card named after the model, before one named after the folder", async () => {
    await withFolder(async (folder) => {
      const { card } = await writeSmallTeacher(folder, "onnx");
      await writeCardBeside(join(folder, "model.onnx"), { ...card, name: "beside" });
      assert.equal((await loadTeacher(join(folder, "model.onnx"))).card.name, "beside");
      assert.equal((await loadTeacher(join(folder, "model.card.json"))).card.name, "beside");
      assert.equal((await loadTeacher(folder)).card.name, card.name);
    });
  });

  test("a card whose classes nobody named takes their names from a file that is put beside the model later", async () => {
    await withFolder(async (folder) => {
      const { card } = await writeSmallTeacher(folder, "onnx");
      const invented = { ...card, labels: card.labels.map((_, at) => `class-${at}`) };
      await writeCardBeside(join(folder, "model.onnx"), invented);
      const load = () => loadTeacher(join(folder, "model.onnx"));
      await writeFile(join(folder, "labels.txt"), "of\nanother\nmodel\n");
      assert.deepEqual((await load()).card.labels, invented.labels);
      const names = invented.labels.map((_, at) => `kind ${at}`);
      await writeFile(join(folder, "model.labels.txt"), names.join("\n"));
      const named = await load();
      assert.deepEqual(named.card.labels, names);
      assert.deepEqual(named.assumptions, ["Classes are named by model.labels.txt."]);
      assert.equal(teacherDigest(named.card), teacherDigest(invented));
      await writeFile(join(folder, "model.labels.txt"), "too\nfew\n");
      await refused(join(folder, "model.onnx"), "E_TEACHER_LABELS", /model\.labels\.txt/);
      await writeCardBeside(join(folder, "model.onnx"), { ...card, labels: names });
      assert.deepEqual((await load()).card.labels, names);
    });
  });

  test("have the digests that the bytes have", async () => {
    await withFolder(async (folder) => {
      await writeSmallTeacher(folder, "tfjs-layers");
      const names = ["model.json", "weights.bin"];
      const bytes = await Promise.all(names.map((name) => readFile(join(folder, name))));
      const expected = bytes.map((part, at) => ({ path: names[at], sizeBytes: part.length, sha256: sha256Hex(part) }));
      const found = await describeWeights(folder, names);
      assert.deepEqual(found.files, expected);
      assert.equal(found.sha256, sha256Hex(expected.map((file) => file.sha256).join("\n")));
    });
  });

  test("that the system does not let be looked at are not said to be missing", async () => {
    await withFolder(async (folder) => {
      await symlink("loop", join(folder, "loop"));
      await assert.rejects(loadTeacher(join(folder, "loop")), { code: "ELOOP" });
      await writeSmallTeacher(folder, "tfjs-layers");
      await rm(join(folder, "weights.bin"));
      await symlink("weights.bin", join(folder, "weights.bin"));
      await assert.rejects(loadTeacher(folder), { code: "ELOOP" });
    });
  });

  test("are refused where one is missing, truncated, or another", async () => {
    await withFolder(async (folder) => {
      await writeSmallTeacher(folder, "tfjs-layers");
      const weights = join(folder, "weights.bin");
      const bytes = await readFile(weights);
      await truncate(weights, bytes.length - 1);
      await refused(
        folder,
        "E_TEACHER_WEIGHTS",
        new RegExp(
          `Expected ${countText(bytes.length)} bytes.*weights.bin, found ${countText(bytes.length - 1)} bytes`,
        ),
      );
      bytes[7]! ^= 1;
      await writeFile(weights, bytes);
      await refused(
        folder,
        "E_TEACHER_WEIGHTS",
        new RegExp(`Expected SHA-256 .*weights.bin, found SHA-256 ${sha256Hex(bytes)}`),
      );
      await rm(weights);
      await refused(
        folder,
        "E_TEACHER_WEIGHTS",
        /weights\.bin, which its card names, at .*weights\.bin, found none of that name/,
      );
    });
  });

  test("are refused with a card that is wrong, naming the member", async () => {
    await withFolder(async (folder) => {
      const { card } = await writeSmallTeacher(folder, "onnx");
      const path = join(folder, "model-card.json");
      const write = (value: unknown) => writeFile(path, JSON.stringify(value));
      await write({ ...card, input: { ...card.input, width: "wide" } });
      await refused(folder, "E_TEACHER_CARD", /input\.width: /);
      await write({ ...card, resize: { ...card.resize, kernel: "lanczos9" }, labels: ["one"] });
      await refused(folder, "E_TEACHER_CARD", /resize\.kernel: .*labels: /);
      await write({ ...card, weights: { ...card.weights, sha256: "0".repeat(64) } });
      await refused(folder, "E_TEACHER_CARD", /weights\.sha256/);
      await writeFile(path, "{");
      await refused(path, "E_TEACHER_CARD", /JSON at .*model-card\.json/);
      await rm(path);
      assert.equal((await loadTeacher(folder)).cardPath, null, "a bare .onnx file of a folder gets a card inferred");
      await rm(join(folder, "model.onnx"));
      await refused(folder, "E_TEACHER_CARD", /model-card\.json in the folder, found none/);
      await refused(join(folder, "absent"), "E_TEACHER_CARD", /found nothing there/);
      await writeFile(join(folder, "model.json"), "{}");
      await refused(join(folder, "model.json"), "E_TEACHER_CARD", /card beside the model/);
    });
  });

  test("a card is written as it is read", async () => {
    await withFolder(async (folder) => {
      const { card } = await writeSmallTeacher(folder, "onnx", { fixedBatch: 3 });
      assert.equal(await writeCard(folder, card), join(folder, "model-card.json"));
      assert.deepEqual((await loadTeacher(folder)).card, card);
    });
  });
});

describe("another tool's JSON", () => {
  test("is never taken for a card, is named, and is not passed over silently", async () => {
    await withFolder(async (folder) => {
      const { card } = await writeSmallTeacher(folder, "onnx");
      const path = join(folder, "model-card.json");
      await writeFile(path, JSON.stringify({ model_details: {}, considerations: {} }));
      await refused(path, "E_TEACHER_CARD", /JSON of another tool \(model_details, considerations\).*teacher add/);
      for (const given of [folder, join(folder, "model.onnx")]) {
        const { cardPath, assumptions } = await loadTeacher(given);
        assert.equal(cardPath, null);
        assert.match(assumptions.join("\n"), /model-card\.json is JSON of another tool .* was not read/);
      }
      await writeCardBeside(join(folder, "model.onnx"), card);
      assert.deepEqual((await loadTeacher(folder)).card, card);
    });
  });
});

describe("weights in files of their own", () => {
  test("are the teacher's, whatever they are called and wherever they lie below the model", async () => {
    await withFolder(async (folder) => {
      await writeSmallTeacher(folder, "onnx");
      await rm(join(folder, "model-card.json"));
      const model = join(folder, "model.onnx");
      const { bytes, weights } = withExternalWeights(await readFile(model), "parts/anything.xyz");
      await writeFile(model, bytes);
      await refused(
        model,
        "E_TEACHER_WEIGHTS",
        /parts\/anything\.xyz, which model\.onnx names, at .*anything\.xyz, found no/,
      );
      await mkdir(join(folder, "parts"));
      await writeFile(join(folder, "parts", "anything.xyz"), weights);
      const before = await loadTeacher(model);
      assert.deepEqual(
        before.card.weights.files.map((file) => file.path),
        ["model.onnx", "parts/anything.xyz"],
      );
      const engine = await openEngine(before, engineSchema.parse({ workers: 1 }));
      assert.equal((await engine.score({ count: 1, pixels: new Uint8Array(768) })).length, 10);
      await engine.close();
      await writeCard(folder, before.card);
      weights.fill(0, 0, 40);
      await writeFile(join(folder, "parts", "anything.xyz"), weights);
      await refused(folder, "E_TEACHER_WEIGHTS", /Expected SHA-256 .*anything\.xyz/);
      await rm(join(folder, "model-card.json"));
      assert.notEqual(teacherDigest((await loadTeacher(model)).card), teacherDigest(before.card));
    });
  });

  test("are refused where a card leaves them out, or where they lie outside of the folder", async () => {
    await withFolder(async (folder) => {
      const { card } = await writeSmallTeacher(folder, "onnx");
      const model = join(folder, "model.onnx");
      const plain = await readFile(model);
      const { bytes, weights } = withExternalWeights(plain, "w.bin");
      await writeFile(model, bytes);
      await writeFile(join(folder, "w.bin"), weights);
      await writeCard(folder, { ...card, weights: await describeWeights(folder, ["model.onnx"]) });
      await refused(folder, "E_TEACHER_WEIGHTS", /list w\.bin, which model\.onnx names/);
      await rm(join(folder, "model-card.json"));
      for (const location of ["../w.bin", "/w.bin"]) {
        await writeFile(model, withExternalWeights(plain, location).bytes);
        await refused(model, "E_TEACHER_CARD", /in its folder or below/);
      }
    });
  });
});

describe("a card inferred for a bare .onnx file", () => {
  async function bare(folder: string, options: Parameters<typeof writeSmallTeacher>[2]) {
    const made = await writeSmallTeacher(join(folder, "made"), "onnx", options);
    const path = join(folder, "birds.onnx");
    await copyFile(join(made.folder, "model.onnx"), path);
    return { path, made };
  }

  test("takes shapes and the kind of output from the model, and says what it assumed", async () => {
    await withFolder(async (folder) => {
      const { path } = await bare(folder, { side: 20, output: "probabilities" });
      const { card, assumptions } = await loadTeacher(path);
      assert.deepEqual(card.input, { width: 20, height: 20, layout: "NCHW", colour: "rgb" });
      assert.equal(card.output.kind, "probabilities");
      assert.equal(card.name, "birds");
      assert.equal(card.labels.length, 10);
      assert.equal(card.labels[9], "class-9");
      assert.match(assumptions.join("\n"), /NCHW, 20 x 20 px, RGB/);
      assert.match(assumptions.join("\n"), /ImageNet/);
      assert.match(assumptions.join("\n"), /birds\.labels\.txt/);
    });
  });

  test("is a card: the model runs with it, and it can be written and read", async () => {
    await withFolder(async (folder) => {
      const { path } = await bare(folder, { colour: "grey", output: "logits", fixedBatch: 2 });
      const inferred = await loadTeacher(path);
      assert.equal(inferred.card.input.fixedBatch, 2);
      assert.equal(inferred.card.input.colour, "grey");
      assert.equal(inferred.card.output.kind, "logits");
      const engine = await openEngine(inferred, engineSchema.parse({ workers: 1 }));
      assert.equal((await engine.score({ count: 3, pixels: new Uint8Array(3 * 256) })).length, 30);
      await engine.close();
      await writeCardBeside(path, inferred.card);
      assert.deepEqual((await loadTeacher(path)).card, inferred.card);
    });
  });

  test("names classes by <name>.labels.txt, which must have one for each output", async () => {
    await withFolder(async (folder) => {
      const { path } = await bare(folder, {});
      const labels = Array.from({ length: 10 }, (_, at) => `bird ${at}`);
      await writeFile(join(folder, "birds.labels.txt"), `${labels.join("\r\n")}\n`);
      assert.deepEqual((await loadTeacher(path)).card.labels, labels);
      await writeFile(join(folder, "birds.labels.txt"), labels.slice(1).join("\n"));
      await refused(path, "E_TEACHER_LABELS", /Expected 10 labels .*found 9/);
    });
  });

  test("is refused for a file that is no model", async () => {
    await withFolder(async (folder) => {
      const { path } = await bare(folder, {});
      await appendFile(path, "more");
      await rename(path, join(folder, "worms.onnx"));
      await refused(join(folder, "worms.onnx"), "E_ENGINE_LOAD", /worms\.onnx/);
      await mkdir(join(folder, "empty"));
      await writeFile(join(folder, "empty", "model.onnx"), "");
      await refused(join(folder, "empty", "model.onnx"), "E_TEACHER_CARD", /model\.onnx, found an empty file/);
    });
  });
});
