import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { SluiceError } from "../../schemas/errors.js";
import type { EngineConfig } from "../../schemas/config.js";
import type { ModelCard } from "../../schemas/model-card.js";
import { nativeAbsence, type NativeBackend } from "../native-tfjs.js";
import { deviceAbsence } from "./devices.js";

export type EngineKind = "onnx" | "tfjs";
/** `thread` shares the process: quick, but a native crash ends everything. `process`: a crash costs one worker. */
export type Isolation = "thread" | "process";

/** One way to run a model, whether it is here or not. */
export interface Backend {
  readonly kind: EngineKind;
  readonly name: string;
  readonly formats: readonly ModelCard["format"][];
  /** A GPU takes one worker by default, cores one each */
  readonly device: "cpu" | "gpu";
  /** What `isolation: auto` gives: GPU and TensorFlow libraries may abort, so they get processes. */
  readonly isolation: Isolation;
  /** Why this machine cannot have it (in words that follow "because"), or null. Looks at files, loads nothing. */
  absence(): string | null;
}

const require = createRequire(import.meta.url);
const TFJS: readonly ModelCard["format"][] = ["tfjs-layers", "tfjs-graph"];
const TFJS_NATIVE: readonly ModelCard["format"][] = [...TFJS, "saved-model"];

/** In order of preference within a kind. */
export const BACKENDS: readonly Backend[] = [
  {
    kind: "onnx",
    name: "tensorrt",
    formats: ["onnx"],
    device: "gpu",
    isolation: "process",
    absence: () => noProvider("tensorrt"),
  },
  {
    kind: "onnx",
    name: "cuda",
    formats: ["onnx"],
    device: "gpu",
    isolation: "process",
    absence: () => noProvider("cuda"),
  },
  {
    kind: "onnx",
    name: "cpu",
    formats: ["onnx"],
    device: "cpu",
    isolation: "thread",
    absence: () => noPackage("onnxruntime-node"),
  },
  nativeTfjs("node-gpu", "gpu"),
  nativeTfjs("node", "cpu"),
  portableTfjs("wasm", "@tensorflow/tfjs-backend-wasm"),
  portableTfjs("cpu", "@tensorflow/tfjs-backend-cpu"),
];

/**
 * The backends to try for a model, best first: the one asked for (with `allowFallback` the others of its kind after
 * it), or for `auto` all that are present. Throws E_ENGINE_UNAVAILABLE.
 */
export function candidateBackends(format: ModelCard["format"], config: EngineConfig): readonly Backend[] {
  const kind = config.kind === "auto" ? (format === "onnx" ? "onnx" : "tfjs") : config.kind;
  const able = BACKENDS.filter((backend) => backend.kind === kind && backend.formats.includes(format));
  const present = able.filter((backend) => backend.absence() === null);
  const absenceOf = (backend: Backend): string | null => backend.absence() ?? deviceAbsence(backend, config);
  if (config.backend === "auto") {
    const usable = present.filter((backend) => absenceOf(backend) === null);
    const others = config.allowFallback ? present.filter((backend) => !usable.includes(backend)) : [];
    if (usable.length + others.length > 0) return [...usable, ...others];
    const why = able.map((backend) => `${backend.name}: ${absenceOf(backend) ?? ""}`).join("; ");
    const mend =
      present.length === 0
        ? ""
        : " Leave engine.devices out, or allow another backend with --allow-fallback (engine.allowFallback).";
    throw unavailable(
      able.length === 0
        ? `Expected an engine for a model of format ${format}, found that ${kind} does not run that format. Set engine.kind to auto.`
        : `Expected a ${kind} backend for a model of format ${format}, found none on this machine (${why}).${mend}`,
      { kind, format },
    );
  }
  const asked = able.find((backend) => backend.name === config.backend);
  const others = config.allowFallback ? present.filter((backend) => backend !== asked) : [];
  const absence = asked === undefined ? `${kind} has no such backend for ${format} models` : absenceOf(asked);
  if (asked !== undefined && absence === null) return [asked, ...others];
  // Here, but not with the devices asked for: with them left out it comes first.
  const fallback = config.allowFallback && asked !== undefined && present.includes(asked) ? [asked, ...others] : others;
  if (fallback.length > 0) return fallback;
  throw unavailable(
    `Expected engine backend ${config.backend}, found that it cannot be had because ${absence ?? ""}. ` +
      `Here: ${present.map((backend) => backend.name).join(", ") || "none"}. ` +
      "Set engine.backend to one of these, or allow another one with --allow-fallback (engine.allowFallback).",
    { kind, format, backend: config.backend },
  );
}

export function unavailable(message: string, context: Record<string, unknown>): SluiceError {
  return new SluiceError("E_ENGINE_UNAVAILABLE", message, context);
}

function portableTfjs(name: string, packageName: string): Backend {
  return {
    kind: "tfjs",
    name,
    formats: TFJS,
    device: "cpu",
    isolation: "thread",
    absence: () => noPackage(packageName),
  };
}

function nativeTfjs(name: NativeBackend, device: Backend["device"]): Backend {
  const absence = () => nativeAbsence(name);
  return { kind: "tfjs", name, formats: TFJS_NATIVE, device, isolation: "process", absence };
}

/** onnxruntime's providers are libraries beside its binding; the CPU one is inside it. */
function noProvider(provider: string): string | null {
  if (packageFolder("onnxruntime-node") === null) return noPackage("onnxruntime-node");
  if (providerLibrary(provider) !== null) return null;
  return `onnxruntime-node has no ${provider} library (onnxruntime_providers_${provider}.so or .dll) for ${process.platform} ${process.arch}`;
}

/** The file of one of onnxruntime's providers, or null. */
export function providerLibrary(provider: string): string | null {
  const bin = join(packageFolder("onnxruntime-node") ?? "", "bin");
  const file = filesBelow(bin).find(
    (path) =>
      path.includes(join(process.platform, process.arch)) && path.includes(`onnxruntime_providers_${provider}.`),
  );
  return file === undefined ? null : join(bin, file);
}

function noPackage(packageName: string): string | null {
  return packageFolder(packageName) === null ? `package ${packageName} is not installed` : null;
}

/** The folder of an installed package, found without loading it. */
export function packageFolder(packageName: string): string | null {
  for (const modules of require.resolve.paths(packageName) ?? []) {
    const folder = join(modules, packageName);
    if (existsSync(join(folder, "package.json"))) return folder;
  }
  return null;
}

/** An installed package's version. Throws where it is not installed. */
export function packageVersion(packageName: string): string {
  const folder = packageFolder(packageName) ?? dirname(require.resolve(packageName));
  const { version } = require(join(folder, "package.json")) as { version: string };
  return version;
}

function filesBelow(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: "utf8" }) : [];
}
