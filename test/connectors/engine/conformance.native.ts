import { engineConformance } from "../../conformance/engine.js";

engineConformance({ format: "onnx", backend: "cuda", isolation: "process" });
engineConformance({ format: "onnx", backend: "tensorrt", isolation: "process" });
for (const format of ["tfjs-layers", "tfjs-graph", "saved-model"] as const) {
  engineConformance({ format, backend: "node", isolation: "process" });
  engineConformance({ format, backend: "node-gpu", isolation: "process" });
}
