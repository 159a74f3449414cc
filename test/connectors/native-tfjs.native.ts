import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { openEngine } from "../../connectors/engine/open.js";
import { cachedBuild, hasGpuDevice, NATIVE_RECIPE } from "../../connectors/native-tfjs.js";
import { engineSchema } from "../../schemas/config.js";
import { isSluiceError } from "../../schemas/errors.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { withFolder } from "../conformance/engine.js";

const TRY_PROGRAM = fileURLToPath(new URL("../../deploy/tfjs-native/try-binding.js", import.meta.url));

for (const variant of ["cpu", "gpu"] as const) {
  const build = cachedBuild(variant);
  const skip = build === null ? `not built: npm run tfjs-native -- ${variant}` : false;
  describe(`the native TensorFlow.js built for ${variant}`, { skip }, () => {
    test("loads into a fresh process, computes, and says on what", async () => {
      const { stdout } = await promisify(execFile)(process.execPath, [TRY_PROGRAM, build!.folder]);
      const device = variant === "gpu" && hasGpuDevice() ? "a GPU" : "the processor";
      assert.equal(stdout, `TensorFlow ${NATIVE_RECIPE.tensorflow} computes, on ${device}\n`);
    });
  });
}

const noGpu = hasGpuDevice() ? "this machine has a GPU" : cachedBuild("gpu") === null ? "not built" : null;

describe("the native TensorFlow.js for GPUs on a machine without one", { skip: noGpu ?? false }, () => {
  test("is refused as node-gpu, unless another backend may be taken, and then says which device runs", async () => {
    await withFolder(async (folder) => {
      const teacher = await writeSmallTeacher(folder, "saved-model");
      const config = { kind: "tfjs", backend: "node-gpu", workers: 1, batch: 4 };
      await assert.rejects(openEngine(teacher, engineSchema.parse(config)), (error) => {
        assert.ok(isSluiceError(error, "E_ENGINE_UNAVAILABLE"));
        assert.match(error.message, /node-gpu.*no NVIDIA driver/);
        return true;
      });
      const engine = await openEngine(teacher, engineSchema.parse({ ...config, allowFallback: true }));
      try {
        assert.equal(engine.info.backend, "node");
        assert.match(engine.info.device, /^cpu/);
      } finally {
        await engine.close();
      }
    });
  });
});
