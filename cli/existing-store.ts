import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../schemas/config.js";
import { SluiceError } from "../schemas/errors.js";

/** The store of a data folder that is there: commands that only read leave no folder behind. Throws E_STORE_MISSING. */
export async function openExistingStore(
  config: Config,
): Promise<Awaited<ReturnType<typeof import("../pipelines/runtime/workspace.js").openStore>>> {
  const { FOLDERS, openStore } = await import("../pipelines/runtime/workspace.js");
  if (config.s3 === undefined && !existsSync(join(config.data, FOLDERS.store))) {
    throw new SluiceError(
      "E_STORE_MISSING",
      `Expected a data folder at ${config.data}, found none with anything in it. Run \`sluice ingest\` first, or name another with --data.`,
      { folder: config.data },
    );
  }
  return openStore(config);
}

/** A declared dataset by its name; without one, the first. Throws E_DATASET_UNKNOWN. */
export function datasetNamed(config: Config, name: string | undefined): Config["datasets"][number] {
  const found = name === undefined ? config.datasets[0] : config.datasets.find((dataset) => dataset.name === name);
  if (found !== undefined) return found;
  const names = config.datasets.map((dataset) => dataset.name).join(", ");
  throw new SluiceError(
    "E_DATASET_UNKNOWN",
    `Expected one of the declared datasets (${names}), found "${name ?? ""}". Declare it in sluice.yaml, or name another.`,
  );
}
