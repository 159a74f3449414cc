import type { Config } from "../schemas/config.js";
import { datasetNameSchema } from "../schemas/dataset.js";
import { SluiceError } from "../schemas/errors.js";
import type { OpenedStore } from "./existing-store.js";

export interface VersionName {
  readonly dataset: string;
  readonly version: number | "latest";
}

/**
 * `latest`, `3`, or with the dataset `flowers/3`: of any dataset that is declared or has versions. Without one, the first declared;
 * where none is, the only one that has versions. Throws E_USAGE, E_DATASET_UNKNOWN.
 */
export async function versionNamed(
  store: OpenedStore,
  config: Pick<Config, "datasets">,
  text: string,
): Promise<VersionName> {
  const [, dataset, number] = /^(?:([^/]+)\/)?(latest|[1-9]\d{0,14})$/.exec(text) ?? [];
  if (number === undefined) {
    throw new SluiceError(
      "E_USAGE",
      `Expected a version (latest, 3, or with its dataset ${config.datasets[0]?.name ?? "default"}/3), found "${text}".`,
    );
  }
  return {
    dataset: await versionedDataset(store, config, dataset),
    version: number === "latest" ? "latest" : Number(number),
  };
}

/** A dataset by its name, declared or with versions. Throws E_DATASET_UNKNOWN. */
export async function versionedDataset(
  store: OpenedStore,
  { datasets }: Pick<Config, "datasets">,
  name: string | undefined,
): Promise<string> {
  const declared = datasets.map((one) => one.name);
  const { publishedDatasets, versionNumbers } = await import("../pipelines/versions/versions.js");
  if (name === undefined && declared[0] !== undefined) return declared[0];
  if (name !== undefined && declared.includes(name)) return name;
  const isName = name !== undefined && datasetNameSchema.safeParse(name).success;
  if (isName && (await versionNumbers(store, name)).length > 0) return name;
  const published = await publishedDatasets(store);
  if (name === undefined && published[0] !== undefined && published.length === 1) return published[0];
  const known = [...new Set([...declared, ...published])].join(", ");
  throw new SluiceError(
    "E_DATASET_UNKNOWN",
    `Expected a dataset that is declared in ${store.place} or has versions there${known === "" ? "" : ` (${known})`}, found ${name === undefined ? "no name" : `"${name}"`}` +
      `${known === "" ? ", and the store has none yet: run `sluice ingest`" : ""}.`,
  );
}
