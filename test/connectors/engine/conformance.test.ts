import { engineConformance } from "../../conformance/engine.js";

engineConformance({ format: "onnx", backend: "cpu", isolation: "thread" });
engineConformance({ format: "onnx", backend: "cpu", isolation: "process" });
engineConformance({ format: "onnx", backend: "cuda", isolation: "process" });
for (const format of ["tfjs-layers", "tfjs-graph"] as const) {
  engineConformance({ format, backend: "wasm", isolation: "thread" });
  engineConformance({ format, backend: "cpu", isolation: "thread" });
  engineConformance({ format, backend: "node", isolation: "process" });
  engineConformance({ format, backend: "node-gpu", isolation: "process" });
}
engineConformance({ format: "saved-model", backend: "node", isolation: "process" });
engineConformance({ format: "saved-model", backend: "node-gpu", isolation: "process" });
