import type { Config } from "../schemas/config.js";
import { datasetNameSchema } from "../schemas/dataset.js";
import { tagNameSchema } from "../schemas/version-tag.js";
import { SluiceError } from "../schemas/errors.js";
import type { OpenedStore } from "./existing-store.js";

export interface VersionName {
  readonly dataset: string;
  readonly version: number | "latest";
}

/**
 * `latest`, `3`, a tag such as `production`, or with the dataset `flowers/3`: of any dataset that is declared or has versions. Without
 * one, the first declared; where none is, the only one that has versions. Throws E_USAGE, E_DATASET_UNKNOWN, E_VERSION_MISSING.
 */
export async function versionNamed(
  store: OpenedStore,
  config: Pick<Config, "datasets">,
  text: string,
): Promise<VersionName> {
  const [, named, name = ""] = /^(?:([^/]+)\/)?([^/]+)$/.exec(text) ?? [];
  const isTag = tagNameSchema.safeParse(name).success;
  if (!isTag && !/^(latest|[1-9]\d{0,14})$/.test(name)) {
    throw new SluiceError(
      "E_USAGE",
      `Expected a version (latest, 3, a tag, or with its dataset ${config.datasets[0]?.name ?? "default"}/3), found "${text}".`,
    );
  }
  const dataset = await versionedDataset(store, config, named);
  if (!isTag) return { dataset, version: name === "latest" ? "latest" : Number(name) };
  const { readTags } = await import("../pipelines/versions/versions.js");
  const tags = (await readTags(store, dataset)).filter(({ number }) => number !== null);
  const version = tags.find(({ tag }) => tag === name)?.number ?? null;
  if (version !== null) return { dataset, version };
  throw new SluiceError(
    "E_VERSION_MISSING",
    `Expected a tag of dataset "${dataset}", found "${name}": ${tags.length === 0 ? "it has no tags" : `it has ${tags.map(({ tag }) => tag).join(", ")}`}. ` +
      `\`sluice versions tag latest ${name}\` gives it to the newest version.`,
    { dataset, tag: name },
  );
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
