import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { openEmbeddedLog, type EmbeddedLog } from "../../connectors/log/embedded/embedded-log.js";
import type { Config } from "../../schemas/config.js";
import { isSluiceError } from "../../schemas/errors.js";
import { FOLDERS } from "./workspace.js";

/** Who writes to a data folder. */
export interface FolderHolder {
  readonly pid: number;
  readonly command: string;
  /** ms since the epoch */
  readonly sinceMs: number;
}

/** Who writes to the data folder; null where nobody does. */
export async function holderOf(config: Config): Promise<FolderHolder | null> {
  return withLog(config, (log) => {
    const held = log.holder();
    if (held === null || held.alive === "dead") return null;
    const { pid, command, sinceMs } = held.holder;
    return { pid, command, sinceMs };
  });
}

/** Opens the log for reading beside its writer; null where there is none yet, or not this stream in it. */
export async function withLog<T>(config: Config, look: (log: EmbeddedLog) => T | Promise<T>): Promise<T | null> {
  const folder = resolve(config.data, FOLDERS.log);
  if (!existsSync(folder)) return null;
  let log: EmbeddedLog | undefined;
  try {
    log = await openEmbeddedLog(folder, { exclusive: false });
    return await look(log);
  } catch (error) {
    if (isSluiceError(error, "E_LOG_IO")) return null;
    throw error;
  } finally {
    await log?.close();
  }
}
