import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../schemas/config.js";
import type { Dataset } from "../schemas/dataset.js";
import { SluiceError } from "../schemas/errors.js";

/** An object store, opened. */
export type OpenedStore = Awaited<ReturnType<typeof import("../pipelines/open/workspace.js").openStore>>;
type Place = Pick<Config, "data" | "s3">;

/** The store of a data folder that is there: commands that only read leave no folder behind. Throws E_STORE_MISSING. */
export async function openExistingStore(place: Place): Promise<OpenedStore> {
  const { openStore } = await import("../pipelines/open/workspace.js");
  if (await storeIsThere(place)) return openStore(place);
  throw new SluiceError(
    "E_STORE_MISSING",
    `Expected a data folder at ${place.data}, found none with anything in it. Run \`sluice ingest\` first, or name another with --data.`,
    { folder: place.data },
  );
}

/** Whether there is a store; a bucket must be there. */
export async function storeIsThere({ data, s3 }: Place): Promise<boolean> {
  const { FOLDERS } = await import("../pipelines/open/workspace.js");
  return s3 !== undefined || existsSync(join(data, FOLDERS.store));
}

/** A declared dataset by its name; without one, the first. Throws E_DATASET_UNKNOWN. */
export function datasetNamed({ datasets }: Pick<Config, "datasets">, name: string | undefined): Dataset {
  const found = name === undefined ? datasets[0] : datasets.find((dataset) => dataset.name === name);
  if (found !== undefined) return found;
  const names = datasets.map((dataset) => dataset.name).join(", ");
  throw new SluiceError(
    "E_DATASET_UNKNOWN",
    names === ""
      ? `Expected a declared dataset${name === undefined ? "" : ` "${name}"`}, found none. Declare one: \`sluice datasets set ${name ?? "default"} k=1000 p=1\`.`
      : `Expected one of the declared datasets (${names}), found "${name ?? ""}". Name another, or declare it: \`sluice datasets apply\`, where sluice.yaml says it.`,
  );
}
