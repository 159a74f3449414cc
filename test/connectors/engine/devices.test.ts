import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BACKENDS, candidateBackends } from "../../../connectors/engine/backends.js";
import { countGpus, deviceAbsence, onlyDevice } from "../../../connectors/engine/devices.js";
import { providersFor } from "../../../connectors/engine/onnx/onnx-runner.js";
import { configSchema, engineSchema } from "../../../schemas/config.js";
import { isSluiceError } from "../../../schemas/errors.js";

const cuda = { kind: "onnx", name: "cuda", device: "gpu" } as const;
const nativeGpu = { kind: "tfjs", name: "node-gpu", device: "gpu" } as const;
const engine = (members: object) => engineSchema.parse(members);

describe("the devices of an engine", () => {
  test("reach onnxruntime's providers; TensorRT leaves to CUDA what it cannot run, where CUDA is here", () => {
    const here = () => true;
    assert.deepEqual(providersFor("cpu", undefined, here), ["cpu"]);
    assert.deepEqual(providersFor("cuda", undefined, here), ["cuda", "cpu"]);
    assert.deepEqual(providersFor("cuda", 1, here), [{ name: "cuda", deviceId: 1 }, "cpu"]);
    assert.deepEqual(providersFor("tensorrt", 2, here), [
      { name: "tensorrt", deviceId: 2 },
      { name: "cuda", deviceId: 2 },
      "cpu",
    ]);
    assert.deepEqual(
      providersFor("tensorrt", undefined, (name) => name === "tensorrt"),
      ["tensorrt", "cpu"],
    );
  });

  test("reach TensorFlow by the one variable it reads, among those that this process may see", () => {
    assert.equal(onlyDevice(1, undefined), "1");
    assert.equal(onlyDevice(1, "3,5"), "5");
    assert.equal(onlyDevice(0, "GPU-8932f937"), "GPU-8932f937");
    for (const visible of ["", "-1", "3"]) {
      assert.throws(
        () => onlyDevice(1, visible),
        (error) => isSluiceError(error, "E_ENGINE_UNAVAILABLE") && error.message.includes("CUDA_VISIBLE_DEVICES"),
      );
    }
  });

  test("are counted by the driver's files and what CUDA_VISIBLE_DEVICES leaves of them", () => {
    const files = ["null", "nvidia0", "nvidia1", "nvidia-uvm", "nvidiactl"];
    assert.equal(countGpus(undefined, files), 2);
    assert.equal(countGpus("1", files), 1);
    assert.equal(countGpus("1,-1,0", files), 1);
    assert.equal(countGpus(undefined, ["null"]), 0);
    assert.equal(countGpus(undefined, ["dxg"]), null);
  });

  test("that are not there are named, with those that are", () => {
    const asked = engine({ devices: [0, 1, 4] });
    assert.match(deviceAbsence(cuda, asked, 2)!, /GPUs 0, 1, 4, and only 0 to 1 .* no 4$/);
    assert.match(deviceAbsence(cuda, asked, 1)!, /only 0 .* no 1, 4$/);
    assert.match(deviceAbsence(cuda, asked, 0)!, /none of this machine's/);
    assert.equal(deviceAbsence(cuda, asked, 5), null);
    assert.equal(deviceAbsence(cuda, asked, null), null);
    assert.equal(deviceAbsence(cuda, engine({}), 0), null);
    assert.match(deviceAbsence({ ...cuda, name: "cpu", device: "cpu" }, asked, 5)!, /runs on the processor/);
    const threads = engine({ devices: [0], isolation: "thread" });
    assert.match(deviceAbsence(nativeGpu, threads, 1)!, /engine\.isolation/);
    assert.equal(deviceAbsence(cuda, threads, 1), null);
  });

  test("make a processor's backend no answer, unless another one may be taken", () => {
    for (const backend of ["auto", "cpu"]) {
      const asked = engine({ backend, devices: [999] });
      assert.throws(
        () => candidateBackends("onnx", asked),
        (error) =>
          isSluiceError(error, "E_ENGINE_UNAVAILABLE") && /engine\.devices asks for GPU 999/.test(error.message),
      );
      const names = candidateBackends("onnx", { ...asked, allowFallback: true }).map(({ name }) => name);
      assert.ok(names.includes("cpu"));
    }
  });

  test("TensorRT is the first to try of onnxruntime's, and one that is asked for and not here is refused by its name", () => {
    const onnx = BACKENDS.filter(({ kind }) => kind === "onnx").map(({ name }) => name);
    assert.deepEqual(onnx, ["tensorrt", "cuda", "cpu"]);
    const tensorrt = BACKENDS.find(({ name }) => name === "tensorrt")!;
    if (tensorrt.absence() === null) return;
    assert.throws(
      () => candidateBackends("onnx", engine({ backend: "tensorrt" })),
      (error) =>
        isSluiceError(error, "E_ENGINE_UNAVAILABLE") &&
        /no tensorrt library \(onnxruntime_providers_tensorrt/.test(error.message),
    );
  });

  test("are each named once, with a worker each", () => {
    const faults = (members: object) =>
      (configSchema.safeParse({ engine: members }).error?.issues ?? []).map(
        ({ path, message }) => `${path.join(".")}: ${message}`,
      );
    assert.deepEqual(faults({ devices: [0, 1], workers: 4 }), []);
    assert.deepEqual(faults({ devices: [1, 1] }), ["engine.devices: expected each GPU once, found 1, 1"]);
    assert.match(faults({ devices: [0, 1], workers: 1 })[0]!, /engine\.workers: expected at least one for each of 2/);
    assert.equal(faults({ devices: [] }).length, 1);
    assert.equal(faults({ batch: "many" }).length, 1);
  });
});
