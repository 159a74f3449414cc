import type { Config } from "../schemas/config.js";
import { SluiceError } from "../schemas/errors.js";
import { datasetNamed } from "./existing-store.js";

export interface VersionName {
  readonly dataset: string;
  readonly version: number | "latest";
}

/** `latest`, `3`, or with the dataset `flowers/3`; without one, the first declared. Throws E_USAGE, E_DATASET_UNKNOWN. */
export function versionNamed(config: Config, text: string): VersionName {
  const [, dataset, number] = /^(?:([^/]+)\/)?(latest|[1-9]\d{0,14})$/.exec(text) ?? [];
  if (number === undefined) {
    throw new SluiceError(
      "E_USAGE",
      `Expected a version (latest, 3, or with its dataset ${config.datasets[0]?.name ?? "default"}/3), found "${text}".`,
    );
  }
  return { dataset: datasetNamed(config, dataset).name, version: number === "latest" ? "latest" : Number(number) };
}
