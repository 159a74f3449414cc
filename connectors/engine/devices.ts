import { existsSync, readdirSync } from "node:fs";
import type { EngineConfig } from "../../schemas/config.js";
import { SluiceError } from "../../schemas/errors.js";
import type { Backend } from "./backends.js";

/**
 * Why a backend cannot have the devices that are asked for (in words that follow "because"), or null. `gpuCount` is how many GPUs the
 * driver shows, null where it does not tell.
 */
export function deviceAbsence(
  backend: Pick<Backend, "kind" | "name" | "device">,
  { devices, isolation }: Pick<EngineConfig, "devices" | "isolation">,
  gpuCount: number | null = countGpus(),
): string | null {
  if (devices === undefined) return null;
  const asked = `engine.devices asks for ${devices.length === 1 ? "GPU" : "GPUs"} ${devices.join(", ")}`;
  if (backend.device !== "gpu") return `${asked}, and it runs on the processor`;
  if (backend.kind === "tfjs" && isolation === "thread")
    return `${asked}, and TensorFlow takes its device from its process: set engine.isolation to process or auto`;
  const absent = gpuCount === null ? [] : devices.filter((device) => device >= gpuCount);
  if (absent.length === 0) return null;
  const here = gpuCount === 0 ? "none" : gpuCount === 1 ? "only 0" : `only 0 to ${gpuCount! - 1}`;
  return `${asked}, and ${here} of this machine's can be used: no ${absent.join(", ")}`;
}

/** GPUs that programs may use: what CUDA_VISIBLE_DEVICES leaves of those that the driver made a file for. null: not known (WSL). */
export function countGpus(
  visible: string | undefined = process.env["CUDA_VISIBLE_DEVICES"],
  files: readonly string[] = existsSync("/dev") ? readdirSync("/dev") : [],
): number | null {
  const here = files.filter((name) => /^nvidia\d+$/.test(name)).length;
  if (here === 0) return files.includes("dxg") ? null : 0;
  return visible === undefined ? here : visibleOf(visible).length;
}

/**
 * What CUDA_VISIBLE_DEVICES must be for a process to see that device alone. Numbers count what the variable left of the machine's.
 * Throws E_ENGINE_UNAVAILABLE.
 */
export function onlyDevice(device: number, visible: string | undefined): string {
  if (visible === undefined) return String(device);
  const one = visibleOf(visible)[device];
  if (one !== undefined) return one;
  throw new SluiceError(
    "E_ENGINE_UNAVAILABLE",
    `Expected GPU ${device} (engine.devices), found that CUDA_VISIBLE_DEVICES=${visible} leaves ${visibleOf(visible).length} to this process.`,
    { device, visible },
  );
}

/** CUDA reads the list up to its first entry that is no device. */
function visibleOf(text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  const end = names.findIndex((name) => name === "" || name.startsWith("-"));
  return end < 0 ? names : names.slice(0, end);
}
