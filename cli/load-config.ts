import type { Config } from "../schemas/config.js";
import { GivenSettings, type ConfigRequest } from "./config/given-settings.js";

export { CONFIG_FILE, type ConfigRequest } from "./config/given-settings.js";

export interface LoadedConfig {
  /** Every setting, defaults filled in; `data` and `teacher` are absolute paths. */
  readonly config: Config;
  /** The file that was read; null where there is none */
  readonly file: string | null;
}

/**
 * One validated object from sluice.yaml, the environment and flags, in rising precedence, for work that no store has anything
 * to say of. Throws E_CONFIG with every problem at once, each with its place.
 */
export async function loadConfig(request: ConfigRequest): Promise<LoadedConfig> {
  const given = await GivenSettings.read(request);
  return { config: given.over(null).config, file: given.file };
}
