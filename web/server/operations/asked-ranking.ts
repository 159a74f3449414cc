import type { AskedSelection, HeldAnswer } from "../../../pipelines/console/held-selections.js";
import { archivedTeacher } from "../../../pipelines/rebuild.js";
import type { Pending } from "../../../schemas/api/shared.js";
import type { Dataset } from "../../../schemas/dataset.js";
import { isSluiceError, SluiceError } from "../../../schemas/errors.js";
import type { Manifest } from "../../../schemas/manifest.js";
import type { Console } from "../console.js";
import { manifestOf } from "./versions.js";

/** The ranking of a declared dataset, or why there is none. */
export async function ask(console: Console, dataset: Dataset, k?: number): Promise<HeldAnswer> {
  const { config, declared } = await console.settings();
  const { select } = dataset;
  if (!select.balanced || select.overlap === "best" || select.repeat) {
    const refused = `classes of ${dataset.name} are not chosen each for itself (${select.repeat ? "repeat" : select.balanced ? "overlap: best" : "balanced: false"}): \`sluice whatif\` answers for it`;
    return { held: null, reading: null, refused };
  }
  try {
    const { card } = await archivedTeacher(console.store, undefined, declared.settings?.teacher);
    const asked: AskedSelection = { dataset, card, stream: config.stream, k };
    return await console.held.ask(asked);
  } catch (error) {
    if (!isSluiceError(error, "E_TEACHER_CARD") && !isSluiceError(error, "E_SELECTION")) throw error;
    return { held: null, reading: null, refused: error.message };
  }
}

export async function declaredDataset(console: Console, name: string): Promise<Dataset | null> {
  const { config } = await console.settings();
  return config.datasets.find((dataset) => dataset.name === name) ?? null;
}

/** null where a dataset has none yet. */
export async function versionOrNone(console: Console, dataset: string, version: string): Promise<Manifest | null> {
  try {
    return await manifestOf(console, { dataset, version });
  } catch (error) {
    if (version === "latest" && isSluiceError(error, "E_VERSION_MISSING")) return null;
    throw error;
  }
}

export function pendingOf({ reading }: HeldAnswer): Pending | null {
  return reading === null ? null : { pending: true, ...reading };
}

export function undeclared(name: string): SluiceError {
  return new SluiceError(
    "E_DATASET_UNKNOWN",
    `Expected a declared dataset, found "${name}". \`sluice datasets list\` names them.`,
  );
}
