import type { CheckLine } from "../pipelines/check.js";
import type { Config } from "../schemas/config.js";
import { changeText, datasetChange } from "../schemas/declaration-changes.js";
import { isSluiceError } from "../schemas/errors.js";
import type { GivenSettings } from "./config/given-settings.js";
import { declaredAt, differences } from "./declared-config.js";

/** What is declared in the store, and how sluice.yaml, the environment and flags differ from it. Throws E_CONFIG. */
export async function checkDeclared(
  given: GivenSettings,
): Promise<{ readonly config: Config; readonly lines: readonly CheckLine[] }> {
  const subject = "declared";
  try {
    const declared = await declaredAt(given);
    const { config } = given.over(declared);
    if (declared.settings === null && declared.datasets.length === 0) return { config, lines: [] };
    const lines = declared.datasets.map(({ dataset, revision }): CheckLine => {
      const text = changeText(datasetChange(null, dataset)!);
      return { subject, state: "ok", message: `${text} (revision ${revision})` };
    });
    const teacher = declared.settings?.teacher ?? null;
    if (teacher !== null) {
      const message = `teacher ${teacher.name} (${teacher.digest.slice(0, 12)}) at ${teacher.path}`;
      lines.push({ subject, state: "ok", message });
    }
    for (const change of await differences(declared, config)) {
      const message = `given otherwise: ${changeText(change)}. \`sluice ingest\` and \`sluice datasets apply\` declare it; \`sluice run\` refuses it`;
      lines.push({ subject, state: "warn", message });
    }
    return { config, lines };
  } catch (error) {
    const isAway =
      isSluiceError(error, "E_STORE_IO") ||
      isSluiceError(error, "E_STORE_ACCESS") ||
      isSluiceError(error, "E_STORE_BUCKET");
    if (!isAway) throw error;
    const { config } = given.over(null);
    return { config, lines: [{ subject, state: "fail", message: error.message, code: error.code }] };
  }
}
