import type { ModelRunner, RunnerSetup } from "./model-runner.js";

/** Loads a model into this thread, and of the libraries only the one that runs it. */
export async function loadRunner(setup: RunnerSetup): Promise<ModelRunner> {
  if (setup.kind === "onnx") return (await import("./onnx.js")).loadOnnx(setup, setup.backend);
  return (await import("./tfjs.js")).loadTfjs(setup, setup.backend);
}
