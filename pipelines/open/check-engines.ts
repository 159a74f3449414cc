import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  probeLibraries,
  remedyFor,
  TENSORFLOW_NEEDS,
  unresolvedBy,
  type LibraryState,
} from "../../connectors/engine/onnx/cuda-libraries.js";
import { BACKENDS, providerLibrary } from "../../connectors/engine/backends.js";
import { cachedBuild, hasGpuDevice, nativeBuilds, type NativeBuild } from "../../connectors/native-tfjs.js";
import type { EngineConfig } from "../../schemas/config.js";
import { messageOf } from "../../schemas/errors.js";
import type { CheckLine } from "../check.js";

/** The oldest driver that runs CUDA 12 */
const LEAST_DRIVER = 525;

/** Which engines and backends are here, which native TensorFlow.js is built, and what CUDA lacks. */
export async function* engineLines(engine: EngineConfig | null): AsyncGenerator<CheckLine> {
  for (const kind of ["onnx", "tfjs"] as const) yield backendLine(kind, engine);
  yield nativeLine();
  yield* cudaLines(engine);
}

function backendLine(kind: "onnx" | "tfjs", engine: EngineConfig | null): CheckLine {
  const backends = BACKENDS.filter((backend) => backend.kind === kind);
  const states = backends.map((one) => ({
    name: one.name,
    device: one.device,
    formats: one.formats,
    absence: one.absence(),
  }));
  const present = states.filter(({ absence }) => absence === null).map(({ name }) => name);
  const absent = states.flatMap(({ name, absence }) => (absence === null ? [] : [`${name} (${absence})`]));
  const asked = engine !== null && (engine.kind === kind || engine.kind === "auto") ? engine.backend : "auto";
  const missing = backends.some(({ name }) => name === asked) && !present.includes(asked);
  const mayFallBack = engine?.allowFallback === true;
  return {
    subject: `engine ${kind}`,
    state: missing ? (mayFallBack ? "warn" : "fail") : present.length === 0 ? "warn" : "ok",
    message:
      (present.length === 0 ? "no backend" : present.join(", ")) +
      (absent.length === 0 ? "" : `; not here: ${absent.join(", ")}`),
    ...(missing && !mayFallBack ? { code: "E_ENGINE_UNAVAILABLE" as const } : {}),
    facts: { kind, backends: states },
  };
}

function nativeLine(): CheckLine {
  const builds = [
    ...new Map([...nativeBuilds("node-gpu"), ...nativeBuilds("node")].map((b) => [b.folder, b])).values(),
  ];
  const text = ({ variant, tensorflow, folder }: NativeBuild): string =>
    variant === null ? `installed in ${folder}` : `built for ${variant}, TensorFlow ${tensorflow ?? "?"} (${folder})`;
  return {
    subject: "native tfjs",
    state: "ok",
    message:
      builds.length === 0
        ? "not built; it runs SavedModels, trains every layer, and uses GPUs: npm run tfjs-native -- cpu (or gpu)"
        : builds.map(text).join("; "),
    facts: { builds },
  };
}

/** Only where something here could use CUDA: a machine without a GPU hears nothing of it. */
async function* cudaLines(engine: EngineConfig | null): AsyncGenerator<CheckLine> {
  const build = cachedBuild("gpu");
  if (hasGpuDevice()) yield await driverLine();
  if (build !== null) {
    const libraries = await probeLibraries(TENSORFLOW_NEEDS, join(build.folder, "deps", "nvidia"));
    yield libraryLine("node-gpu", libraries, engine);
  } else if (hasGpuDevice()) {
    const message = "a GPU is here, and no native TensorFlow.js for it: npm run tfjs-native -- gpu cuda";
    yield { subject: "cuda", state: "ok", message };
  }
  for (const provider of ["cuda", "tensorrt"]) {
    const file = providerLibrary(provider);
    if (file === null) continue;
    const missing = await unresolvedBy(file);
    const ready = `onnx ${provider}: every library that it is linked with is found`;
    const message =
      missing.length === 0
        ? ready
        : `onnx ${provider} lacks ${missing.join(", ")}: install them, or name their folder in LD_LIBRARY_PATH`;
    yield { subject: "cuda", ...stateOf(missing.length > 0, provider, engine), message, facts: { provider, missing } };
  }
}

function libraryLine(backend: string, libraries: readonly LibraryState[], engine: EngineConfig | null): CheckLine {
  const missing = libraries.filter(({ path }) => path === null);
  const message =
    missing.length === 0
      ? `tfjs ${backend}: every library that TensorFlow opens is found`
      : `tfjs ${backend} lacks ${missing.map(({ name, partOf }) => `${name} (${partOf})`).join(", ")}, and runs on the processor: ${remedyFor(missing)}`;
  return { subject: "cuda", ...stateOf(missing.length > 0, backend, engine), message, facts: { backend, libraries } };
}

async function driverLine(): Promise<CheckLine> {
  const subject = "cuda";
  try {
    const text = await readFile("/proc/driver/nvidia/version", "utf8");
    const version = /\s(\d+\.\d+(\.\d+)?)\s/.exec(text)?.[1] ?? "of an unknown version";
    const isOld = Number.parseInt(version, 10) < LEAST_DRIVER;
    return {
      subject,
      state: isOld ? "warn" : "ok",
      message: `NVIDIA's driver ${version}${isOld ? `, older than ${LEAST_DRIVER}, which CUDA 12 needs: update it` : ""}`,
      facts: { driver: version },
    };
  } catch (error) {
    return { subject, state: "warn", message: `the driver's version cannot be read: ${messageOf(error)}` };
  }
}

function stateOf(isLacking: boolean, backend: string, engine: EngineConfig | null): Pick<CheckLine, "state" | "code"> {
  if (!isLacking) return { state: "ok" };
  const isAsked = engine?.backend === backend && !engine.allowFallback;
  return isAsked ? { state: "fail", code: "E_ENGINE_UNAVAILABLE" } : { state: "warn" };
}
