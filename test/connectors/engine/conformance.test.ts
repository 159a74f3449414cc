import { engineConformance } from "../../conformance/engine.js";

engineConformance({ format: "onnx", backend: "cpu", isolation: "thread" });
engineConformance({ format: "onnx", backend: "cpu", isolation: "process" });
for (const format of ["tfjs-layers", "tfjs-graph"] as const) {
  engineConformance({ format, backend: "wasm", isolation: "thread" });
  engineConformance({ format, backend: "cpu", isolation: "thread" });
}
