import { settingsShape } from "../config/settings-shape.js";
import { commandsPage } from "./commands-page.js";
import { configurationPage } from "./configuration-page.js";
import { errorsPage } from "./errors-page.js";
import { metricsPage } from "./metrics-page.js";

/** The files that are printed from the code: path in the repository, and the text it should have. */
export async function printedFiles(): Promise<ReadonlyMap<string, string>> {
  return new Map([
    ["schemas/sluice.schema.json", `${JSON.stringify(schemaForEditors(), null, 2)}\n`],
    ["docs/configuration.md", configurationPage()],
    ["docs/errors.md", errorsPage()],
    ["docs/metrics.md", metricsPage()],
    ["docs/commands.md", await commandsPage()],
  ]);
}

function schemaForEditors(): object {
  return { title: "sluice.yaml", ...settingsShape() };
}
