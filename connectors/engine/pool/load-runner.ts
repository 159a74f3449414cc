import type { ModelRunner, RunnerSetup } from "./model-runner.js";

/** Loads a model into this thread, and of the libraries only the one that runs it. */
export async function loadRunner(setup: RunnerSetup): Promise<ModelRunner> {
  if (setup.kind === "onnx") return (await import("../onnx/onnx-runner.js")).loadOnnx(setup, setup.backend);
  return (await import("../tfjs/tfjs-runner.js")).loadTfjs(setup, setup.backend);
}
